"""Tuning as a user does it: `ingot tune`, `ingot-run tune`, `ingot compile --tuning`.

There is no GPU: `fake_cuda.c` stands in for the driver, and what is the fastest is chance. What is
tested is that every file fits the next command, and that what does not fit is said.
"""
import json
import os
import re
import subprocess
import sys
import unittest

from support import (DEVICE, MALFORMED, OK, RESOURCES, ROOT, UNSUPPORTED, USAGE, CliTest,
                     model, shared_folder)

LLAMA = "llama-default"
SIZES = ("--max-batch", "2", "--max-tokens", "128", "--max-context", "128")
# Compiled kernels are kept from run to run.
CACHE = {"INGOT_CACHE_DIR": os.path.join(ROOT, ".cache", "kernels")}


def fake_driver():
    """Environment of a process that finds the fake driver."""
    library = os.path.join(shared_folder(), "libcuda.so.1")
    if not os.path.exists(library):
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-fvisibility=hidden", "-O1", "-o", library,
                        os.path.join(ROOT, "test", "cli", "fake_cuda.c")], check=True)
    return {"LD_LIBRARY_PATH": shared_folder()}


def entry(**changes):
    return {"gpu": {"name": "NVIDIA H100", "arch": "sm_90a", "multiprocessors": 132,
                    "memory_gb_per_second": 3352, "clock_mhz": 1980},
            "kernel": "k", "config": "{}", "microseconds": 1.5,
            "modelled": {"config": "{}", "microseconds": 2.5}, "candidates": 2, **changes}


class TuneErrors(CliTest):
    def write(self, content, name="tuning.json"):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_pack(self):
        self.fails(USAGE, "-o", "tune", model(LLAMA))
        self.fails(UNSUPPORTED, "only kernels of GPUs offer a choice(.|\n)*--target sm_90a", "tune",
                   model(LLAMA), "--target", "host", "-o", self.path("p.pack"))
        self.fails(USAGE, "is for one target", "tune", model(LLAMA), "--target", "sm_90a,sm_80", "-o",
                   self.path("p.pack"))
        self.fails(USAGE, "there is no folder", "tune", model(LLAMA), "-o", self.path("no/such/p.pack"))
        self.assertEqual(os.listdir(self.work), [])

    def test_measure(self):
        ingot = self.compiled(LLAMA)
        tuning = self.path("tuning.json")

        def fails(code, message, *arguments):
            self.fails(code, message, "tune", *arguments, tool="ingot-run")

        fails(USAGE, "expected -o FILE", ingot)
        fails(USAGE, "PACK", "-o", tuning)
        fails(USAGE, "this ingot measures nothing; expected a pack", ingot, "-o", tuning)
        fails(USAGE, "--rounds", ingot, "-o", tuning, "--rounds", "0")
        self.assertFalse(os.path.exists(tuning))
        fails(MALFORMED, "not an .ingot file", self.write("hello" * 100, "hello.pack"), "-o", tuning)
        fails(USAGE, "no/such.pack", "no/such.pack", "-o", tuning)
        # What is there is not written over by what is not like it.
        fails(MALFORMED, "-o: .*tuning.json", ingot, "-o", self.write("no JSON"))
        fails(MALFORMED, "expected a tuning file of version 1, got version 7", ingot, "-o",
              self.write({"version": 7}))

    def test_tuning_of_compile(self):
        def fails(message, content):
            self.fails(MALFORMED, f"--tuning: .*tuning.json(.|\n)*{message}", "compile", model(LLAMA), "-o",
                       self.path("m.ingot"), "--tuning", self.write(content))

        fails("", "{")
        fails("version: expected a positive integer", {"version": "1", "entries": []})
        fails("entries: expected an array", {"version": 1})
        fails(r"entries\[0\].microseconds: expected a positive number",
              {"version": 1, "entries": [entry(microseconds=0)]})
        fails(r"entries\[0\].gpu.multiprocessors: expected", {"version": 1, "entries": [entry(gpu={
            "name": "", "arch": ""})]})
        fails("", {"version": 1, "entries": [entry(kernel="k" * 100, config=3)]})
        self.fails(MALFORMED, "no/such.json", "compile", model(LLAMA), "-o", self.path("m.ingot"), "--tuning",
                   "no/such.json")
        # Another version is left aside, with a remark.
        done = self.run_tool("compile", model(LLAMA), "--stop-after", "lower", "--tuning",
                             self.write({"version": 2, "anything": []}))
        self.assertEqual(done.returncode, OK, done.stderr)
        self.assertIn("left aside: expected a tuning file of version 1, got version 2", done.stderr)


