#!/usr/bin/env python3
"""Compiles and runs every golden case and compares with the reference library's results.

    python3 run_golden.py --bin build/bin [--only NAME] [--jobs N]

For each case: `ingot compile`, then with `ingot-run`
  * each batch of the program forward: max |difference| <= 2e-4 of the output's largest magnitude, over
    the valid tokens; every value finite;
  * each row of a padded batch once more alone: it must give what it gave in the batch, to 1e-5;
  * the greedy continuations of all prompts in one batch, token for token;
  * the checkpoint restored from the ingot: every tensor with the bytes of the original.
Needs the standard library only. Prints a table; exit code 1 if a case fails.
"""
import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import npy

HERE = pathlib.Path(__file__).resolve().parent
REFERENCE_TOLERANCE = 2e-4
ALONE_TOLERANCE = 1e-5


class Failure(Exception):
    pass


def run(command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode:
        text = " ".join(str(c) for c in command)
        raise Failure(f"exit code {done.returncode} of {text}\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def valid_tokens(mask, shape):
    """Which elements of the first two axes count: a flat list of booleans."""
    if mask is None:
        return [True] * (shape[0] * shape[1])
    return [value == 1 for value in mask.values]


def compare(got, want, mask):
    """The largest difference over the largest magnitude of `want`, over valid tokens."""
    if got.shape != want.shape:
        raise Failure(f"shape {list(got.shape)}, expected {list(want.shape)}")
    width = want.shape[-1]
    valid = valid_tokens(mask, want.shape) if len(want.shape) == 3 else [True] * want.shape[0]
    largest = worst = 0.0
    for index, counts in enumerate(valid):
        for i in range(index * width, (index + 1) * width):
            if not math.isfinite(got.values[i]):
                raise Failure(f"{got.values[i]} at element {i}" + ("" if counts else " (padding)"))
            if counts:
                largest = max(largest, abs(want.values[i]))
                worst = max(worst, abs(got.values[i] - want.values[i]))
    return worst / largest


def read_safetensors(path):
    """name -> (dtype, shape, bytes)"""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"],
                   data[end + entry["data_offsets"][0]:end + entry["data_offsets"][1]])
            for name, entry in header.items()}


