#!/usr/bin/env python3
"""Builds the checks of the device library with nvcc and runs them. Skipped without a GPU or nvcc.

usage: test_kernels.py SOURCE_DIR BUILD_DIR
"""

import ctypes
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77


def find_architecture():
    """The nvcc code of the GPU that is present, or None."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return None
    major, minor = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, 0)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, 0)
    number = f"{major.value}{minor.value}"
    return number + ("a" if number == "90" else "")


def names(architecture):
    """The checks for a GPU: what is for all, and for sm_90 and later."""
    return (["linear", "attention", "sampling"] + ["attention_sm90", "linear_fp8", "stream"] * (architecture == "90a")
            + ["linear_few", "attention_decode"] * (int(architecture.rstrip("a")) >= 90))


def command(source, name, architecture, program):
    """What builds a check; that of sampling compares with the host's sampler."""
    host = ["runtime/generate/Sampler.cpp", "runtime/support/Text.cpp"] if name == "sampling" else []
    return ["nvcc", "-I", source, "-std=c++20", "-O2", f"-gencode=arch=compute_{architecture},code=sm_{architecture}",
            "-o", program, source / "test/gpu" / f"{name}.cu", *(source / file for file in host)]


def main():
    source, build = map(pathlib.Path, sys.argv[1:])
    architecture = find_architecture()
    if not architecture or not shutil.which("nvcc"):
        print("skipped:", "no nvcc" if architecture else "no CUDA device")
        return SKIPPED
    build.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names(architecture):
        program = build / name
        subprocess.run(command(source, name, architecture, program), check=True)
        failed |= subprocess.run([program]).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
