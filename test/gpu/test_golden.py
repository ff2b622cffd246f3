#!/usr/bin/env python3
"""The golden cases on a GPU: f32 against the reference, bf16 and f16 against the reference's own errors.

    test_golden.py check --bin build/bin                       compiles for the GPU that is here, and runs
    test_golden.py compile --bin build/bin --ingots DIR        for a machine without a compiler
    test_golden.py run --ingot-run FILE --ingots DIR           there

Options: --dtypes f32,bf16,f16, --only NAME, --target sm_90a, --tool "compute-sanitizer ..." (run). Needs the
standard library only. Skipped (exit code 77) without a GPU or without NVRTC.

f32: what test/golden/run_golden.py checks: outputs within 2e-4, rows alone as in the batch to 1e-5, greedy
tokens identical. 16 bits: over all cases of a type, the root mean square of the errors (by norms, an output of a
batch each) is at most 1.25 times that of the reference library (test/golden/half_errors.json); no output's is
more than 2 times the reference's for it or its median over all, whichever is larger, since a few hundred numbers
of a tiny model are too few for less. Everything runs twice, and gives the same bits.
"""
import argparse
import concurrent.futures
import ctypes
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import npy  # noqa: E402
import run_golden  # noqa: E402

SKIPPED = 77
HALF_FACTOR, ONE_OUTPUT_FACTOR = 1.25, 2


