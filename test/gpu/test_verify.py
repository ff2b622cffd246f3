#!/usr/bin/env python3
"""Every kernel of every golden case on a GPU against the host, launch by launch: `ingot verify FILE`.

    test_verify.py check --bin build/bin                       compiles for the GPU that is here, and verifies
    test_verify.py compile --bin build/bin --ingots DIR        for a machine without NVRTC
    test_verify.py run --bin build/bin --ingots DIR            there

Batches are random and ragged, with one token, rows of none, sizes that no tile divides, the maxima; what kernels
write is filled with NaN before. Skipped (exit code 77) without a GPU or without NVRTC.
"""
import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_golden  # noqa: E402

SKIPPED = 77


def compile_all(options):
    options.ingots.mkdir(parents=True, exist_ok=True)
    for folder in test_golden.folders(options.only):
        for dtype in options.dtypes:
            done = subprocess.run([options.bin / "ingot", "compile", folder / "model", "--target", options.target,
                                   "--dtype", dtype, "--debug-info", "-o",
                                   test_golden.file_of(options, folder.name, dtype),
                                   *test_golden.stream_flags(options.target)], capture_output=True, text=True)
            if done.returncode == 4 and "NVRTC" in done.stderr:
                print("skipped:", done.stderr.strip().splitlines()[-1])
                return False
            if done.returncode:
                sys.exit(f"{folder.name} {dtype}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return True


def run_all(options):
    files = [(folder.name, dtype, test_golden.file_of(options, folder.name, dtype))
             for folder in test_golden.folders(options.only) for dtype in options.dtypes]
    files = [one for one in files if one[2].exists()]

    def verify(one):
        return subprocess.run([options.bin / "ingot", "verify", one[2]], capture_output=True, text=True)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for (name, dtype, _), done in zip(files, pool.map(verify, files)):
            kernels = [line for line in done.stdout.splitlines() if line.startswith("  ")]
            unknown = [line for line in kernels if "not compared" in line]
            good = done.returncode == 0 and kernels and not unknown
            failed += not good
            print(f"{name:26} {dtype:>5} {len(kernels):3} kernels  {'ok' if good else 'FAIL'}", flush=True)
            if not good:
                print("\n".join(unknown) + done.stderr[-2000:], flush=True)
    print(f"{failed} failures in {len(files)} ingots")
    return 1 if failed or not files else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "compile", "run"])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--ingots", type=pathlib.Path)
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("--dtypes", default="f32,bf16,f16")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=4, help="ingots at a time")
    options = parser.parse_args()
    options.dtypes = options.dtypes.split(",")
    options.bin = options.bin.resolve()
    if options.action == "compile":
        return 0 if compile_all(options) else SKIPPED
    target = test_golden.find_target()
    if not target:
        print("skipped: no CUDA device")
        return SKIPPED
    if options.action == "run":
        return run_all(options)
    options.target = target
    with tempfile.TemporaryDirectory() as ingots:
        options.ingots = pathlib.Path(ingots)
        return run_all(options) if compile_all(options) else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
