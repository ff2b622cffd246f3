#!/usr/bin/env python3
"""Every kernel of every golden case compiles for every CUDA target. Skipped without NVRTC.

usage: test_compile.py BIN_DIR CASES_DIR
"""

import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
TARGETS = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100a"]


def main():
    binaries, cases = map(pathlib.Path, sys.argv[1:])
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        # All targets for one decoder and one encoder, one target for the others.
        for i, case in enumerate(sorted(cases.iterdir())):
            if not (case / "model/config.json").exists():
                continue
            everywhere = case.name in ("llama-default", "bert-base")
            for target in TARGETS if everywhere else [TARGETS[i % len(TARGETS)]]:
                result = subprocess.run(
                    [binaries / "ingot", "compile", case / "model", "--target", target, "--weights",
                     "none", "-o", pathlib.Path(folder) / "model.ingot"],
                    capture_output=True, text=True)
                if result.returncode == 4 and "NVRTC" in result.stderr:
                    print("skipped:", result.stderr.strip().splitlines()[-1])
                    return SKIPPED
                if result.returncode:
                    failures += 1
                    print(f"FAIL {case.name} for {target}: exit code {result.returncode}")
                    print(result.stderr[-4000:])
    print(f"{failures} failures")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