def find_target():
    """The --target for the GPU that is here, or None."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return None
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, 0)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, 0)
    number = f"sm_{major.value}{minor.value}"
    return number + ("a" if major.value in (9, 10) else "")


def folders(only):
    return sorted(f for f in (GOLDEN / "cases").iterdir() if only in f.name)


def stream_flags(target):
    """Flags of `ingot compile` for streams in each decoder that can have one, where the target has them."""
    return ["--streams", "8"] if target == "sm_90a" else []


def file_of(options, name, dtype):
    return options.ingots / f"{name}.{dtype}.ingot"


def compile_all(options):
    """Compiles every case and type; returns False where there is no NVRTC."""
    options.ingots.mkdir(parents=True, exist_ok=True)
    for folder in folders(options.only):
        flags = json.loads((folder / "case.json").read_text())["compile"]
        for dtype in options.dtypes:
            done = subprocess.run([options.bin / "ingot", "compile", folder / "model", "--target", options.target,
                                   "--dtype", dtype, "-o", file_of(options, folder.name, dtype), *flags,
                                   *stream_flags(options.target)], capture_output=True, text=True)
            if done.returncode == 4 and "NVRTC" in done.stderr:
                print("skipped:", done.stderr.strip().splitlines()[-1])
                return False
            if done.returncode:
                sys.exit(f"{folder.name} {dtype}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return True


class GpuCase(run_golden.Case):
    """A case whose ingot is there already."""

    def __init__(self, folder, options, dtype, work):
        super().__init__(folder, None, work)
        self.options, self.dtype = options, dtype
        self.ingot = file_of(options, folder.name, dtype)
        self.squares = [0.0, 0.0]  # of the errors of outputs, and of the reference's

    def execute(self, arguments):
        command = [*shlex.split(self.options.tool), str(self.options.ingot_run)]
        return run_golden.run([*command, *arguments])

    def forward(self, label, inputs, outputs):
        arguments = ["run", self.ingot]
        for name, path in inputs.items():
            arguments += ["--input", f"{name}=@{path}"]
        results = []
        for attempt in (1, 2):
            files = {name: self.work / f"{self.name}.{label}.{name}.{attempt}.npy" for name in outputs}
            self.execute(arguments + [part for name, path in files.items()
                                      for part in ("--output", f"{name}=@{path}")])
            results.append(files)
        for name in outputs:
            if results[0][name].read_bytes() != results[1][name].read_bytes():
                raise run_golden.Failure(f"{label} {name}: two runs differ")
        return {name: npy.load(path) for name, path in results[0].items()}

    def check_half(self, batch, allowed, median):
        inputs = {name: self.folder / file for name, file in batch["inputs"].items()}
        mask = npy.load(inputs["attention_mask"]) if "attention_mask" in inputs else None
        got = self.forward(batch["name"], inputs, batch["outputs"])
        for name, file in batch["outputs"].items():
            want = npy.load(self.folder / file)
            valid = (run_golden.valid_tokens(mask, want.shape) if len(want.shape) == 3
                     else [True] * want.shape[0])
            width, difference, size = want.shape[-1], 0.0, 0.0
            for index, counts in enumerate(valid):
                for i in range(index * width, (index + 1) * width):
                    if not math.isfinite(got[name].values[i]):
                        raise run_golden.Failure(f"{batch['name']} {name}: {got[name].values[i]} at {i}")
                    if counts:
                        difference += (got[name].values[i] - want.values[i]) ** 2
                        size += want.values[i] ** 2
            error = math.sqrt(difference / size)
            reference = allowed[f"{batch['name']} {name}"]
            self.squares[0] += error ** 2
            self.squares[1] += reference ** 2
            ratio = error / max(reference, median)
            self.worst["reference"] = max(self.worst["reference"], ratio)
            if not ratio <= ONE_OUTPUT_FACTOR:
                raise run_golden.Failure(f"{batch['name']} {name}: error {error:.2e} by norms, the reference's is "
                                         f"{reference:.2e}, its median over all cases {median:.2e}")

    def check_generation(self, generate):
        prompts = self.work / f"{self.name}.prompts.txt"
        prompts.write_text("".join(",".join(map(str, p)) + "\n" for p in generate["prompts"]))
        text = self.execute(["generate", self.ingot, "--ids", f"@{prompts}", "--max-new-tokens",
                             generate["max_new_tokens"], "--greedy", "--json",
                             *([] if generate["eos"] else ["--ignore-eos"])])
        got = [row["tokens"] for row in json.loads(text)["sequences"]]
        eos = set(generate["eos"])
        strip = lambda row: row[:-1] if row and row[-1] in eos else row
        for index, (have, want) in enumerate(zip(got, generate["tokens"], strict=True)):
            if strip(have) != strip(want):
                raise run_golden.Failure(f"prompt {index}: tokens {have}, expected {want}")
        self.tokens = str(sum(map(len, generate["tokens"])))

    def check(self):
        if self.dtype == "f32":
            for batch in self.description["forward"]:
                self.check_batch(batch)
            if "generate" in self.description:
                self.check_generation(self.description["generate"])
            return
        table = json.loads((GOLDEN / "half_errors.json").read_text())
        median = statistics.median(error for case in table.values() for error in case[self.dtype].values())
        for batch in self.description["forward"]:
            self.check_half(batch, table[self.name][self.dtype], median)


def run_case(case):
    try:
        case.check()
    except (run_golden.Failure, OSError, ValueError, KeyError) as problem:
        return case, str(problem) or type(problem).__name__
    return case, ""


def run_all(options):
    failed = 0
    print(f"{'case':26} {'type':>5} {'reference':>10} {'alone':>10} {'tokens':>7}")
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        cases = []
        for folder in folders(options.only):
            for dtype in options.dtypes:
                if file_of(options, folder.name, dtype).exists():
                    own = pathlib.Path(work) / f"{folder.name}.{dtype}"
                    own.mkdir()
                    cases.append(GpuCase(folder, options, dtype, own))
        for case, error in pool.map(run_case, cases):
            failed += bool(error)
            worst = case.worst["reference"]
            shown = f"{worst:10.1e}" if case.dtype == "f32" else f"{worst:9.2f}x"
            print(f"{case.name:26} {case.dtype:>5} {shown} {case.worst['alone']:10.1e} {case.tokens:>7}  "
                  f"{'FAIL' if error else 'ok'}", flush=True)
            if error:
                print(f"  {error}", flush=True)
    for dtype in options.dtypes:
        ours, reference = (math.sqrt(sum(case.squares[i] for case in cases if case.dtype == dtype)) for i in (0, 1))
        if reference:
            enough = ours <= HALF_FACTOR * reference
            failed += not enough
            print(f"{dtype}: {ours / reference:.2f} times the reference's errors over all cases"
                  f"{'' if enough else ', FAIL'}")
    print(f"{failed} failures in {len(cases)} cases")
    return 1 if failed or not cases else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "compile", "run"])
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--ingot-run", type=pathlib.Path)
    parser.add_argument("--ingots", type=pathlib.Path)
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("--dtypes", default="f32,bf16,f16")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=4, help="cases at a time")
    parser.add_argument("--tool", default="", help="a command in front of ingot-run, such as compute-sanitizer")
    options = parser.parse_args()
    options.dtypes = options.dtypes.split(",")
    if options.action == "compile":
        return 0 if compile_all(options) else SKIPPED
    target = find_target()
    if not target:
        print("skipped: no CUDA device")
        return SKIPPED
    if options.action == "run":
        options.ingot_run = options.ingot_run.resolve()
        return run_all(options)
    options.target, options.ingot_run = target, options.bin / "ingot-run"
    with tempfile.TemporaryDirectory() as ingots:
        options.ingots = pathlib.Path(ingots)
        return run_all(options) if compile_all(options) else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
