#!/usr/bin/env python3
"""Every golden case compiles for a CUDA target, and some for all of them. Skipped without NVRTC.

usage: test_compile.py BIN_DIR CASES_DIR CACHE_DIR

Kernels are kept in CACHE_DIR from run to run: what is compiled again is what has changed.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
TARGETS = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100a"]
# One decoder and one encoder in 16 bits for every target; all cases in f32 for sm_90a.
EVERYWHERE = ["llama-gqa-headdim", "bert-base"]


def main():
    binaries, cases, cache = map(pathlib.Path, sys.argv[1:])
    jobs = [(case.name, "sm_90a", "f32") for case in sorted(cases.iterdir())
            if (case / "model/config.json").exists()]
    jobs += [(EVERYWHERE[0], "sm_90a", "bf16"), (EVERYWHERE[1], "sm_90a", "f16")]
    jobs += [(EVERYWHERE[i % 2], target, "bf16") for i, target in enumerate(TARGETS)]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, target, dtype in jobs:
            result = subprocess.run(
                [binaries / "ingot", "compile", cases / name / "model", "--target", target, "--dtype", dtype,
                 "--weights", "none", "-o", pathlib.Path(folder) / "model.ingot"],
                capture_output=True, text=True, env=dict(os.environ, INGOT_CACHE_DIR=str(cache)))
            if result.returncode == 4 and "NVRTC" in result.stderr:
                print("skipped:", result.stderr.strip().splitlines()[-1])
                return SKIPPED
            if result.returncode:
                failures += 1
                print(f"FAIL {name} for {target}, {dtype}: exit code {result.returncode}")
                print(result.stderr[-4000:])
    print(f"{failures} failures in {len(jobs)} compilations")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