class Tune(CliTest):
    def run_fake(self, *arguments, name="NVIDIA H100 80GB HBM3", **options):
        return self.run_tool("tune", *arguments, tool="ingot-run",
                             env={**fake_driver(), "FAKE_GPU_NAME": name}, **options)

    def lowered(self, *arguments):
        done = self.run_tool("compile", model(LLAMA), "--target", "sm_90a", "--dtype", "bf16", *SIZES,
                             "--stop-after", "lower", "--remarks", *arguments)
        self.assertEqual(done.returncode, OK, done.stderr)
        return done

    def test_from_pack_to_ingot(self):
        pack, tuning = self.path("m.pack"), self.path("tuning.json")
        made = self.run_tool("tune", model(LLAMA), "-o", pack, *SIZES, env=CACHE)
        if made.returncode == UNSUPPORTED and "NVRTC" in made.stderr:
            self.skipTest(made.stderr.strip().splitlines()[-1])
        self.assertEqual(made.returncode, OK, made.stderr)
        self.assertRegex(made.stdout, r"\d+ ways to run \d+ kernels of llama for sm_90a(.|\n)*ingot-run tune")
        # Without a driver.
        none = self.run_tool("tune", pack, "-o", tuning, tool="ingot-run", env={"LD_LIBRARY_PATH": "/nonexistent"})
        if "cannot be opened" in none.stderr:
            self.assertEqual(none.returncode, DEVICE)
        done = self.run_fake(pack, "-o", self.path("no/such/tuning.json"))
        self.assertEqual(done.returncode, RESOURCES, done.stderr)

        done = self.run_fake(pack, "-o", tuning)
        self.assertEqual(done.returncode, OK, done.stderr)
        with open(tuning, encoding="utf-8") as file:
            content = json.load(file)
        kernels = [entry["kernel"] for entry in content["entries"]]
        self.assertEqual(content["version"], 1)
        self.assertEqual(len(set(kernels)), len(kernels))
        self.assertGreater(len(kernels), 3)
        self.assertEqual(done.stderr.count("\n"), len(kernels), done.stderr)
        for measured in content["entries"]:
            self.assertEqual(measured["gpu"], {"name": "NVIDIA H100 80GB HBM3", "arch": "sm_90a", "multiprocessors": 132,
                                               "memory_gb_per_second": 3352, "clock_mhz": 1980})
            self.assertGreater(measured["candidates"], 1)
        # All is there: nothing is measured, nothing is changed.
        again = self.run_fake(pack, "-o", tuning, "--json")
        self.assertEqual(json.loads(again.stdout)["measured"], 0)
        self.assertEqual(again.stderr, "")
        with open(tuning, encoding="utf-8") as file:
            self.assertEqual(json.load(file), content)
        # An interrupted run goes on where it was.
        first, rest = content["entries"][0], content["entries"][1:]
        with open(tuning, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "entries": rest}, file)
        again = self.run_fake(pack, "-o", tuning)
        self.assertEqual(again.stderr.count("\n"), 1)
        self.assertIn(first["kernel"], again.stderr)
        # Another GPU's are kept beside.
        again = self.run_fake(pack, "-o", tuning, name="NVIDIA H200")
        with open(tuning, encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["entries"]), 2 * len(kernels))

        # Every measured kernel is one of the model's, and every config one that there is.
        with open(tuning, "w", encoding="utf-8") as file:
            json.dump(content, file)
        said = self.lowered("--tuning", tuning)
        self.assertEqual(said.stderr.count(": measured on NVIDIA H100"), len(kernels), said.stderr)
        self.assertNotIn("goes by the cost model", said.stderr)
        self.assertIn("goes by the cost model", self.lowered("--tuning", tuning, "--gpu", "h200").stderr)
        # Each of the other configs is taken, too.
        plain = self.lowered().stdout
        for measured in content["entries"]:
            measured["config"] = measured["modelled"]["config"]
        with open(tuning, "w", encoding="utf-8") as file:
            json.dump(content, file)
        modelled = self.lowered("--tuning", tuning).stdout.replace("; measured on NVIDIA H100 80GB HBM3", "")
        self.assertEqual(modelled, plain)
        inspected = self.json("inspect", pack, "--section", "programs")
        self.assertTrue(inspected)

    def test_shipped(self):
        """Files that come with ingot: each for its GPU, and the first where nobody says which."""
        sys.path.append(os.path.join(ROOT, "tools", "bench", "gpu"))
        import models
        config, flags = models.MODELS["llama-3.2-1b"]
        with open(self.path("config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)

        def gpus(*arguments):
            done = self.run_tool("compile", self.work, "--target", "sm_90a", *flags, "--stop-after", "lower",
                                 *arguments)
            self.assertEqual(done.returncode, OK, done.stderr)
            return re.findall(r"measured on NVIDIA (H\d+)", done.stdout)

        counts = {name: len(gpus("--gpu", name)) for name in ("h100", "h200")}
        self.assertEqual(set(gpus("--gpu", "h100")), {"H100"})
        self.assertEqual(set(gpus("--gpu", "h200")), {"H200"})
        self.assertGreater(counts["h100"], 9)
        self.assertEqual(counts["h100"], counts["h200"])
        self.assertEqual(gpus(), ["H100"] * counts["h100"])
        self.assertEqual(gpus("--gpu", "no such"), [])


if __name__ == "__main__":
    unittest.main()
