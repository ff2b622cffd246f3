#!/usr/bin/env python3
"""`--outputs attentions` of an encoder and a decoder against the reference library's output_attentions.

    python3 test_attentions.py BIN

Probabilities of every valid query within 1e-6; exactly zero for hidden keys. Asked for or not, the other
outputs are those of the same model; only layers that return probabilities are on math.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def run(*command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done


def check(binaries, name, output, folder):
    case = HERE / "cases" / name
    expected = sorted((HERE / "attentions").glob(f"{name}.*.npy"))
    ingot = folder / f"{name}.ingot"
    compiled = run(binaries / "ingot", "compile", case / "model", "-o", ingot, "--max-batch", 8,
                   "--outputs", "attentions")
    for layer in range(len(expected)):
        if f"layer {layer}: attention writes its scores to memory (math)" not in compiled.stderr:
            sys.exit(f"{name}: no remark on layer {layer}:\n{compiled.stderr}")
    rows = json.loads(run(binaries / "ingot", "inspect", ingot, "--section", "attention",
                          "--json").stdout)["attention"]
    for row in rows:
        if row["program"] == "forward" and (row["back end"] != "math" or "probabilities" not in row["reason"]):
            sys.exit(f"{name}: {row}")
    inputs = []
    for file in sorted(case.glob("padded.*.npy")):
        key = file.name.split(".")[1]
        if key in ("input_ids", "attention_mask", "token_type_ids"):
            inputs += ["--input", f"{key}=@{file}"]
    outputs = [a for i in range(len(expected))
               for a in ("--output", f"attentions.{i}=@{folder}/{name}.{i}.npy")]
    outputs += ["--output", f"{output}=@{folder}/{name}.out.npy"]
    run(binaries / "ingot-run", "run", ingot, *inputs, *outputs)
    mask = np.load(case / "padded.attention_mask.npy").astype(bool)
    for index, file in enumerate(expected):
        want, got = np.load(file), np.load(folder / f"{name}.{index}.npy")
        if got.shape != want.shape:
            sys.exit(f"{name}, layer {index}: shape {got.shape}, expected {want.shape}")
        seen = np.broadcast_to(mask[:, None, :, None], want.shape)
        error = np.abs(got - want)[seen].max()
        hidden = np.broadcast_to(mask[:, None, :, None] & ~mask[:, None, None, :], want.shape)
        if not error <= 1e-6 or np.any(got[hidden] != 0):
            sys.exit(f"{name}, layer {index}: off by {error}, hidden keys up to {got[hidden].max()}")
        print(f"{name}, layer {index}: within {error:.1e}")
    want, got = np.load(case / f"padded.{output}.npy"), np.load(folder / f"{name}.out.npy")
    error = (np.abs(got - want)[mask] if want.ndim == 3 else np.abs(got - want)).max()
    if not error <= 2e-4 * np.abs(want).max():
        sys.exit(f"{name}: {output} off by {error}")


with tempfile.TemporaryDirectory() as temporary:
    for name, output in (("bert-base", "last_hidden_state"), ("llama-gqa-headdim", "logits")):
        check(pathlib.Path(sys.argv[1]), name, output, pathlib.Path(temporary))
