#!/usr/bin/env python3
"""Interrupts compiles: what is left is no file, or a whole one.

    interrupted.py --tools build/bin --work DIR

Kills a compile with SIGKILL at ten moments spread over its length, and with SIGINT and SIGTERM; then
fails one by a full disk and by an output that cannot be written. The folder of the output holds
afterwards nothing, or an ingot that passes inspection. An output that was there before stays.
"""
import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

from harness import GOLDEN, Judge

CASE = "llama-default"


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)


def interrupt(command, after, number):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    process.send_signal(number)
    return process.wait(timeout=60)


def check_left(judge, name, folder, before=None):
    """No half file: nothing, or exactly one good ingot."""
    left = os.listdir(folder)
    path = os.path.join(folder, "model.ingot")
    if before is not None:
        if left != ["model.ingot"]:
            return judge.fail(name, f"left {left}")
    elif left not in ([], ["model.ingot"]):
        return judge.fail(name, f"left {left}")
    if left:
        done = subprocess.run([judge.tool("ingot"), "inspect", path], capture_output=True)
        if done.returncode:
            judge.fail(name, f"left a bad ingot: {done.stderr.decode()[-200:]}")


def signals(judge, command, folder):
    clean(folder)
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    length = time.monotonic() - start
    with open(os.path.join(folder, "model.ingot"), "rb") as file:
        whole = file.read()
    print(f"a compile takes {length:.2f} s")
    generator = random.Random(7)
    # The last tenth, where the file is written, gets more than its share.
    moments = [generator.uniform(0, 0.9) for _ in range(6)] + [0.92, 0.95, 0.98, 1.0]
    ended = 0
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        for part in moments if number == signal.SIGKILL else moments[::3]:
            name = f"{signal.Signals(number).name} at {part:.2f}"
            judge.count += 1
            clean(folder)
            ended += interrupt(command, part * length, number) == 0
            check_left(judge, name, folder)
    print(f"{ended} of the interrupted compiles had ended before")
    # Over an output that is there.
    for part in (0.3, 0.97):
        judge.count += 1
        clean(folder)
        path = os.path.join(folder, "model.ingot")
        with open(path, "wb") as file:
            file.write(whole)
        interrupt(command, part * length, signal.SIGKILL)
        check_left(judge, f"SIGKILL over a file at {part:.2f}", folder, whole)


def no_room(judge, command, folder):
    """A file-size limit stands for a full disk."""
    clean(folder)
    judge.count += 1
    done = subprocess.run(command, capture_output=True, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (20000, 20000)))
    if done.returncode != 8:
        judge.fail("no room", f"exit code {done.returncode}, expected 8: "
                              f"{done.stderr.decode()[-200:]}")
    if os.listdir(folder):
        judge.fail("no room", f"left {os.listdir(folder)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    judge = Judge(os.path.abspath(arguments.tools), os.path.abspath(arguments.work))
    folder = os.path.join(judge.work, "out")
    command = [judge.tool("ingot"), "compile", os.path.join(GOLDEN, CASE, "model"), "-o",
               os.path.join(folder, "model.ingot")]
    signals(judge, command, folder)
    no_room(judge, command, folder)
    return judge.finish()


if __name__ == "__main__":
    sys.exit(main())
