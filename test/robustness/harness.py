"""Runs the tools on malformed input and judges how they end.

A run is good when the process ends by itself in time, with one of the expected exit codes and a
message of its own, leaves no file behind, and shows neither a crash nor a sanitizer report.
"""
import os
import re
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "test", "golden", "cases")
# Signs that a tool ended in another way than by an error of its own.
BAD_WORDS = re.compile("Sanitizer|runtime error:|Assertion|terminate called|LLVM ERROR|"
                       "PLEASE submit a bug|Stack dump|Segmentation fault|std::")
LONGEST_MESSAGE = 16384


class Judge:
    """Collects verdicts; `limit` is the time for one run in seconds."""

    def __init__(self, tools, work, limit=60):
        self.tools, self.work, self.limit = tools, work, limit
        self.count, self.failures = 0, []

    def tool(self, name):
        return os.path.join(self.tools, name)

    def fail(self, name, what):
        self.failures.append(f"{name}: {what}")
        print(f"FAIL {name}: {what}", flush=True)

    def run(self, name, command, expected, output=None, says=None):
        """Runs a command that must fail with one of `expected`. `output` is a file that must not
        exist afterwards, nor anything beside it; `says` a pattern of the message."""
        self.count += 1
        folder = None
        if output:
            folder = os.path.dirname(output)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=self.limit)
        except subprocess.TimeoutExpired:
            return self.fail(name, f"still running after {self.limit} s")
        message = done.stderr.decode(errors="replace")
        tail = message.strip()[-300:]
        if done.returncode < 0:
            return self.fail(name, f"ended by signal {-done.returncode}: {tail}")
        if done.returncode not in expected:
            return self.fail(name, f"exit code {done.returncode}, expected "
                                   f"{' or '.join(map(str, expected))}: {tail}")
        if "error: " not in message:
            return self.fail(name, f"no error message: {tail!r}")
        if BAD_WORDS.search(message) or len(message) > LONGEST_MESSAGE:
            return self.fail(name, f"not a message for a person: {tail}")
        if says and not re.search(says, message):
            return self.fail(name, f"the message does not match /{says}/: {tail}")
        if folder and os.listdir(folder):
            return self.fail(name, f"left behind: {os.listdir(folder)}")

    def compile_golden(self, case, name, *options):
        """Compiles a golden case for the runs that need a good ingot."""
        output = os.path.join(self.work, name)
        subprocess.run([self.tool("ingot"), "compile", os.path.join(GOLDEN, case, "model"),
                        "-o", output, *options], check=True, capture_output=True)
        return output

    def finish(self):
        print(f"{self.count} runs, {len(self.failures)} failures")
        return 1 if self.failures else 0


def copy_model(case, target):
    """A fresh copy of a golden case's model folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(os.path.join(GOLDEN, case, "model"), target)
    return target
