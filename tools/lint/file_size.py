#!/usr/bin/env python3
"""A file past 600 lines is a sign that it is organised by kind and not by thing."""
import sys

import tree

LIMIT = 600


def main():
    errors, checked = [], 0
    for path, text in tree.files(tree.CODE + (".md", ".mlir")):
        checked += 1
        lines = text.count("\n")
        if lines > LIMIT:
            errors.append(f"{path}: {lines} lines, the limit is {LIMIT}; split it by thing")
    return tree.report("file size", errors, checked)


if __name__ == "__main__":
    sys.exit(main())
