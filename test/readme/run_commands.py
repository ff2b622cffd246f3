#!/usr/bin/env python3
"""Runs the commands of README.md that carry the mark <!-- tested --> before their code block.

    run_commands.py --build build [--list]

They run one block after another in one copy of the working folder's layout: a folder whose entries
link to the repository's, so that files they write don't end in the repository. Also checks that every
path of the repository that the README names in code quotes exists.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"<!-- tested -->\n```\w*\n(.*?)```", re.S)
PATH = re.compile(r"`((?:dialects|codegen|passes|compiler|runtime|tools|test)/[\w./+-]+)`")


def check_paths(text):
    missing = sorted({path for path in PATH.findall(text)
                      if not os.path.exists(os.path.join(ROOT, path))})
    for path in missing:
        print(f"README.md names {path}, which does not exist")
    return not missing


def run_blocks(blocks, build):
    with tempfile.TemporaryDirectory() as work:
        for name in os.listdir(ROOT):
            if not name.startswith("build"):
                os.symlink(os.path.join(ROOT, name), os.path.join(work, name))
        os.symlink(build, os.path.join(work, "build"))
        for block in blocks:
            print(f"$ {block.rstrip()}", flush=True)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=work,
                                  stdin=subprocess.DEVNULL)
            if done.returncode:
                print(f"exit code {done.returncode}")
                return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = BLOCK.findall(text)
    if arguments.list:
        print("\n".join(blocks))
        return 0
    if not blocks:
        print("README.md has no tested commands")
        return 1
    good = check_paths(text)
    return 0 if run_blocks(blocks, os.path.abspath(arguments.build)) and good else 1


if __name__ == "__main__":
    sys.exit(main())
