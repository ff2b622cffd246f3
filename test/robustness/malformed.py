#!/usr/bin/env python3
"""Feeds malformed files to the tools: every one ends with its documented exit code and message.

    malformed.py --tools build/bin --work DIR {config,safetensors,index,artifact,tensor,tuning}
"""
import argparse
import os
import shutil
import sys

import artifact_corpus
import config_corpus
import index_corpus
import safetensors_corpus
import tensor_corpus
import tuning_corpus
from harness import GOLDEN, Judge, copy_model

SINGLE, SHARDED = "llama-default", "llama-biases"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def one_file(judge, name, corpus):
    """Cases that replace one file of a model folder."""
    model = copy_model(SINGLE, os.path.join(judge.work, "model"))
    output = os.path.join(judge.work, "out", "model.ingot")
    for case, data, expected in corpus(read(os.path.join(GOLDEN, SINGLE, "model", name))):
        write(os.path.join(model, name), data)
        judge.run(case, [judge.tool("ingot"), "compile", model, "-o", output], expected, output)
        if name == "config.json":
            judge.run(case + " (inspect)", [judge.tool("ingot"), "inspect", model], expected)


def config(judge):
    one_file(judge, "config.json", config_corpus.corpus)


def safetensors(judge):
    one_file(judge, "model.safetensors", safetensors_corpus.corpus)
    # The same files bound at load.
    ingot = os.path.join(judge.work, "unbound.ingot")
    judge.compile_golden(SINGLE, "unbound.ingot", "--weights", "none")
    ids = write(os.path.join(judge.work, "ids.npy"),
                tensor_corpus.npy(tensor_corpus.described(), tensor_corpus.GOOD))
    model = copy_model(SINGLE, os.path.join(judge.work, "model"))
    output = os.path.join(judge.work, "out", "logits.npy")
    good = read(os.path.join(GOLDEN, SINGLE, "model", "model.safetensors"))
    for case, data, expected in safetensors_corpus.corpus(good):
        write(os.path.join(model, "model.safetensors"), data)
        if "surplus" in case:
            continue  # what the ingot does not need, it does not read
        judge.run(case + " (load)",
                  [judge.tool("ingot-run"), "run", ingot, "--weights", model, "--input",
                   f"input_ids=@{ids}", "--output", f"logits=@{output}"], expected, output)


def index(judge):
    output = os.path.join(judge.work, "out", "model.ingot")
    for case, change, expected in index_corpus.corpus():
        model = copy_model(SHARDED, os.path.join(judge.work, "model"))
        change(model)
        judge.run(case, [judge.tool("ingot"), "compile", model, "-o", output], expected, output)


def artifact(judge):
    good = read(judge.compile_golden(SINGLE, "good.ingot"))
    broken = os.path.join(judge.work, "broken.ingot")
    for case, data, expected in artifact_corpus.corpus(good):
        write(broken, data)
        judge.run(case + " (inspect)", [judge.tool("ingot"), "inspect", broken], expected)
        judge.run(case + " (generate)",
                  [judge.tool("ingot-run"), "generate", broken, "--ids", "1,2,3"], expected)
    write(broken, good)
    for what, path in (("folder", judge.work), ("device", "/dev/null"), ("missing", broken + "x")):
        judge.run(f"artifact-is-{what}", [judge.tool("ingot-run"), "generate", path, "--ids", "1"],
                  (2, 3, 6))


def tensor(judge):
    ingot = judge.compile_golden(SINGLE, "good.ingot", "--max-batch", "8", "--max-context", "64")
    output = os.path.join(judge.work, "out", "logits.npy")
    ids = os.path.join(judge.work, "ids.npy")
    for case, data, expected in tensor_corpus.corpus():
        write(ids, data)
        for tool in ("ingot", "ingot-run"):
            judge.run(f"{case} ({tool})",
                      [judge.tool(tool), "run", ingot, "--input", f"input_ids=@{ids}",
                       "--output", f"logits=@{output}"], expected, output)


def tuning(judge):
    output = os.path.join(judge.work, "out", "model.ingot")
    model = copy_model(SINGLE, os.path.join(judge.work, "model"))
    ingot = judge.compile_golden(SINGLE, "good.ingot")
    path = os.path.join(judge.work, "tuning.json")
    for case, data, expected in tuning_corpus.corpus():
        write(path, data)
        judge.run(case, [judge.tool("ingot"), "compile", model, "-o", output, "--tuning", path], expected, output)
        judge.run(case + " (resume)", [judge.tool("ingot-run"), "tune", ingot, "-o", path], expected)
        if read(path) != data:
            judge.fail(case, "the file was written over")


GROUPS = {"config": config, "safetensors": safetensors, "index": index, "artifact": artifact,
          "tensor": tensor, "tuning": tuning}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("group", choices=GROUPS)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    os.makedirs(arguments.work)
    judge = Judge(os.path.abspath(arguments.tools), os.path.abspath(arguments.work))
    GROUPS[arguments.group](judge)
    code = judge.finish()
    if code == 0:
        shutil.rmtree(arguments.work)
    return code


if __name__ == "__main__":
    sys.exit(main())