class Case:
    def __init__(self, folder, tools, work):
        self.folder, self.tools, self.work = folder, tools, work
        self.description = json.loads((folder / "case.json").read_text())
        self.name = self.description["name"]
        self.ingot = work / (self.name + ".ingot")
        self.worst = {"reference": 0.0, "alone": 0.0}
        self.tokens = "-"

    def compile(self):
        run([self.tools / "ingot", "compile", self.folder / "model", "-o", self.ingot,
             *self.description["compile"]])

    def forward(self, label, inputs, outputs):
        """Runs the program on input files; returns the named outputs."""
        command = [self.tools / "ingot-run", "run", self.ingot]
        for name, path in inputs.items():
            command += ["--input", f"{name}=@{path}"]
        files = {name: self.work / f"{self.name}.{label}.{name}.npy" for name in outputs}
        for name, path in files.items():
            command += ["--output", f"{name}=@{path}"]
        run(command)
        return {name: npy.load(path) for name, path in files.items()}

    def check_batch(self, batch):
        inputs = {name: self.folder / file for name, file in batch["inputs"].items()}
        arrays = {name: npy.load(path) for name, path in inputs.items()}
        mask = arrays.get("attention_mask")
        got = self.forward(batch["name"], inputs, batch["outputs"])
        for name, file in batch["outputs"].items():
            worst = compare(got[name], npy.load(self.folder / file), mask)
            self.worst["reference"] = max(self.worst["reference"], worst)
            if not worst <= REFERENCE_TOLERANCE:
                raise Failure(f"{batch['name']} {name}: {worst:.2e} from the reference, "
                              f"at most {REFERENCE_TOLERANCE:.0e} allowed")
        if mask is not None:
            for row in range(mask.shape[0]):
                self.check_alone(batch, row, arrays, mask, got)

    def check_alone(self, batch, row, arrays, mask, batched):
        """A row without its padding gives what it gave in the batch."""
        keep = [i for i, value in enumerate(mask.row(row).values) if value == 1]
        label = f"{batch['name']}.row{row}"
        inputs = {}
        for name, array in arrays.items():
            if name != "attention_mask":
                inputs[name] = self.work / f"{self.name}.{label}.{name}.npy"
                npy.save(inputs[name], (1, len(keep)), array.row(row).rows(keep).values)
        alone = self.forward(label, inputs, batch["outputs"])
        for name, value in batched.items():
            part = value.row(row)
            if len(value.shape) == 3:
                part = part.rows(keep)
            worst = compare(alone[name], npy.Array((1,) + part.shape, part.values), None)
            self.worst["alone"] = max(self.worst["alone"], worst)
            if not worst <= ALONE_TOLERANCE:
                raise Failure(f"{label} {name}: {worst:.2e} from the same row alone, "
                              f"at most {ALONE_TOLERANCE:.0e} allowed")

    def check_generation(self, generate):
        prompts = self.work / f"{self.name}.prompts.txt"
        prompts.write_text("".join(",".join(map(str, p)) + "\n" for p in generate["prompts"]))
        text = run([self.tools / "ingot-run", "generate", self.ingot, "--ids", f"@{prompts}",
                    "--max-new-tokens", generate["max_new_tokens"], "--greedy", "--json",
                    # Cases without end tokens were continued by the reference to the full length.
                    *([] if generate["eos"] else ["--ignore-eos"])])
        got = [row["tokens"] for row in json.loads(text)["sequences"]]
        # The reference ends a row with its end token; whether ours prints that token is not the question.
        eos = set(generate["eos"])
        strip = lambda row: row[:-1] if row and row[-1] in eos else row
        for index, (have, want) in enumerate(zip(got, generate["tokens"], strict=True)):
            if strip(have) != strip(want):
                raise Failure(f"prompt {index}: tokens {have}, expected {want}")
        self.tokens = str(sum(map(len, generate["tokens"])))

    def check_weights(self):
        """extract-weights gives back what the checkpoint stored; only unread tensors may be missing."""
        folder = self.work / f"{self.name}.restored"
        run([self.tools / "ingot-run", "extract-weights", self.ingot, "-o", folder])
        restored = read_safetensors(folder / "model.safetensors")
        original = {}
        for file in sorted((self.folder / "model").glob("*.safetensors")):
            original.update(read_safetensors(file))
        for name, tensor in restored.items():
            if original.get(name) != tensor:
                raise Failure(f"restored tensor {name} is not the checkpoint's")
        # Every weight has to be there: what is left out are tied copies, poolers and buffers.
        missing = [name for name in original if name not in restored
                   and not any(part in name for part in ("pooler", "position_ids", "lm_head", "decoder",
                                                         "inv_freq", "cls.", "vocab_projector"))]
        if missing or not restored:
            raise Failure(f"{len(restored)} tensors restored, missing: {missing[:5]}")

    def check(self):
        self.compile()
        self.check_weights()
        for batch in self.description["forward"]:
            self.check_batch(batch)
        if "generate" in self.description:
            self.check_generation(self.description["generate"])


def check_case(folder, tools, work):
    case = Case(folder, tools, work)
    error = ""
    try:
        case.check()
    except (Failure, OSError, ValueError, KeyError) as problem:
        error = f"{type(problem).__name__}: {problem}" if not isinstance(problem, Failure) else str(problem)
    return case, error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with ingot and ingot-run")
    parser.add_argument("--only", default="", help="run the case of this name, else the cases whose name contains it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=pathlib.Path, help="keep ingots and outputs in this folder")
    args = parser.parse_args()
    work = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="ingot-golden-"))
    work.mkdir(parents=True, exist_ok=True)
    folders = sorted(f for f in (HERE / "cases").iterdir() if args.only in f.name)
    folders = [f for f in folders if f.name == args.only] or folders
    if not folders:
        sys.exit(f"no case's name contains '{args.only}'")
    failed = 0
    print(f"{'case':26} {'reference':>10} {'alone':>10} {'tokens':>7}")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for case, error in pool.map(lambda f: check_case(f, args.bin, work), folders):
            verdict = "FAIL" if error else "ok"
            print(f"{case.name:26} {case.worst['reference']:10.1e} {case.worst['alone']:10.1e} "
                  f"{case.tokens:>7}  {verdict}", flush=True)
            if error:
                failed += 1
                print(f"  {error}", flush=True)
    print(f"{len(folders) - failed} of {len(folders)} cases pass")
    if not args.keep:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
