#!/usr/bin/env python3
"""Padding removed, padding kept, and no padding from the start: one model, three programs, one result.

    python3 test_ragged.py build/bin CASE

Compiles a golden case three times: by default, with `--disable remove-padding`, and with
`--packed-input`. For padding on the left, on the right, on both sides and inside, for none, for rows of
no token and of one, for a batch of one row and for one without any token:
  * forward by default gives what the padded program gives at tokens, and zeros at padding;
  * the packed program gives the same for the same tokens behind each other, rows apart;
  * step (of decoders) gives the logits that the padded one gives, each row's cache its own.
Then offsets that do not fit are refused. Needs the standard library only; exit code 1 if one differs.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import npy

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-5  # of the largest magnitude
ROWS, WIDTH = 6, 9
USAGE = 2

MASKS = {
    "right": [[1] * n + [0] * (WIDTH - n) for n in (9, 4, 1, 6)],
    "left": [[0] * (WIDTH - n) + [1] * n for n in (3, 9, 2, 1)],
    "inside": [[1, 0, 1, 1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0, 0, 0, 0]],
    "empty rows": [[0] * 9, [1] * 5 + [0] * 4, [0] * 9, [0] * 8 + [1], [0] * 9],
    "none": [[1] * WIDTH] * ROWS,
    "one row": [[0, 1, 1, 1, 0, 0, 1, 1, 0]],
    "one token": [[1]],
    "no token": [[0] * 4] * 2,
}
LENGTHS = {"ragged": [9, 1, 4, 6], "empty rows": [0, 5, 0, 9, 1], "none": [7] * ROWS, "one row": [3],
           "decode": [1] * 4, "no token": [0, 0]}


class Failure(Exception):
    pass


class Model:
    def __init__(self, tools, folder, work, name, *flags):
        self.run_tool, self.work, self.name = tools / "ingot-run", work, name
        self.ingot = work / f"{name}.ingot"
        done = subprocess.run([tools / "ingot", "compile", folder, "-o", self.ingot, "--max-batch", str(ROWS),
                               "--max-context", str(WIDTH), *flags], capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{name}: {done.stderr}")
        described = subprocess.run([self.run_tool, "inspect", self.ingot, "--json"], capture_output=True,
                                   text=True, check=True)
        self.programs = {p["name"]: p for p in json.loads(described.stdout)["programs"]}

    def outputs(self, program):
        return [port["name"] for port in self.programs[program]["outputs"] if port["dtype"] == "f32"]

    def call(self, program, inputs):
        command = [self.run_tool, "run", self.ingot, "--program", program]
        for name, (shape, values) in inputs.items():
            path = self.work / f"{name}.npy"
            npy.save(path, shape, values)
            command += ["--input", f"{name}=@{path}"]
        for name in self.outputs(program):
            command += ["--output", f"{name}=@{self.work / name}.out.npy"]
        return subprocess.run(command, capture_output=True, text=True)

    def results(self, program, inputs):
        done = self.call(program, inputs)
        if done.returncode:
            raise Failure(f"{self.name}, {program}: {done.stderr}")
        return {name: npy.load(f"{self.work / name}.out.npy") for name in self.outputs(program)}


def same(what, want, got):
    """Lists of floats, equal to the tolerance."""
    if len(want) != len(got) or not all(map(math.isfinite, got)):
        raise Failure(f"{what}: {len(got)} values, {len(want)} expected, or not all of them finite")
    largest = max(map(abs, want), default=0.0)
    worst = max((abs(a - b) for a, b in zip(want, got)), default=0.0)
    if worst > TOLERANCE * largest:
        raise Failure(f"{what}: differs by {worst} where the largest value is {largest}")


def offsets_of(lengths, entries=ROWS + 1):
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    return offsets + [offsets[-1]] * (entries - len(offsets))


def tokens_of(rows, width):
    """Ids that differ from place to place; every case's vocabulary has more."""
    return [3 + (7 * i + 5 * (i // width)) % 41 for i in range(rows * width)]


def check_forward(name, mask, padded, ragged, packed):
    rows, width = len(mask), len(mask[0])
    flat = [value for row in mask for value in row]
    ids = tokens_of(rows, width)
    inputs = {"input_ids": ((rows, width), ids), "attention_mask": ((rows, width), flat)}
    want, got = padded.results("forward", inputs), ragged.results("forward", inputs)
    valid = [i for i, value in enumerate(flat) if value]
    filled = [b for b in range(rows) if any(mask[b])]
    alone = None
    if valid:
        kept = [ids[i] for i in valid]
        alone = packed.results("forward", {
            "input_ids": ((len(kept),), kept),
            "cu_seqlens": ((ROWS + 1,), offsets_of([sum(row) for row in mask]))})
    for output, value in want.items():
        what = f"{name}, {output}"
        if len(value.shape) == 3:
            flatten = lambda a: npy.Array((rows * width, a.shape[2]), a.values)
            all_want, all_got = flatten(value), flatten(got[output])
            expected = all_want.rows(valid).values
            same(what + ", padding removed", expected, all_got.rows(valid).values)
            padding = all_got.rows([i for i in range(rows * width) if not flat[i]]).values
            if any(padding):
                raise Failure(what + ": not zero at padding")
            if alone:
                same(what + ", packed", expected, alone[output].values)
        else:  # a value a row; of a row without tokens it need not be the padded program's
            expected = value.rows(filled).values
            same(what + ", padding removed", expected, got[output].rows(filled).values)
            if alone:
                same(what + ", packed", expected, alone[output].rows(filled).values)


def check_step(name, lengths, padded, ragged):
    rows, width = len(lengths), max(max(lengths), 1)
    # A block of the cache holds more than WIDTH tokens: each row has one, block 0 is the null block.
    inputs = {"input_ids": ((rows, width), tokens_of(rows, width)), "num_tokens": ((rows,), lengths),
              "past_tokens": ((rows,), [0] * rows),
              "block_table": ((rows, 1), list(range(1, rows + 1)))}
    want, got = padded.results("step", inputs), ragged.results("step", inputs)
    filled = [b for b in range(rows) if lengths[b]]
    same(f"step {name}", want["logits"].rows(filled).values, got["logits"].rows(filled).values)


def check_refusals(packed):
    """Offsets that would reach outside the tokens, or make a row longer than rows may be."""
    tokens = 12
    ids = ((tokens,), tokens_of(1, tokens))
    good = offsets_of([5, 4, 3])
    if packed.call("forward", {"input_ids": ids, "cu_seqlens": ((ROWS + 1,), good)}).returncode:
        raise Failure("offsets that fit are refused")
    for what, offsets, text in (
            ("not ascending", [0, 5, 4, 12, 12, 12, 12], "5, 4 at element 2"),
            ("over the total", [0, 5, 9, 13, 13, 13, 13], "0 to 13"),
            ("under the total", [0, 5, 9, 11, 11, 11, 11], "0 to 11"),
            ("not from 0", [1, 5, 9, 12, 12, 12, 12], "1 to 12"),
            ("a row that is too long", [0, 10, 12, 12, 12, 12, 12], "0, 10 at element 1"),
            ("an entry too few", [0, 5, 9, 12, 12, 12], "7"),
            ("negative", [0, -1, 9, 12, 12, 12, 12], "0, -1 at element 1")):
        done = packed.call("forward", {"input_ids": ids, "cu_seqlens": ((len(offsets),), offsets)})
        if done.returncode != USAGE or "cu_seqlens" not in done.stderr or text not in done.stderr:
            raise Failure(f"{what}: exit code {done.returncode}, {done.stderr}")
    done = packed.call("forward", {"input_ids": ids})
    if done.returncode != USAGE or "cu_seqlens" not in done.stderr:
        raise Failure(f"no offsets: exit code {done.returncode}, {done.stderr}")


def main():
    tools, case = pathlib.Path(sys.argv[1]), sys.argv[2]
    folder = HERE / "cases" / case / "model"
    with tempfile.TemporaryDirectory(prefix="ingot-ragged-") as work:
        work = pathlib.Path(work)
        try:
            ragged = Model(tools, folder, work, "ragged")
            padded = Model(tools, folder, work, "padded", "--disable", "remove-padding")
            packed = Model(tools, folder, work, "packed", "--packed-input")
            for name, mask in MASKS.items():
                check_forward(name, mask, padded, ragged, packed)
            if "step" in ragged.programs:
                for name, lengths in LENGTHS.items():
                    check_step(name, lengths, padded, ragged)
            check_refusals(packed)
        except Failure as problem:
            print(f"{case}: {problem}")
            return 1
    print(f"{case}: padded, ragged and packed agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
