#!/usr/bin/env python3
"""Compiles golden cases in bf16 and f16 and compares their error with the reference library's own.

    python3 run_narrow.py --bin build/bin [--only NAME]

The error of an output is the root of the mean square of its differences from f32 over that of f32. It
may be 1.25 times that of the reference library in the same type on the same rows (narrow.json, made by
make_narrow.py), all outputs of a case taken together. Needs the standard library only.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import npy

HERE = pathlib.Path(__file__).resolve().parent
ALLOWED = 1.25


def run(*command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def error(got, want, mask):
    if got.shape != want.shape:
        sys.exit(f"shape {got.shape}, expected {want.shape}")
    width = want.shape[-1]
    tokens = len(want.values) // width
    valid = [v == 1 for v in mask.values] if mask and len(want.shape) == 3 else [True] * tokens
    square = total = 0.0
    for index in range(tokens):
        for i in range(index * width, (index + 1) * width):
            if not math.isfinite(got.values[i]):
                sys.exit(f"element {i} is {got.values[i]}")
            if valid[index]:
                square += (got.values[i] - want.values[i]) ** 2
                total += want.values[i] ** 2
    return math.sqrt(square / total)


def check(case, dtype, reference, tools, work):
    folder = HERE / "cases" / case
    description = json.loads((folder / "case.json").read_text())
    ingot = work / f"{case}.{dtype}.ingot"
    run(tools / "ingot", "compile", folder / "model", "-o", ingot, "--dtype", dtype, *description["compile"])
    ours, theirs = [], []
    for batch in description["forward"]:
        command = [tools / "ingot-run", "run", ingot]
        for name, file in batch["inputs"].items():
            command += ["--input", f"{name}=@{folder / file}"]
        for name in batch["outputs"]:
            command += ["--output", f"{name}=@{work / name}.npy"]
        run(*command)
        mask = batch["inputs"].get("attention_mask")
        mask = npy.load(folder / mask) if mask else None
        for name, file in batch["outputs"].items():
            ours.append(error(npy.load(work / f"{name}.npy"), npy.load(folder / file), mask))
            theirs.append(reference[batch["name"]][name])
    # Single outputs of tiny models are a handful of roundings; together they say something.
    mean = lambda values: math.sqrt(sum(v * v for v in values) / len(values))
    ratio = mean(ours) / mean(theirs)
    tokens = ""
    if "generate" in description:
        prompts = [a for p in description["generate"]["prompts"] for a in ("--ids", ",".join(map(str, p)))]
        made = json.loads(run(tools / "ingot-run", "generate", ingot, *prompts, "--greedy", "--json",
                              "--max-new-tokens", "4", "--ignore-eos"))
        tokens = sum(len(row["tokens"]) for row in made["sequences"])
    print(f"{case:18} {dtype:5} {mean(ours):9.2e} {mean(theirs):9.2e} {ratio:6.2f} {tokens:>6}"
          f"  {'ok' if ratio <= ALLOWED else 'FAIL'}", flush=True)
    return ratio <= ALLOWED


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--dtype", default="bf16,f16")
    args = parser.parse_args()
    narrow = json.loads((HERE / "narrow.json").read_text())
    print(f"{'case':18} {'type':5} {'ingot':>9} {'reference':>9} {'ratio':>6} {'tokens':>6}")
    with tempfile.TemporaryDirectory() as work:
        good = [check(case, dtype, narrow[case][dtype], args.bin, pathlib.Path(work))
                for case in narrow if args.only in case for dtype in args.dtype.split(",")]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
