"""`ingot verify`: what it proves, what it refuses."""
import json
import os
import shutil
import unittest

from support import ACCURACY, MALFORMED, OK, USAGE, CliTest, model

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

    def test_no_model(self):
        self.fails(MALFORMED, "config.json", "verify", self.path("nothing"))


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
