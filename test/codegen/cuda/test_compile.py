#!/usr/bin/env python3
"""Every golden case compiles for a CUDA target, and some for all of them; layers that are wide enough for a stream
have one. Skipped without NVRTC.

usage: test_compile.py BIN_DIR CASES_DIR CACHE_DIR

Kernels are kept in CACHE_DIR from run to run: what is compiled again is what has changed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
TARGETS = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100a"]
# One decoder and one encoder in 16 bits for every target; all cases in f32 for sm_90a.
EVERYWHERE = ["llama-gqa-headdim", "bert-base"]


# The same decoder so wide that its decode launches are a stream, or not.
WIDE = dict(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_key_value_heads=4, head_dim=64)


def compiles_streams(binaries, case, folder, environment):
    """Whether there is the kernel of a stream as asked for."""
    model = pathlib.Path(folder) / "wide"
    model.mkdir()
    config = json.loads((case / "model/config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **WIDE}))
    for most in (0, 4):
        output = model / "model.ingot"
        subprocess.run([binaries / "ingot", "compile", model, "--target", "sm_90a", "--dtype", "bf16", "--weights", "none",
                        "--streams", str(most), "-o", output], check=True, capture_output=True, env=environment)
        kernels = subprocess.run([binaries / "ingot", "inspect", output, "--section", "kernels"], check=True,
                                 capture_output=True, text=True).stdout
        if ("ingot_stream_0" in kernels) != (most > 0):
            print(f"FAIL --streams {most}: the kernels are\n{kernels}")
            return False
    return True


def main():
    binaries, cases, cache = map(pathlib.Path, sys.argv[1:])
    environment = dict(os.environ, INGOT_CACHE_DIR=str(cache))
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
                capture_output=True, text=True, env=environment)
            if result.returncode == 4 and "NVRTC" in result.stderr:
                print("skipped:", result.stderr.strip().splitlines()[-1])
                return SKIPPED
            if result.returncode:
                failures += 1
                print(f"FAIL {name} for {target}, {dtype}: exit code {result.returncode}")
                print(result.stderr[-4000:])
        failures += not compiles_streams(binaries, cases / EVERYWHERE[0], folder, environment)
    print(f"{failures} failures in {len(jobs) + 2} compilations")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
