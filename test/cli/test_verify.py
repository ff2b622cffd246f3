"""`ingot verify`: what it proves, what it refuses."""
import json
import os
import shutil
import subprocess
import unittest

from support import ACCURACY, MALFORMED, OK, TOOLS, USAGE, CliTest, model

BERT, LLAMA = "bert-base", "llama-default"


class Verify(CliTest):
    def test_every_pass_is_compared(self):
        result = self.json("verify", model(BERT))
        self.assertTrue(result["ok"])
        self.assertNotIn("failure", result)
        (program,) = result["programs"]
        self.assertEqual(program["name"], "forward")
        self.assertGreaterEqual(program["cases"], 8)
        stages = program["stages"]
        self.assertEqual(stages[0]["phase"], "import")
        self.assertTrue(any(stage["evaluated"] for stage in stages))
        for stage in stages[1:]:
            self.assertEqual(stage["evaluated"], stage["changed"])
            if stage["evaluated"]:
                self.assertLessEqual(stage["error"], stage["budget"])
        self.assertGreater(result["kernels_reused"], 0)

    def test_text(self):
        text = self.ok("verify", model(BERT), "--pass", "canonicalize")
        self.assertRegex(text, r"canonicalize +ok +error")

    def test_random_weights_without_a_checkpoint(self):
        folder = self.path("config-only")
        os.mkdir(folder)
        shutil.copy(os.path.join(model(LLAMA), "config.json"), folder)
        self.fails(USAGE, "random:SEED", "verify", folder)
        result = self.json("verify", folder, "--weights", "random:3", "--programs", "step",
                           "--max-batch", "2", "--max-context", "20")
        self.assertTrue(result["ok"])
        self.assertEqual([program["name"] for program in result["programs"]], ["step"])

    def test_usage(self):
        for message, arguments in (
                ("MODEL", []), ("did you mean 'forward'", [model(BERT), "--programs", "forwrd"]),
                ("did you mean 'cse'", [model(BERT), "--pass", "csee"]),
                ("sm_90a|host", [model(BERT), "--target", "sm_90a"]),
                ("--seed", [model(BERT), "--seed", "-1"]),
                ("random", [model(BERT), "--weights", "random:x"]),
                ("--pass-option", [model(BERT), "--pass-option", "cse"]),
                ("no pass 'nothing'", [model(BERT), "--pass-option", "nothing=a=1"]),
                ("--reproduce", ["--reproduce", self.path("nothing")]),
                ("MODEL", [model(BERT), "--reproduce", self.work])):
            with self.subTest(arguments):
                done = self.run_tool("verify", *arguments)
                self.assertIn(done.returncode, (USAGE, 4), done.stderr)
                self.assertRegex(done.stderr, message)

    def test_what_compile_takes(self):
        """Back ends, outputs and passes that are left out are verified as they would be compiled."""
        small = ["--max-batch", "2", "--max-context", "12", "--programs", "forward"]
        result = self.json("verify", model(LLAMA), "--attention", "math:1", "--outputs", "attentions", *small)
        self.assertTrue(result["ok"])
        result = self.json("verify", model(LLAMA), "--disable", "fuse-attention,remove-padding", *small)
        passes = [stage["pass"] for stage in result["programs"][0]["stages"]]
        self.assertIn("fuse-projections", passes)
        self.assertNotIn("fuse-attention", passes)
        self.assertNotIn("remove-padding", passes)
        self.fails(USAGE, "did you mean 'fuse-attention'", "verify", model(LLAMA), "--disable", "fuse-atention")
        self.fails(USAGE, "--outputs", "verify", model(LLAMA), "--outputs", "attention")

    def test_an_ingot(self):
        ingot = self.path("m.ingot")
        self.ok("compile", model(BERT), "-o", ingot)
        self.fails(USAGE, "--debug-info", "verify", ingot)
        self.ok("compile", model(BERT), "-o", ingot, "--debug-info", "--weights", "none")
        self.fails(USAGE, "--weights", "verify", ingot)
        self.fails(USAGE, "is a file", "verify", ingot, "--pass", "cse")
        result = self.json("verify", ingot, "--weights", "random:3", "--max-batch", "2")
        self.assertTrue(result["ok"])
        (program,) = result["programs"]
        self.assertEqual(program["launches"], sum(kernel["launches"] for kernel in program["kernels"]))
        for kernel in program["kernels"]:
            self.assertLessEqual(kernel["error"], kernel["budget"])
        self.assertRegex(self.ok("verify", ingot, "--weights", model(BERT)), r"attention +\d+ +ok +error")
        with open(ingot, "r+b") as file:
            file.truncate(1000)
        self.assertIn(self.run_tool("verify", ingot).returncode, (MALFORMED, 6))

    def test_no_model(self):
        self.fails(MALFORMED, "config.json", "verify", self.path("nothing"))


