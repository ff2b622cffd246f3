#!/usr/bin/env python3
"""compute-sanitizer over the kernel families and two tiny models. Needs the standard library only.

    sanitize.py check --bin build/bin                            builds for the GPU that is here, and runs
    sanitize.py build --bin build/bin --out DIR [--arch 90a]     with nvcc and NVRTC; no GPU needed
    sanitize.py run --out DIR --ingot-run FILE [--tools ...]     where the GPU is

`build` makes what `run` runs: the checks of the device library (test_kernels.py names them) and ingots of a decoder
and an encoder, whose kernels are of all families. Exit code 1 if a tool reports anything, if a program fails under
it, or if --seconds ended first; what was left out is named. --tools and --only split the work over several calls.
"""
import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_golden  # noqa: E402
import test_kernels  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CASES = ROOT / "test" / "golden" / "cases"
TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
# Decoders in bf16 (packed prompts, paged cache, sampling; the second one has a stream where there are any) and an
# encoder in f32 (padding, pooling).
MODELS = {"llama-default": "bf16", "llama-rope-linear": "bf16", "bert-sentence-mean": "f32"}
SKIPPED = 77


def call(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(map(str, command))}\n{done.stderr[-3000:]}")


def build(options):
    options.out.mkdir(parents=True, exist_ok=True)
    for name in test_kernels.names(options.arch):
        call([*test_kernels.command(ROOT, name, options.arch, options.out / name), "-lineinfo"])
    for name, dtype in MODELS.items():
        flags = json.loads((CASES / name / "case.json").read_text())["compile"]
        call([options.bin / "ingot", "compile", CASES / name / "model", "--target", f"sm_{options.arch}", "--dtype",
              dtype, "-o", options.out / f"{name}.ingot", *flags, *test_golden.stream_flags(f"sm_{options.arch}")])


def programs(options):
    """Name and command of everything that is run."""
    for name in MODELS:
        case = json.loads((CASES / name / "case.json").read_text())
        ingot = options.out / f"{name}.ingot"
        for batch in case["forward"]:
            yield f"{name} {batch['name']}", [options.ingot_run, "run", ingot,
                                              *(part for port, file in batch["inputs"].items()
                                                for part in ("--input", f"{port}=@{CASES / name / file}"))]
        if "generate" in case:
            prompts = [part for prompt in case["generate"]["prompts"]
                       for part in ("--ids", ",".join(map(str, prompt)))]
            yield f"{name} greedy", [options.ingot_run, "generate", ingot, *prompts, "--greedy", "--max-new-tokens", 6]
            yield f"{name} sampled", [options.ingot_run, "generate", ingot, *prompts, "--sample",
                                      "--max-new-tokens", 6, "--temperature", 0.8, "--top-k", 20, "--top-p", 0.9]

    for name in test_kernels.names(options.arch):
        yield name, [options.out / name, "check"]


def run(options):
    sanitizer = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if not sanitizer:
        print("skipped: no compute-sanitizer")
        return SKIPPED
    end = time.monotonic() + options.seconds

    def run_one(tool, name, command):
        left, start, output = end - time.monotonic(), time.monotonic(), ""
        if tool == "racecheck" and name == "stream":
            command = [*command, "small"]  # the others take it hours
        result = "not run, out of time"
        if left > 1:
            try:
                done = subprocess.run([sanitizer, "--tool", tool, "--error-exitcode", "99", *map(str, command)],
                                      capture_output=True, text=True, timeout=left)
                output = done.stdout + done.stderr
                result = {0: "clean", 99: "REPORTS", SKIPPED: "no GPU"}.get(
                    done.returncode, f"FAILS, exit code {done.returncode}")
            except subprocess.TimeoutExpired:
                result = "not finished, out of time"
        print(f"{tool:10} {name:28} {result:28} {time.monotonic() - start:6.1f} s", flush=True)
        if result.startswith(("REPORTS", "FAILS")):
            print("\n".join(output.splitlines()[:30] + ["..."] + output.splitlines()[-5:]), flush=True)
        return result != "clean"

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(run_one, tool, name, command) for tool in options.tools.split(",")
                for name, command in programs(options) if options.only in name]
        bad = sum(one.result() for one in runs)
    print(f"{bad} of {len(runs)} runs not clean" if bad else f"all {len(runs)} clean")
    return 1 if bad or not runs else 0


def check(options):
    target = test_golden.find_target()
    if not target or not shutil.which("nvcc"):
        print("skipped:", "no nvcc" if target else "no CUDA device")
        return SKIPPED
    options.arch, options.ingot_run = target.removeprefix("sm_"), options.bin / "ingot-run"
    with tempfile.TemporaryDirectory() as out:
        options.out = pathlib.Path(out)
        build(options)
        return run(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "build", "run"])
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--arch", default="90a")
    parser.add_argument("--ingot-run", type=pathlib.Path)
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--only", default="", help="what the names of programs must hold")
    parser.add_argument("--jobs", type=int, default=4, help="programs at a time")
    parser.add_argument("--seconds", type=float, default=1800, help="in all")
    options = parser.parse_args()
    if options.action == "check":
        return check(options)
    options.out = options.out.resolve()
    if options.action == "build":
        return build(options)
    options.ingot_run = options.ingot_run.resolve()
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
