"""`ingot compile`: what it prints, what it refuses, and with which exit code."""
import json
import os
import pty
import subprocess
import sys
import unittest

from support import (GOLDEN, MALFORMED, RESOURCES, TOOLS, UNSUPPORTED, USAGE, CliTest, model)

sys.path.insert(0, os.path.dirname(GOLDEN))
import npy  # noqa: E402

PHASES = ("import", "fuse", "unpad", "lower", "plan")
BERT, LLAMA = "bert-base", "llama-default"


class CompileErrors(CliTest):
    def fails_compile(self, code, message, *options, case=LLAMA):
        self.fails(code, message, "compile", model(case), "-o", self.path("out.ingot"), *options)
        self.assertEqual(os.listdir(self.work), [])

    def test_output(self):
        self.fails(USAGE, "no output(.|\n)*-o", "compile", model(LLAMA))
        self.fails(USAGE, "is a folder", "compile", model(LLAMA), "-o", self.work)
        self.fails(USAGE, "there is no folder", "compile", model(LLAMA), "-o",
                   self.path("no/such/out.ingot"))

    def test_target(self):
        for target in ("sm_60", "sm_90b", "sm_999"):
            self.fails_compile(UNSUPPORTED, "not supported in this version(.|\n)*x86-64-v3(.|\n)*sm_90a",
                               "--target", target)
        self.fails_compile(USAGE, r"did you mean 'x86-64-v4'\?|did you mean 'x86-64-v3'\?",
                           "--target", "x86-64v3")
        self.fails_compile(USAGE, r"did you mean 'host'\?", "--target", "hots")
        self.fails_compile(USAGE, "unknown target", "--target", "z" * 10000)

    def test_dtype(self):
        for dtype in ("bf16", "f16"):
            ir = self.ok("compile", model(BERT), "--stop-after", "import", "--dtype", dtype,
                         "--target", "x86-64-v3")
            self.assertRegex(ir, rf"transformer.linear .*x{dtype}>")
        self.fails_compile(UNSUPPORTED, "no instructions for f16", "--dtype", "f16",
                           "--target", "x86-64-v2")
        self.fails_compile(USAGE, "unknown --dtype", "--dtype", "f8")

    def test_disable(self):
        ir = self.ok("compile", model("llama-default"), "--stop-after", "fuse")
        self.assertIn("transformer.gated_linear", ir)
        self.assertIn("transformer.add_rms_norm", ir)
        ir = self.ok("compile", model("llama-default"), "--stop-after", "fuse",
                     "--disable", "fuse-projections,fuse-residual-norm")
        self.assertNotIn("transformer.gated_linear", ir)
        self.assertNotIn("transformer.add_rms_norm", ir)
        self.fails_compile(USAGE, r"did you mean 'fuse-projections'\?", "--disable", "fuse-projection")

    def test_summary(self):
        out = self.json("compile", model("llama-default"), "-o", self.path("m.ingot"))
        self.assertTrue(out["ceiling"])
        for program in out["programs"]:
            self.assertGreaterEqual(program["imported_ops"], program["ops"])
            self.assertGreater(program["activation_bytes"], 0)
            for cost in program["costs"]:
                self.assertGreater(cost["flops"], 0)
                self.assertGreater(cost["bytes"], 0)
                self.assertGreater(cost["predicted_seconds"], 0)
        # A decode step reads every weight but the table of embeddings once, and the cache of its row.
        step = {program["name"]: program for program in out["programs"]}["step"]
        decode = {cost["what"]: cost for cost in step["costs"]}["decode, 1 row, full context"]
        table = 97 * 48 * 4
        self.assertGreater(decode["bytes"], out["weight_bytes"] - table)
        self.assertLess(decode["bytes"], out["weight_bytes"] + out["state_bytes"] / 8 + out["arena_bytes"] / 8)
        # Fusion leaves fewer ops and launches.
        parts = self.json("compile", model("llama-default"), "--stop-after", "plan", "--disable",
                          "fuse-attention,fuse-projections,fuse-residual-norm,fuse-epilogues")
        for fused, unfused in zip(out["programs"], parts["programs"], strict=True):
            self.assertEqual(fused["imported_ops"], unfused["imported_ops"])
            self.assertLess(fused["ops"], unfused["ops"])
            self.assertLess(fused["launches"], unfused["launches"])
        text = self.ok("compile", model("llama-default"), "-o", self.path("m.ingot"))
        self.assertRegex(text, r"program step +\d+ ops imported, \d+ left, \d+ launches")
        self.assertRegex(text, r"decode, 1 row, full context +1 tokens, .* a token; at least")

    def test_remarks(self):
        done = self.run_tool("compile", model("llama-default"), "--stop-after", "fuse", "--remarks")
        self.assertRegex(done.stderr, r"model.layers.0.mlp.gate_proj.*fused: gate, silu and up")
        # What was done is no reason to refuse.
        self.ok("compile", model("llama-default"), "--stop-after", "fuse", "--remarks", "--no-fallback")
        # A kernel family has nothing to say of bodies that it is not for.
        done = self.run_tool("compile", model("llama-default"), "--stop-after", "lower", "--target",
                             "sm_90a", "--no-fallback")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_streams(self):
        for value in ("-1", "9", "x", ""):
            self.fails_compile(USAGE, "--streams", "--streams", value)
        with open(os.path.join(model(LLAMA), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        # Wide enough to be worth it.
        config.update(hidden_size=1024, intermediate_size=4096, num_attention_heads=16)
        os.mkdir(self.path("wide"))
        with open(self.path("wide/config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        lower = ("compile", self.path("wide"), "--dtype", "bf16", "--weights", "none", "--stop-after", "lower")
        for target, flags, most in (("sm_90a", (), 3), ("sm_90a", ("--streams", "2"), 2),
                                    ("sm_90a", ("--streams", "0"), 0),
                                    ("sm_90a", ("--disable", "stream-launches"), 0), ("sm_80", (), 0)):
            with self.subTest(target=target, flags=flags):
                text = self.ok(*lower, "--target", target, *flags)
                # The launches of all layers of the decode program: no other has so few tokens.
                launches = 5 * config["num_hidden_layers"] if most else 0
                self.assertEqual(text.count("exchanged ["), launches)
                self.assertEqual(text.count("exec.streamed"), most > 0)
                self.assertEqual(f"steps {launches} most_tokens {most} " in text, most > 0)
        for target in ("sm_80", "sm_90a,sm_80"):
            self.fails(USAGE, f"streams for sm_90a alone, got target '{target}'", *lower, "--target", target,
                       "--streams", "4")
        self.fails(USAGE, "drop one of the two flags", *lower, "--target", "sm_90a", "--streams", "4", "--disable",
                   "stream-launches")

    def test_limits(self):
        for flag in ("--max-batch", "--max-context", "--max-tokens"):
            for value in ("0", "-1", "x", "1.5", "99999999999999999999", "20000000", ""):
                with self.subTest(flag=flag, value=value):
                    self.fails_compile(USAGE, flag, flag, value)
        # More positions than the table has.
        self.fails_compile(USAGE, r"--max-context(.|\n)*40", "--max-context", "41", case=BERT)

    def test_phase(self):
        self.fails_compile(USAGE, r"did you mean 'lower'\?", "--stop-after", "lowr")
        self.fails_compile(USAGE, "import, fuse, unpad, lower, plan", "--stop-after", "link")

    def test_attention(self):
        self.fails_compile(UNSUPPORTED, r"layers.0.self_attn(.|\n)*flash takes f16 or bf16, got 'f32'",
                           "--attention", "flash")
        self.fails_compile(UNSUPPORTED, "on layer 1: flash takes", "--attention", "flash:1")
        self.fails_compile(UNSUPPORTED, "isn't fused", "--attention", "efficient:0", "--disable",
                           "fuse-attention")
        self.fails_compile(USAGE, "no layer 2; the model has layers 0 to 1", "--attention", "math:0-2")
        for request in ("fast", "", "math:", "math:x", "math:1-0", "math:-1", "math:1,,2", "math:0;",
                        "math:99999999999999999999", ":0"):
            with self.subTest(request):
                self.fails_compile(USAGE, "--attention", "--attention", request)

    def test_outputs(self):
        self.fails_compile(USAGE, r"did you mean 'attentions'\?", "--outputs", "attention")
        self.fails_compile(UNSUPPORTED, "efficient returns no probabilities", "--outputs", "attentions",
                           "--attention", "efficient")

    def test_disable(self):
        self.fails_compile(USAGE, r"did you mean 'fuse-attention'\?", "--disable", "fuse-atention")
        self.fails_compile(USAGE, "fuse-attention", "--disable", "canonicalize")

    def test_weights(self):
        self.fails_compile(USAGE, "embed or none", "--weights", "embd")

    def test_memory(self):
        self.fails_compile(RESOURCES, ".", "--max-memory", "1K")
        for size in ("1X", "-1", "", "nan", "1e400", "1GG"):
            with self.subTest(size):
                self.fails_compile(USAGE, "--max-memory", "--max-memory", size)

    def test_model(self):
        self.fails(MALFORMED, "no such folder", "compile", self.path("nothing"), "-o",
                   self.path("x.ingot"))
        self.fails(MALFORMED, "config.json", "compile", self.work, "-o", self.path("x.ingot"))
        self.fails(MALFORMED, "config.json", "compile", "/dev/null", "-o", self.path("x.ingot"))

    def test_unwritable(self):
        self.fails(USAGE, ".", "compile", model(LLAMA), "-o", "/proc/out.ingot")

    def test_json_error(self):
        done = self.run_tool("compile", model(LLAMA), "-o", self.path("x.ingot"), "--target", "sm_60",
                             "--json")
        self.assertEqual(done.returncode, UNSUPPORTED)
        error = json.loads(done.stdout)["error"]
        self.assertEqual((error["code"], error["kind"]), (UNSUPPORTED, "unsupported"))
        self.assertIn(error["message"], done.stderr)

    def test_dump_folder(self):
        blocked = self.path("file")
        open(blocked, "w").close()
        self.fails(USAGE, "--dump-phases", "compile", model(LLAMA), "-o", self.path("x.ingot"),
                   "--dump-phases", os.path.join(blocked, "phases"))


class CompileResults(CliTest):
    def test_padding(self):
        sizes = ("--max-batch", "4", "--max-context", "32")
        out = self.json("compile", model(LLAMA), "-o", self.path("m.ingot"), *sizes)
        for program in out["programs"]:
            half, tenth = [s for s in program["savings"] if s["tokens"]][:2]
            self.assertEqual((half["fill"], tenth["fill"]), (0.5, 0.1))
            self.assertGreater(half["share"], 0.5)  # attention saves more than its tokens
            self.assertGreater(tenth["flops"], half["flops"])
        described = self.json("inspect", self.path("m.ingot"))
        for program in described["programs"]:
            saved = {s["fill_percent"]: s["tokens"] for s in program["unpadding"]["saved"]}
            self.assertEqual(program["unpadding"]["largest_batch"], 128)
            self.assertEqual(saved, {50: 64, 30: 89, 10: 115})
        out = self.json("compile", model(LLAMA), "-o", self.path("m.ingot"), *sizes, "--disable",
                        "remove-padding")
        self.assertEqual([program["savings"] for program in out["programs"]], [[], []])
        self.assertNotIn("unpadding", json.dumps(self.json("inspect", self.path("m.ingot"))))
        # Of packed input there is no padded twin: nothing is saved, and the ports say what comes in.
        self.ok("compile", model(BERT), "-o", self.path("p.ingot"), *sizes, "--packed-input")
        program, = self.json("inspect", self.path("p.ingot"))["programs"]
        ports = {port["name"]: port["shape"] for port in program["inputs"]}
        self.assertEqual(ports["input_ids"], ["T"])
        self.assertEqual(ports["cu_seqlens"], [5])
        self.assertNotIn("attention_mask", ports)
        self.assertNotIn("saved", program["unpadding"])

    def test_summary(self):
        text = self.ok("compile", model(LLAMA), "-o", self.path("m.ingot"))
        self.assertEqual(os.listdir(self.work), ["m.ingot"])
        for word in ("compile time", "peak memory", "run memory", "kernels", "launches", "forward",
                     "step", "weights"):
            self.assertIn(word, text)

    def test_json(self):
        report = self.json("compile", model(LLAMA), "-o", self.path("m.ingot"))
        self.assertEqual([phase["name"] for phase in report["phases"]], [*PHASES, "codegen"])
        self.assertEqual({program["name"] for program in report["programs"]}, {"forward", "step"})
        for key in ("seconds", "peak_bytes", "arena_bytes", "weight_bytes", "state_bytes", "kernels",
                    "code_bytes", "file_bytes"):
            self.assertGreater(report[key], 0, key)
        self.assertEqual(report["file_bytes"], os.path.getsize(self.path("m.ingot")))

    def test_stop_after(self):
        for phase, word in zip(PHASES, ("transformer.program", "transformer.attention",
                                        "transformer.cu_seqlens", "exec.kernel", "arena_bytes")):
            with self.subTest(phase):
                self.assertIn(word, self.ok("compile", model(BERT), "--stop-after", phase))
                report = self.json("compile", model(BERT), "--stop-after", phase)
                self.assertEqual(report["phase"], phase)
                self.assertIn(word, report["ir"])
        self.assertEqual(os.listdir(self.work), [])

    def test_stopped_ir_parses(self):
        for phase in PHASES:
            with self.subTest(phase):
                path = self.path(phase + ".mlir")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(self.ok("compile", model(LLAMA), "--stop-after", phase))
                self.ok(path, "--verify-roundtrip", tool="ingot-opt")

    def test_dumps(self):
        phases, kernels = self.path("a/b"), self.path("c/d")
        self.ok("compile", model(BERT), "-o", self.path("m.ingot"), "--dump-phases", phases,
                "--dump-kernels", kernels)
        self.assertEqual(sorted(os.listdir(phases))[:len(PHASES)],
                         [f"{number:02}-{phase}.mlir" for number, phase in enumerate(PHASES, 1)])
        self.assertTrue(os.listdir(kernels))

    def test_weights_none_needs_no_weights(self):
        os.makedirs(self.path("model"))
        with open(os.path.join(model(LLAMA), "config.json"), "rb") as file, \
                open(self.path("model/config.json"), "wb") as copy:
            copy.write(file.read())
        self.ok("compile", self.path("model"), "-o", self.path("m.ingot"), "--weights", "none")
        self.fails(MALFORMED, "safetensors", "compile", self.path("model"), "-o",
                   self.path("n.ingot"))

    def test_targets(self):
        for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
            with self.subTest(level):
                report = self.json("compile", model(BERT), "-o", self.path("m.ingot"), "--target",
                                   level)
                self.assertEqual(report["target"], level)
                self.assertIn(level, self.ok("inspect", self.path("m.ingot")))

    def test_several_targets(self):
        """One file for several processors: each runs its own code and gives what an ingot for it alone does."""
        run = ["--input", "input_ids=11,12,13;14,15,16", "--output", "last_hidden_state=@"]
        report = self.json("compile", model(BERT), "-o", self.path("both.ingot"), "--target",
                           "x86-64-v2,x86-64-v3")
        self.assertEqual(report["target"], "x86-64-v2, x86-64-v3")
        plan = self.json("inspect", self.path("both.ingot"))["plan"]
        self.assertEqual([target["arch"] for target in plan["targets"]], ["x86-64-v2", "x86-64-v3"])
        kernels = self.json("inspect", self.path("both.ingot"), "--section", "kernels")["kernels"]
        self.assertEqual(len(kernels), 2 * report["kernels"])
        self.assertEqual(sum(bool(kernel.get("variants")) for kernel in kernels), report["kernels"])
        self.json("compile", model(BERT), "-o", self.path("one.ingot"), "--target", "x86-64-v3")
        for name in ("both", "one"):
            self.ok("run", self.path(name + ".ingot"), *run[:-1], run[-1] + self.path(name + ".npy"))
        both, one = (npy.load(self.path(name + ".npy")).values for name in ("both", "one"))
        worst = max(abs(a - b) for a, b in zip(both, one, strict=True))
        self.assertLess(worst, 1e-5 * max(map(abs, one)))
        # The processors do not agree on how weights lie: said, and an error where that is not wanted.
        done = self.run_tool("compile", model(BERT), "-o", self.path("both.ingot"), "--target",
                             "x86-64-v2,x86-64-v4", "--no-fallback")
        self.assertEqual(done.returncode, UNSUPPORTED, done.stderr)
        self.fails(UNSUPPORTED, "several GPUs or for several processors", "compile", model(BERT), "-o",
                   self.path("x.ingot"), "--target", "x86-64-v3,sm_80")
        self.fails(USAGE, "named twice", "compile", model(BERT), "-o", self.path("x.ingot"), "--target",
                   "x86-64-v3,x86-64-v3")

    def test_overwrites(self):
        with open(self.path("m.ingot"), "w", encoding="utf-8") as file:
            file.write("old")
        self.ok("compile", model(BERT), "-o", self.path("m.ingot"))
        self.ok("inspect", self.path("m.ingot"))
        self.assertEqual(os.listdir(self.work), ["m.ingot"])

    def test_full_stdout(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([os.path.join(TOOLS, "ingot"), "compile", model(BERT),
                                   "--stop-after", "import"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, RESOURCES, done.stderr)


class Progress(CliTest):
    """Progress and colours are for terminals, and NO_COLOR is respected."""

    def on_terminal(self, **env):
        reader, writer = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        process = subprocess.Popen([os.path.join(TOOLS, "ingot"), "compile", model(BERT), "-o",
                                    self.path("m.ingot")], stdout=subprocess.PIPE, stderr=writer,
                                   env={**environment, "TERM": "xterm", **env})
        os.close(writer)
        seen = b""
        while True:
            try:
                data = os.read(reader, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(reader)
        process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        return seen.decode()

    def test_terminal(self):
        seen = self.on_terminal()
        self.assertIn("[1/6]", seen)
        self.assertIn("codegen", seen)
        self.assertIn("\033[1;32m", seen)

    def test_no_color(self):
        seen = self.on_terminal(NO_COLOR="1")
        self.assertIn("[6/6] codegen", seen)
        self.assertNotIn("\033[1;3", seen)

    def test_pipe(self):
        done = self.run_tool("compile", model(BERT), "-o", self.path("m.ingot"),
                             env={"TERM": "xterm"})
        self.assertNotIn("[1/6]", done.stderr)
        self.assertNotIn("\033", done.stderr)


if __name__ == "__main__":
    unittest.main()
