"""The JSON of a run, which is written anew after each case.

    {"kind": "models" | "kernels", "machine": {...}, "rates": {"read", "gemm", "upload": per second},
     "cases": [{"model", "case", "ingot_ms": times or null, "peers_ms": {name: times}, "floor_ms", "flops", "bytes"}],
     "failures": [{"case", "text"}], "left_out": [names]}

times: {"median", "min", "max"} in milliseconds.
"""
import datetime
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys


class Failure(Exception):
    """Ends the program: a message for its user, and an exit code (README.md)."""

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


def need(module, command):
    """Exit code 4 and the command that installs it, where a Python package is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Failure(f"the Python package {module} is missing ({error}); install it with: {command}", 4) from error


def need_program(path, flag):
    if not shutil.which(path):
        raise Failure(f"{path}: no such program; build it, or say with {flag} where it is", 2)


def call(command, what):
    """What a program prints; a Failure with its own exit code and last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{what} ended with exit code {done.returncode}: {done.stderr.strip()[-2000:]}", done.returncode)
    return done.stdout


def selected(options, name):
    """Whether --only, parts of names with commas, leaves a case."""
    return not options.only or any(part in name for part in options.only.split(","))


def times(milliseconds):
    return {"median": statistics.median(milliseconds), "min": min(milliseconds), "max": max(milliseconds)}


def machine():
    """Where and with what a run was made."""
    import torch
    driver = "unknown"
    if shutil.which("nvidia-smi"):
        driver = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"],
                                capture_output=True, text=True, check=False).stdout.strip() or driver
    versions = {}
    for name in ("transformers", "triton"):
        try:
            versions[name] = importlib.import_module(name).__version__
        except ImportError:
            pass
    return {"device": torch.cuda.get_device_name(0),
            "driver": driver, "date": datetime.date.today().isoformat(), "torch": torch.__version__,
            "cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version()), **versions}


def failure_text(failure):
    return failure if isinstance(failure, str) else f"{type(failure).__name__}: {failure}"


_KEYS = {"model", "case", "ingot_ms", "peers_ms", "floor_ms", "flops", "bytes"}


class Report:
    def __init__(self, kind, path, where):
        self.path = path
        self.data = {"kind": kind, "machine": where, "rates": {}, "cases": [], "failures": []}

    def add(self, case):
        self.data["cases"].append(case)
        self.write()

    def fail(self, name, failure):
        """A failure is kept and shown, and the run goes on."""
        self.data["failures"].append({"case": name, "text": failure_text(failure)})
        print(f"{name}: {failure_text(failure)}", file=sys.stderr, flush=True)
        self.write()

    def write(self):
        if not self.path:
            return
        # Never half a file, even if the run is killed.
        partial = self.path + ".partial"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1)
        os.replace(partial, self.path)

    def end(self):
        """The exit code: 1 where something failed."""
        self.write()
        failures = self.data["failures"]
        if failures:
            print(f"{len(failures)} failed: {'; '.join(failure['case'] for failure in failures)}", file=sys.stderr)
        return 1 if failures else 0


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", 2) from error
    except ValueError as error:
        raise Failure(f"{path}: expected the JSON of gpu_bench.py, got: {error}", 3) from error
    cases = data.get("cases") if isinstance(data, dict) else None
    if not isinstance(cases, list) or "machine" not in data or not all(
            isinstance(case, dict) and _KEYS <= case.keys() for case in cases):
        raise Failure(f"{path}: expected the JSON of `gpu_bench.py run --json` or `kernels --json`", 3)
    return data