class Faults(CliTest):
    """Passes that are broken on purpose, by options that only tests set."""

    def broken(self, fault, *arguments):
        """The failure that verify reports; a reproducer is in self.path("drift")."""
        name = fault.split("=")[0]
        done = self.run_tool("verify", model(LLAMA), "--json", "--pass", name, "--pass-option", fault,
                             "--reproducer", self.path("drift"), *arguments)
        self.assertEqual(done.returncode, ACCURACY, done.stderr)
        self.assertIn(f"pass {name} ", done.stderr)
        report = json.loads(done.stdout)
        self.assertFalse(report["ok"])
        failure = report["failure"]
        self.assertEqual(failure["pass"], name)
        self.assertGreater(failure["error"], 1000 * failure["budget"])
        return failure

    def check_reproducer(self, fault):
        """What its README says to run does what it says; without the fault nothing drifts."""
        folder = self.path("drift")
        with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
            commands = [line.strip() for line in file if line.startswith("    ")]
        self.assertEqual([line.split()[0] for line in commands], ["ingot-opt", "ingot"])
        environment = {**os.environ, "PATH": TOOLS + ":" + os.environ["PATH"]}
        codes = [subprocess.run(["bash", "-c", line], cwd=folder, env=environment, timeout=120,
                                capture_output=True, check=False).returncode for line in commands]
        self.assertEqual(codes, [OK, ACCURACY])
        option = fault.split("=", 1)[1]
        path = os.path.join(folder, "reproducer.json")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(option, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(option, ""))
        self.ok("verify", "--reproduce", folder)

    def test_dropped_scale(self):
        fault = "fuse-attention=test-drop-scale=1"
        failure = self.broken(fault, "--programs", "forward")
        self.assertEqual(failure["phase"], "fuse")
        self.assertEqual(failure["op"], "transformer.attention")
        self.assertEqual(failure["location"], "model.layers.1.self_attn")
        # The part that is left is that attention: no ids, no other layer.
        with open(self.path("drift/before.mlir"), encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count("transformer.softmax"), 1)
        self.assertNotIn("transformer.embedding", text)
        self.assertFalse(os.path.exists(self.path("drift/call0.input_ids.npy")))
        self.check_reproducer(fault)

    def test_dropped_scale_in_steps(self):
        fault = "fuse-attention=test-drop-scale=0"
        failure = self.broken(fault, "--programs", "step")
        self.assertEqual(failure["location"], "model.layers.0.self_attn")
        self.check_reproducer(fault)

    def test_dropped_residual(self):
        fault = "fuse-residual-norm=test-drop-residual=1"
        failure = self.broken(fault, "--programs", "forward")
        self.assertEqual(failure["op"], "transformer.add_rms_norm")
        self.assertRegex(failure["location"], r"model\.layers\.1\.")
        self.check_reproducer(fault)

    def test_dropped_validity(self):
        fault = "select-attention=test-drop-validity=0"
        failure = self.broken(fault, "--programs", "forward")
        self.assertEqual(failure["op"], "transformer.attention")
        self.assertEqual(failure["location"], "model.layers.0.self_attn")
        self.check_reproducer(fault)

    def test_later_tokens(self):
        fault = "remove-padding=test-drop-causal=1"
        failure = self.broken(fault, "--programs", "forward")
        self.assertEqual((failure["phase"], failure["op"]), ("unpad", "transformer.attention"))
        self.assertEqual(failure["location"], "model.layers.1.self_attn")
        self.check_reproducer(fault)

    def test_text(self):
        done = self.run_tool("verify", model(LLAMA), "--programs", "forward", "--pass",
                             "fuse-attention", "--pass-option", "fuse-attention=test-drop-scale=1")
        self.assertEqual(done.returncode, ACCURACY)
        self.assertRegex(done.stdout, r"fuse +fuse-attention +DRIFTS")
        self.assertRegex(done.stderr, r"first op that drifts: transformer\.attention at "
                                      r"model\.layers\.1\.self_attn \(was transformer\.merge_heads\)")
        self.assertIn("--reproducer DIR", done.stderr)

    def test_no_folder_for_the_reproducer(self):
        file = self.path("file")
        open(file, "w", encoding="utf-8").close()
        done = self.run_tool("verify", model(LLAMA), "--programs", "forward", "--pass",
                             "fuse-attention", "--pass-option", "fuse-attention=test-drop-scale=1",
                             "--reproducer", file)
        self.assertEqual(done.returncode, USAGE, done.stderr)
        self.assertIn("--reproducer", done.stderr)


class Reproduce(CliTest):
    def test_malformed(self):
        path = self.path("reproducer.json")
        complete = {"program": "forward", "phase": "fuse", "pass": "cse", "target": "host",
                    "weights": "random:1", "pipeline": "builtin.module(func.func(cse))",
                    "budget": 1e-5, "calls": []}
        for change in ({"budget": "x"}, {"program": None}, {"weights": "../x"},
                       {"calls": [{"valid": "../v.npy", "inputs": {}}]}, {}):
            with self.subTest(change):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({**complete, **change}, file)
                self.fails(MALFORMED, ".", "verify", "--reproduce", self.work)
        with open(path, "w", encoding="utf-8") as file:
            file.write("{")
        self.fails(MALFORMED, "reproducer.json", "verify", "--reproduce", self.work)


if __name__ == "__main__":
    unittest.main()
