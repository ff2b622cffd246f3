#!/usr/bin/env python3
"""Compiles copies of a model in different folders, from different working folders and with different
numbers of threads: the ingots are the same bytes.

    reproducible.py --tools build/bin --work DIR
"""
import argparse
import os
import shutil
import subprocess
import sys

from harness import Judge, copy_model

CASES = (("llama-default",), ("llama-biases", "--debug-info"),
         ("bert-sentence-mean", "--weights", "none"), ("roberta-classifier",))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    judge = Judge(os.path.abspath(arguments.tools), os.path.abspath(arguments.work))
    shutil.rmtree(judge.work, ignore_errors=True)
    folders = [os.path.join(judge.work, "one"), os.path.join(judge.work, "another", "and a longer one")]
    for case, *options in CASES:
        judge.count += 1
        ingots = []
        for number, folder in enumerate(folders):
            model = copy_model(case, os.path.join(folder, f"model{number}"))
            output = os.path.join(folder, f"out{number}.ingot")
            cpus = {min(os.sched_getaffinity(0))} if number else os.sched_getaffinity(0)
            subprocess.run([judge.tool("ingot"), "compile", model, "-o", output, *options],
                           check=True, cwd=folder, stdout=subprocess.DEVNULL,
                           preexec_fn=lambda: os.sched_setaffinity(0, cpus))
            with open(output, "rb") as file:
                ingots.append(file.read())
        name = " ".join([case, *options])
        if ingots[0] != ingots[1]:
            first = next((i for i, (a, b) in enumerate(zip(*ingots)) if a != b),
                         min(map(len, ingots)))
            judge.fail(name, f"the ingots differ from byte {first} on "
                             f"(sizes {len(ingots[0])} and {len(ingots[1])})")
        for folder in folders:
            if folder.encode() in ingots[0] + ingots[1]:
                judge.fail(name, f"the ingot names the folder {folder}")
    return judge.finish()


if __name__ == "__main__":
    sys.exit(main())
