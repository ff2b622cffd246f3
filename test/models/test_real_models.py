#!/usr/bin/env python3
"""The two real models that tools/setup/fetch_models.py fetches, against committed results of the
reference library. Skipped where the models are not there.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(ROOT, ".cache", "models")
TOOLS = sys.argv[1]
SKIPPED = 77


def tool(*arguments):
    done = subprocess.run([os.path.join(TOOLS, "ingot"), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def check(what, value, limit):
    print(f"{what}: {value:.2e}, limit {limit:.0e}")
    return value <= limit


def embeddings(work, model, reference):
    ingot = os.path.join(work, "minilm.ingot")
    print(tool("compile", model, "-o", ingot))
    expected = np.load(os.path.join(HERE, "minilm.npy"))
    rows = reference["minilm"]
    length = max(map(len, rows)) + 3
    good = True
    for where in ("right", "left"):
        ids = np.zeros((len(rows), length), np.int32)
        mask = np.zeros((len(rows), length), np.int32)
        for i, row in enumerate(rows):
            span = slice(0, len(row)) if where == "right" else slice(length - len(row), length)
            ids[i, span], mask[i, span] = row, 1
        np.save(work + "/ids.npy", ids)
        np.save(work + "/mask.npy", mask)
        tool("run", ingot, "--input", f"input_ids=@{work}/ids.npy", "--input",
             f"attention_mask=@{work}/mask.npy", "--output", f"sentence_embedding=@{work}/out.npy")
        out = np.load(work + "/out.npy")
        good &= check(f"embeddings padded on the {where}, relative to the largest",
                      np.abs(out - expected).max() / np.abs(expected).max(), 2e-4)
        np.save(work + "/ids.npy", np.array([rows[0]], np.int32))
        tool("run", ingot, "--input", f"input_ids=@{work}/ids.npy", "--output",
             f"sentence_embedding=@{work}/alone.npy")
        good &= check("a padded row against the row alone",
                      np.abs(np.load(work + "/alone.npy")[0] - out[0]).max(), 1e-5)
    return good


def continuations(work, model, reference):
    ingot = os.path.join(work, "smollm2.ingot")
    report = json.loads(tool("compile", model, "-o", ingot, "--max-context", "512", "--json"))
    print(f"compiled in {report['seconds']:.1f} s with {report['peak_bytes'] / 1e6:.0f} MB")
    good = report["seconds"] <= 60 * float(os.environ.get("INGOT_SLOWER", "1"))
    good &= report["peak_bytes"] <= 2e9
    command = ["generate", ingot, "--greedy", "--max-new-tokens", "32", "--json"]
    for row in reference["smollm2"]:
        command += ["--ids", ",".join(map(str, row["ids"]))]
    for row, got in zip(reference["smollm2"], json.loads(tool(*command))["sequences"]):
        print("expected", row["new"], "\ngot     ", got["tokens"])
        good &= got["tokens"] == row["new"]
    return good


def main():
    names = {"minilm": "all-MiniLM-L6-v2", "smollm2": "SmolLM2-135M-Instruct"}
    model = os.path.join(MODELS, names[sys.argv[2]])
    if not os.path.exists(model):
        print(f"skipped: no {model}; tools/setup/fetch_models.py fetches it")
        return SKIPPED
    with open(os.path.join(HERE, "reference.json"), encoding="utf-8") as file:
        reference = json.load(file)
    with tempfile.TemporaryDirectory() as work:
        run = embeddings if sys.argv[2] == "minilm" else continuations
        return 0 if run(work, model, reference) else 1


if __name__ == "__main__":
    sys.exit(main())
