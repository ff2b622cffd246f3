#!/usr/bin/env python3
"""Checks the text of every file: no path of one machine, no tab or trailing blank in code, a header
comment on every C++ file, an include guard in every header.
"""
import re
import sys

import tree

MACHINE_PATH = re.compile(r"(?<![\w.:])/(?:home|root|Users|work|mnt|workspace)/[\w.-]+")
CONFLICT = re.compile(r"^(<{7} |>{7} |={7}$)")


def check(path, text):
    if MACHINE_PATH.search(text):
        yield f"{path}: names a path of one machine: {MACHINE_PATH.search(text).group(0)}"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if CONFLICT.match(line):
            yield f"{path}:{number}: conflict marker"
        if path.endswith(tree.CODE) and line != line.rstrip():
            yield f"{path}:{number}: trailing blank"
        if path.endswith(tree.CODE) and "\t" in line:
            yield f"{path}:{number}: tab"
    if path.endswith((".h", ".cpp")) and not text.startswith(("//===- ", "/*===- ")):
        yield f"{path}: the first line is not '//===- FILE - what it is'"
    if path.endswith(".h") and not re.search(r"^#(pragma once|ifndef INGOT_)", text, re.M):
        yield f"{path}: no #pragma once"


def main():
    errors, checked = [], 0
    for path, text in tree.files(tree.TEXT):
        checked += 1
        errors += check(path, text)
    return tree.report("text", errors, checked)


if __name__ == "__main__":
    sys.exit(main())
