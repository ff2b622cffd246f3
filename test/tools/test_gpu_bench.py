#!/usr/bin/env python3
"""tools/bench/gpu without a GPU: what it reads of an ingot, how it launches (on a driver that only notes), reports,
comparisons, plots (skipped without matplotlib), messages, and the commands of its README.

    test_gpu_bench.py --bin build/bin
"""
import argparse
import contextlib
import ctypes
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "tools", "bench")
sys.path.insert(0, os.path.join(BENCH, "gpu"))
import compare
import gpu_bench
import kernel_cases
import kernels
import launcher
import models
import plan
import report
import tables
import whole_models

OPTIONS = None


def times(median, spread=0.01):
    return {"median": median, "min": median * (1 - spread), "max": median * (1 + spread)}


def make_report(kind, scale=1.0):
    """A report of a GPU that reads 3 TB/s and multiplies at 750 TFLOP/s, of which every case reaches 0.8 / scale."""
    rates = {"read": 3e12, "gemm": 750e12, "upload": 55e9, "fp8": 1400e12}
    data = {"kind": kind, "machine": {"device": "Some GPU", "driver": "580.1", "date": "2026-01-02", "torch": "2.11",
                                      "cuda": "13.0", "cudnn": "91000", "transformers": "5.17"},
            "rates": rates, "cases": [], "failures": []}

    def add(model, case, flops, bytes_, peers, **more):
        floor = max(flops / rates["gemm"], bytes_ / rates["read"]) * 1e3
        data["cases"].append({"model": model, "case": case, "ingot_ms": times(floor * scale / 0.8),
                              "peers_ms": {peer: times(floor * slower) for peer, slower in peers.items()},
                              "floor_ms": floor, "flops": flops, "bytes": bytes_, **more})

    if kind == "models":
        for name in ("llama-3.2-1b", "llama-3.1-8b"):
            for case in models.CASES[name]:
                peers = {"eager": 9, "compiled": 1.7} if case[1] in models.PEER_DECODE_ROWS else {}
                add(name, whole_models.case_name(case), *models.work(name, case), peers)
    else:
        for rows in (1, 16, 512, 4096):
            add("llama-3.2-1b", f"step o_proj {rows} 2048x2048", 2 * rows * 2048**2,
                2 * (2048**2 + rows * 4096), {"cublaslt": 1.2}, family="linear", kernel="linear")
        add("bert-base", "forward self 4x4096 full", 10**12, 10**8, {"cudnn": 1.1}, family="attention",
            kernel="attention")
    return data


class Plan(unittest.TestCase):
    def test_sizes(self):
        values = {"B": 3, "S": 100}
        for text, expected in (("12", 12), ("B", 3), ("B * S * 2", 600), ("ceil(B * S / 256)", 2),
                               ("ceil(B * 512 / 256)", 6)):
            self.assertEqual(plan.size(text, values), expected, text)
        self.assertEqual(plan.sizes("ceil(B * S / 256), 1, 1", values), [2, 1, 1])
        self.assertEqual(plan.sizes("", values), [])

    def test_buffer(self):
        buffer = plan.Buffer("arena+256 bf16[T, 64]")
        self.assertEqual((buffer.space, buffer.dtype, buffer.shape({"T": 5})), ("arena", "bf16", [5, 64]))
        with self.assertRaisesRegex(ValueError, "got 'arena'"):
            plan.Buffer("arena")

    def test_fits(self):
        for arch, capability, expected in (("sm_90a", (9, 0), True), ("sm_90a", (10, 0), False),
                                           ("sm_80", (8, 6), True), ("sm_86", (8, 0), False), ("sm_80", (9, 0), False),
                                           ("sm_100a", (10, 0), True)):
            self.assertEqual(plan.fits(arch, capability), expected, (arch, capability))

    def test_ingot(self):
        """What the compiler writes: launches of both families, whose sizes and tensor maps can be worked out."""
        with tempfile.TemporaryDirectory() as work:
            file = os.path.join(work, "tiny.ingot")
            done = subprocess.run([os.path.join(OPTIONS.bin, "ingot"), "compile",
                                   os.path.join(ROOT, "test/golden/cases/llama-default/model"), "-o", file,
                                   "--target", "sm_90a", "--dtype", "bf16", "--max-batch", "4", "--max-context", "64"],
                                  capture_output=True, text=True)
            if done.returncode == 4 and "NVRTC" in done.stderr:
                self.skipTest("no NVRTC")
            self.assertEqual(done.returncode, 0, done.stderr)
            read = plan.read(os.path.join(OPTIONS.bin, "ingot-run"), file)
        self.assertEqual(read.arch, "sm_90a")
        values, families = {"B": 2, "S": 8, "S1": 1, "T": 16, "NB": 4}, set()
        for launch in (launch for launches in read.launches.values() for launch in launches):
            families.add(launch.family)
            self.assertEqual(launch.code[:4], b"\x7fELF", launch.location)
            self.assertEqual(len(plan.sizes(launch.grid, values)), 3)
            self.assertEqual(len(launch.buffers), launch.kernel["buffers"])
            for buffer in launch.buffers:
                self.assertTrue(all(extent > 0 for extent in buffer.shape(values)))
            arguments = {f"size{i}": size for i, size in enumerate(plan.sizes(launch.sizes, values))}
            self.assertEqual(len(arguments), launch.kernel["sizes"])
            for spec in launch.kernel.get("tensor_maps", []):
                self.assertEqual(len(plan.sizes(spec["dims"], arguments)), len(spec["box"]))
                self.assertEqual(len(plan.sizes(spec["strides"], arguments)), len(spec["box"]) - 1)
        self.assertLessEqual({"linear", "gated_linear", "attention"}, families)


class NotingDriver:
    """The functions that a launch calls, which note their arguments."""

    def __init__(self, failing=None):
        self.calls, self.failing = {}, failing

    def __getattr__(self, name):
        def call(*arguments):
            if name == "cuGetErrorString":
                arguments[1]._obj.value = b"what the driver says"
            elif name == "cuLaunchKernelEx":
                config, parameters = arguments[0]._obj, arguments[2]
                attributes = [(config.attributes[i].id, list(config.attributes[i].value[:3]))
                              for i in range(config.attribute_count)]
                words = [ctypes.cast(parameter, ctypes.POINTER(ctypes.c_int64))[0] for parameter in parameters[:4]]
                self.calls[name] = (list(config.grid), list(config.block), config.shared_bytes, config.stream,
                                    attributes, words, parameters[4])
            else:
                self.calls.setdefault(name, []).append(arguments)
            return 1 if name == self.failing else 0
        return call


class Launch(unittest.TestCase):
    def launch(self):
        kernel = {"entry": "some_kernel", "image": 0, "buffers": 2, "sizes": 1, "shared_bytes": 70000,
                  "block": [384, 1, 1], "cluster": [2, 1, 1], "overlaps": True, "device_sizes": [0],
                  "description": "linear, M=d0",
                  "tensor_maps": [{"buffer": 1, "offset": 64, "dtype": "bf16", "dims": "64, size0", "strides": "128",
                                   "box": [64, 128], "swizzle": 128, "l2_promotion": 256, "nan_fill": False}]}
        step = {"location": "here", "grid": "131, 1, 1", "sizes": "T", "buffers": ["arena+0 bf16[T, 64]"] * 2}
        return plan.Launch(step, kernel, b"\x7fELF")

    def test_launch(self):
        """Arguments in order, whole clusters, attributes, a map at a multiple of 64."""
        driver = NotingDriver()
        kernel = launcher.Kernel(driver, self.launch())
        kernel.prepare([131, 1, 1], [4096, 8192], [33])(77)
        self.assertEqual([(call[1], call[2]) for call in driver.calls["cuFuncSetAttribute"]], [(8, 70000)])
        grid, block, shared, stream, attributes, words, last = driver.calls["cuLaunchKernelEx"]
        self.assertEqual((grid, block, shared, stream), ([132, 1, 1], [384, 1, 1], 70000, 77))
        self.assertEqual(attributes, [(4, [2, 1, 1]), (6, [1, 0, 0])])
        self.assertEqual(words, [4096, 8192, 33, 0])  # the last: no address of a size
        encoded = driver.calls["cuTensorMapEncodeTiled"][0]
        self.assertEqual(encoded[0].value, last)
        self.assertEqual(last % 64, 0)
        self.assertEqual((encoded[1], encoded[2], encoded[3].value), (9, 2, 8192 + 64))
        self.assertEqual([list(encoded[i]) for i in (4, 5, 6, 7)], [[64, 33], [128], [64, 128], [1, 1]])
        self.assertEqual(encoded[8:], (0, 3, 3, 0))

    def test_error(self):
        with self.assertRaisesRegex(RuntimeError, "finding some_kernel: what the driver says .CUDA error 1"):
            launcher.Kernel(NotingDriver("cuModuleGetFunction"), self.launch())


class Cases(unittest.TestCase):
    def test_batches(self):
        """Every model has linear layers of few and of many tokens, and attention; ingots of one name have one way
        to be compiled."""
        flags = {}
        for batch in kernel_cases.BATCHES:
            self.assertEqual(flags.setdefault(batch.file(""), batch.flags()), batch.flags())
            self.assertLessEqual(batch.values()["T"], batch.tokens)
        for name in ("llama-3.2-1b", "llama-3.1-8b", "llama-7b", "falcon-7b"):
            mine = [batch for batch in kernel_cases.BATCHES if batch.model == name]
            self.assertEqual({batch.values()["T"] for batch in mine if "linear" in batch.families} & {1, 16, 512, 4096},
                             {1, 16, 512, 4096})
        lengths = {(batch.model, batch.length) for batch in kernel_cases.BATCHES if batch.families == ("attention",)}
        for name in ("llama-3.2-1b", "llama-3.1-8b", "bert-base", "encoder-d128"):
            self.assertLessEqual({(name, 1024), (name, 4096), (name, 16384)}, lengths)

    def test_selection(self):
        """Each kernel and shape once; of a prefill only what works on all tokens."""
        kernel = {"entry": "k", "description": "linear, M=d0"}
        step = {"grid": "1, 1, 1", "sizes": "T"}
        def make(location, rows):
            return plan.Launch({**step, "location": location, "buffers": [
                f"arena+0 bf16[{rows}, 64]", "weights+0 bf16[128, 64]", f"arena+0 bf16[{rows}, 128]"]}, kernel, b"")
        other = plan.Launch({**step, "location": "norm", "buffers": ["arena+0 bf16[T, 64]"]},
                            {"entry": "n", "description": "rms_norm; a block a row"}, b"")
        launches = [make("layers.0.o_proj", "T"), other, make("layers.1.o_proj", "T"), make("lm_head", "B")]
        found = {}
        for program, rows in (("step", 1), ("decode", 2)):
            batch = kernel_cases.Batch("llama-7b", 512, program, rows, 8 if program == "step" else 1, ("linear",))
            whole = mock.Mock(launches={program: launches}, arch="sm_90a")
            found[program] = [case.name for case in kernel_cases.cases(batch, whole)]
        self.assertEqual(found, {"step": ["llama-7b step o_proj 8 128x64"],
                                 "decode": ["llama-7b decode o_proj 2 128x64"]})

    def test_work(self):
        """A decode step reads all weights once for all rows; a prefill computes what its tokens need."""
        one, many = (models.work("llama-3.1-8b", ("decode", rows, 512, 100)) for rows in (1, 16))
        self.assertAlmostEqual(one[1] / 1e9, 15.0, delta=0.2)
        self.assertLess(many[1] / one[1], 1.1)
        self.assertAlmostEqual(many[0] / one[0], 16)
        flops, _ = models.work("llama-7b", ("prefill", 1, 4096, 100))
        self.assertAlmostEqual(flops / 1e12, 58, delta=1)


class Reports(unittest.TestCase):
    def test_written_as_it_comes(self):
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "run.json")
            made = make_report("models")
            out = report.Report("models", path, made["machine"])
            out.add(made["cases"][0])
            with contextlib.redirect_stderr(io.StringIO()) as shown:
                out.fail("the second", ValueError("what went wrong"))
                code = out.end()
            read = report.read(path)
            self.assertEqual(os.listdir(work), ["run.json"])
        self.assertEqual((len(read["cases"]), code), (1, 1))
        self.assertEqual(read["failures"], [{"case": "the second", "text": "ValueError: what went wrong"}])
        self.assertIn("1 failed: the second", shown.getvalue())

    def test_lines(self):
        case = make_report("kernels")["cases"][0]
        line = tables.kernel_line("x", case)
        self.assertIn("0.80", line)
        self.assertIn("(0.96x)", line)  # the peer takes 1.2 floors, Ingot 1 / 0.8
        missing = tables.model_line("x", {**case, "ingot_ms": None})
        self.assertRegex(missing, r"x +- +-  cublaslt \d")

    def test_summary(self):
        data = make_report("kernels")
        for case, rows in zip(data["cases"], (1, 16)):
            case["case"] = f"decode o_proj {rows} 2048x2048"
        for i, speed in ((0, 0.9), (3, 0.5)):
            data["cases"][i]["peers_ms"]["cublaslt"] = times(data["cases"][i]["ingot_ms"]["median"] * speed)
        self.assertEqual(tables.kernel_summary(data), [
            "linear, decode: 2 cases, 0.80 of the floor; 0.93x cublaslt's speed, least 0.90x "
            "(llama-3.2-1b decode o_proj 1 2048x2048)",
            "linear, many rows: 2 cases, 0.80 of the floor; 0.69x cublaslt's speed, least 0.50x "
            "(llama-3.2-1b step o_proj 4096 2048x2048)",
            "attention, many rows: 1 cases, 0.80 of the floor; 0.88x cudnn's speed, least 0.88x "
            "(bert-base forward self 4x4096 full)"])

    def test_compare(self):
        old, new = make_report("models"), make_report("models")
        new["cases"][0]["ingot_ms"] = times(new["cases"][0]["ingot_ms"]["median"] * 1.03)
        new["cases"][1]["ingot_ms"] = times(new["cases"][1]["ingot_ms"]["median"] * 0.9)
        # Within one of the spreads: not a change.
        new["cases"][2]["ingot_ms"] = times(new["cases"][2]["ingot_ms"]["median"] * 1.03, spread=0.05)
        new["cases"][3]["ingot_ms"] = None
        new["rates"]["read"] *= 0.9
        lines, slower = compare.compare(old, new)
        text = "\n".join(lines)
        self.assertEqual(slower, 1)
        self.assertRegex(text, r"slower:\n +1.030x  llama-3.2-1b decode 1x512: ")
        self.assertRegex(text, r"faster:\n +0.900x  llama-3.2-1b decode 2x512: ")
        self.assertIn("only in the first: llama-3.2-1b decode 8x512", text)
        self.assertIn("read rate 0.900x", text)
        self.assertRegex(text, r"1 slower, 1 faster, \d+ within the spread$")


def run(*arguments):
    """(exit code, stdout, stderr) of the command line."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err, \
            mock.patch.object(sys, "argv", ["gpu_bench.py", *arguments]):
        try:
            code = gpu_bench.main()
        except SystemExit as ended:
            code = ended.code
    return code, out.getvalue(), err.getvalue()


class CommandLine(unittest.TestCase):
    def expect(self, code, pattern, *arguments):
        got, _, err = run(*arguments)
        self.assertEqual(got, code, err)
        self.assertRegex(err, pattern)

    def test_messages(self):
        with tempfile.TemporaryDirectory() as work:
            self.expect(2, "unknown model 'x'; there are llama-3.2-1b", "run", "--out", work, "--models", "x")
            program = os.path.join(OPTIONS.bin, "ingot-run")
            self.expect(2, "kernels.ingot is missing; make it with: gpu_bench.py kernels --compile --out", "kernels",
                        "--out", work, "--list", "--ingot-run", program)
            self.expect(2, "nowhere: no such program; build it, or say with --ingot-run", "kernels", "--out", work,
                        "--list", "--ingot-run", "nowhere")
            file = os.path.join(work, "bert-base.512.kernels.ingot")
            with open(file, "w", encoding="utf-8") as stream:
                stream.write("no ingot")
            with self.assertRaisesRegex(report.Failure, "ingot-run inspect ended with exit code 3") as failed:
                plan.read(program, file)
            self.assertEqual(failed.exception.code, 3)
            broken = os.path.join(work, "broken.json")
            self.expect(2, "broken.json: No such file", "compare", broken, broken)
            for text, message in (("{", "got: Expecting"), ('{"cases": [1]}', "expected the JSON of `gpu_bench.py run"),
                                  ('{"machine": {}, "cases": [{}]}', "expected the JSON of `gpu_bench.py run")):
                with open(broken, "w", encoding="utf-8") as file:
                    file.write(text)
                self.expect(3, message, "compare", broken, broken)
            self.expect(2, "ingot: no such program; build it, or say with --bin", "kernels", "--compile", "--out", work,
                        "--bin", work)

    def test_missing_packages(self):
        with mock.patch.dict(sys.modules, {"torch": None, "matplotlib": None}):
            self.expect(4, "package torch is missing .*-m pip install torch", "run", "--out", "x")
            self.expect(4, "package matplotlib is missing .*-m pip install matplotlib", "plot", "x.json", "-o", "x")

    def test_only(self):
        options = argparse.Namespace(out="x", models=["llama-7b", "bert-base"], only="9x", ingot_run="true")
        with self.assertRaisesRegex(report.Failure, "'9x' leaves no case; there are:\n  llama-7b prefill 1x4096"):
            whole_models.all_cases(options)
        options.only = "1x512,prefill"
        with mock.patch("os.path.exists", return_value=True):
            self.assertEqual(whole_models.all_cases(options),
                             {"llama-7b": [("prefill", 1, 4096, 100)], "bert-base": [("forward", 1, 512, 100)]})

    def test_compare(self):
        with tempfile.TemporaryDirectory() as work:
            paths = []
            for name, scale in (("old", 1), ("new", 1.2)):
                paths.append(os.path.join(work, name + ".json"))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    json.dump(make_report("kernels", scale), file)
            self.assertEqual(run("compare", *paths)[0], 1)
            code, out, _ = run("compare", *reversed(paths))
            self.assertEqual((code, out.splitlines()[-1]), (0, "0 slower, 5 faster, 0 within the spread"))


@unittest.skipUnless(importlib.util.find_spec("torch"), "no PyTorch")
class Operands(unittest.TestCase):
    """What a result is compared with, against loops."""

    def case(self, family, buffers, batch, entry="k"):
        import operands
        kernel = {"entry": entry, "description": f"{family}, heads=4/2 D=8, f32; some way"}
        step = {"location": "layers.0.proj", "grid": "1, 1, 1", "sizes": "T", "buffers": buffers}
        case = kernel_cases.Case(batch, plan.Launch(step, kernel, b""), "sm_90a")
        return operands.make(case, "cpu")

    def test_linear(self):
        import torch
        batch = kernel_cases.Batch("llama-7b", 512, "step", 1, 3, ("linear",))
        work = self.case("linear", ["arena+0 f32[T, 16]", "weights+0 f32[8, 16]", "weights+0 f32[8]",
                                    "arena+0 f32[T, 8]", "arena+0 f32[T, 8]"], batch, "ingot_linear_activation")
        x, weight, bias, residual, y = work.draw(1)
        self.assertTrue(torch.isnan(y).all())
        sums = torch.stack([torch.stack([(x[t] * weight[n]).sum() + bias[n] for n in range(8)]) for t in range(3)])
        torch.testing.assert_close(work.reference([x, weight, bias, residual, y]),
                                   sums / (1 + torch.exp(-sums)) + residual, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(work.peer([[x, weight, bias, residual, y]])(0), sums, atol=1e-5, rtol=1e-5)
        self.assertEqual((work.flops, work.bytes), (2 * 3 * 8 * 16, 4 * (3 * 16 + 8 * 16 + 8 + 3 * 8 * 2)))
        with self.assertRaisesRegex(ValueError, r"argument 2, arena f32\[5\]: expected a weight"):
            self.case("linear", ["arena+0 f32[T, 16]", "weights+0 f32[8, 16]", "arena+0 f32[5]", "arena+0 f32[T, 8]"],
                      batch)

    def test_gated_linear(self):
        import torch
        work = self.case("gated_linear", ["arena+0 f32[T, 16]", "weights+0 f32[16, 16]", "arena+0 f32[T, 8]"],
                         kernel_cases.Batch("llama-7b", 512, "step", 1, 3, ("gated_linear",)))
        x, weight, y = tensors = work.draw(1)
        for t in range(3):
            for n in range(8):
                gate, up = (float((x[t] * weight[n // 4 * 8 + n % 4 + half]).sum()) for half in (0, 4))
                expected = torch.nn.functional.silu(torch.tensor(gate)) * up
                self.assertAlmostEqual(float(work.reference(tensors)[t, n]), float(expected), places=4)

    def attend(self, q, keys, values):
        """Of one query head over keys that it sees."""
        import torch
        return torch.softmax(keys @ q / 8**0.5, 0) @ values

    def test_attention(self):
        """Causal, rows behind each other, queries, keys and values in one buffer."""
        import torch
        work = self.case("attention", ["arena+0 f32[T, 64]", "arena+0 i32[4]", "arena+0 f32[T, 32]"],
                         kernel_cases.Batch("llama-7b", 512, "forward", 2, 5, ("attention",)))
        qkv, cu, _ = tensors = work.draw(1)
        self.assertEqual(cu.tolist(), [0, 5, 10, 10])
        result = work.reference(tensors)
        for token in range(10):
            first = token // 5 * 5
            for head in range(4):
                kv = 8 * (head // 2)
                expected = self.attend(qkv[token, 8 * head:8 * head + 8], qkv[first:token + 1, 32 + kv:40 + kv],
                                       qkv[first:token + 1, 48 + kv:56 + kv])
                torch.testing.assert_close(result[token, 8 * head:8 * head + 8], expected, atol=1e-5, rtol=1e-5)

    def test_paged(self):
        """A token a row over a cache in blocks; sets share none."""
        import torch
        batch = kernel_cases.Batch("llama-7b", 512, "decode", 2, 1, ("attention",), past=20)
        work = self.case("attention", ["arena+0 f32[T, 32]", "state+0 f32[40, 2, 16, 8]", "state+0 f32[40, 2, 16, 8]",
                                       "arena+0 i32[3]", "arena+0 i32[B, NB]", "arena+0 i32[B]", "arena+0 f32[T, 32]"],
                         batch)
        sets = [work.draw(seed) for seed in range(2)]
        q, keys, values, cu, table, past, _ = sets[1]
        self.assertEqual((cu.tolist(), past.tolist()), ([0, 1, 2], [20, 20]))
        self.assertFalse(set(table.flatten().tolist()) & (set(sets[0][4].flatten().tolist()) | {0}))
        result = work.reference(sets[1])
        for row in range(2):
            for head in range(4):
                seen = [(int(table[row, key // 16]), head // 2, key % 16) for key in range(21)]
                expected = self.attend(q[row, 8 * head:8 * head + 8], torch.stack([keys[place] for place in seen]),
                                       torch.stack([values[place] for place in seen]))
                torch.testing.assert_close(result[row, 8 * head:8 * head + 8], expected, atol=1e-5, rtol=1e-5)


class Runs(unittest.TestCase):
    """What fails costs its own figures, and no others."""

    def setUp(self):
        self.work = self.enterContext(tempfile.TemporaryDirectory())
        torch = mock.MagicMock()
        torch.cuda.get_device_capability.return_value = (9, 0)
        peers = mock.Mock(decode=mock.Mock(side_effect=self.decode),
                          prefill=mock.Mock(return_value=(9.0, 8.0, 10.0)))
        ceilings = mock.Mock(rates=lambda: make_report("models")["rates"])
        self.enterContext(mock.patch.dict(sys.modules, {"torch": torch, "peers": peers, "ceilings": ceilings,
                                                        "launcher": mock.Mock()}))
        self.enterContext(mock.patch.object(report, "machine", lambda: make_report("models")["machine"]))
        self.out = self.enterContext(contextlib.redirect_stdout(io.StringIO()))
        self.err = self.enterContext(contextlib.redirect_stderr(io.StringIO()))
        self.options = argparse.Namespace(out=self.work, only="", json=os.path.join(self.work, "run.json"), peers=True,
                                          ingot_run=os.path.join(self.work, "ingot-run"), seconds=0)

    @staticmethod
    def decode(_model, _rows, _context, compiled):
        if compiled:
            raise RuntimeError("does not compile")
        return 3.0, 2.0, 4.0

    def write_runtime(self, text):
        with open(self.options.ingot_run, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable}\n{text}\n")
        os.chmod(self.options.ingot_run, 0o755)
        for name in models.MODELS:
            open(whole_models.ingot_file(self.options, name), "w", encoding="utf-8").close()

    def test_models(self):
        """A peer that fails in every case, an ingot that doesn't load."""
        self.write_runtime("import json, sys\n"
                           "if 'llama-7b' in sys.argv[2]:\n    sys.exit('out of memory')\n"
                           "names = [f'{a[2:]} {b}' for a, b in zip(sys.argv, sys.argv[1:])]\n"
                           "print(json.dumps({'memory': [{}], 'cases': [{'case': name, 'median_seconds': 0.002, "
                           "'min_seconds': 0.001, 'max_seconds': 0.003} for name in names]}))")
        self.options.models = ["llama-7b", "llama-3.2-1b"]
        self.assertEqual(whole_models.run(self.options), 1)
        read = report.read(self.options.json)
        found = {f"{case['model']} {case['case']}": (case["ingot_ms"], case["peers_ms"]) for case in read["cases"]}
        eager = {"median": 3.0, "min": 2.0, "max": 4.0}
        mine = {"median": 2.0, "min": 1.0, "max": 3.0}
        prefill = {"eager": {"median": 9.0, "min": 8.0, "max": 10.0}}
        self.assertEqual(found, {
            "llama-7b prefill 1x4096": (None, prefill),
            **{f"llama-3.2-1b decode {rows}x512": (mine, {"eager": eager} if rows in (1, 16) else {})
               for rows in (1, 2, 4, 8, 16)},
            "llama-3.2-1b prefill 1x4096": (mine, prefill)})
        self.assertEqual([failure["case"] for failure in read["failures"]], [
            "llama-7b", "llama-3.2-1b decode 1x512, compiled", "llama-3.2-1b decode 16x512, compiled"])
        self.assertIn("out of memory", read["failures"][0]["text"])
        self.assertIn("RuntimeError: does not compile", self.err.getvalue())
        # One for each case that has a peer, none for the others.
        self.assertEqual(sys.modules["peers"].build.call_count, 4)

    def test_kernels(self):
        """A wrong result, a peer that fails, a GPU that is lost, time that is over."""
        names = ["wrong", "good", "peerless", "lost", "behind"]
        cases = [mock.Mock(batch=mock.Mock(model="m")) for _ in names]
        for case, name in zip(cases, names):
            case.name, case.launch.family = f"m {name}", "linear"
            case.launch.kernel, case.arch = {"description": "linear, some way"}, "sm_90a"
        good = {key: make_report("kernels")["cases"][0][key] for key in ("flops", "bytes", "floor_ms", "ingot_ms",
                                                                         "peers_ms")}
        alone = {**good, "peers_ms": {}}
        results = [RuntimeError("relative error 1"), (good, None), (alone, "no cuDNN"), RuntimeError("illegal address")]
        with mock.patch.object(kernels, "all_cases", return_value=cases), \
                mock.patch.object(kernels, "measure", side_effect=results), \
                mock.patch.object(kernels, "is_alive", side_effect=[True, False]):
            self.assertEqual(kernels.run(self.options), 1)
        read = report.read(self.options.json)
        self.assertEqual([case["case"] for case in read["cases"]], ["good", "peerless"])
        self.assertEqual([failure["case"] for failure in read["failures"]],
                         ["m wrong", "m peerless, peer", "m lost", "all cases behind it"])
        cases[-1].arch = "sm_100a"
        with mock.patch.object(kernels, "all_cases", return_value=cases):
            with self.assertRaisesRegex(report.Failure, "are for sm_100a, the GPU is of compute capability 9.0"):
                kernels.run(self.options)
        cases[-1].arch = "sm_90a"
        self.options.seconds = 1e-9
        with mock.patch.object(kernels, "all_cases", return_value=cases):
            self.assertEqual(kernels.run(self.options), 0)
        self.assertEqual(report.read(self.options.json)["left_out"], [f"m {name}" for name in names])


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "no matplotlib")
class Plots(unittest.TestCase):
    def draw(self, *reports):
        """{file name: text} of the SVG files."""
        with tempfile.TemporaryDirectory() as work:
            paths = []
            for data in reports:
                paths.append(os.path.join(work, data["kind"] + ".json"))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    json.dump(data, file)
            folder = os.path.join(work, "plots")
            code, out, err = run("plot", *paths, "-o", folder)
            self.assertEqual(code, 0, err)
            self.assertEqual(sorted(out.split()), sorted(os.path.join(folder, name) for name in os.listdir(folder)))
            texts = {}
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), "rb") as file:
                    data = file.read()
                if name.endswith(".svg"):
                    texts[name] = data.decode()
                else:
                    self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            return texts

    def test_plots(self):
        texts = self.draw(make_report("models"), make_report("kernels"))
        self.assertEqual(sorted(texts), ["kernels-roofline.svg", "models-roofline.svg", "models-steps.svg"])
        for name, text in texts.items():
            self.assertIn("Some GPU, driver 580.1, CUDA 13.0, PyTorch 2.11, cuDNN 91000, transformers 5.17, 2026-01-02",
                          text, name)
        for name in ("kernels-roofline.svg", "models-roofline.svg"):
            for label in ("arithmetic intensity, FLOP per byte", "achieved rate, TFLOP/s", "share of the ceiling",
                          "ceiling: 3.00 TB/s, 750 TFLOP/s (bf16)"):
                self.assertIn(label, texts[name])
        for label in ("llama-3.1-8b, 512 tokens in the cache", "batch, rows", "decode step, ms",
                      "floor: bytes over the read rate", "PyTorch compiled, CUDA graphs"):
            self.assertIn(label, texts["models-steps.svg"])
        self.assertIn("linear layers", texts["kernels-roofline.svg"])
        self.assertIn(">cuBLASLt<", texts["kernels-roofline.svg"])
        self.assertEqual(texts, self.draw(make_report("models"), make_report("kernels")))

    def test_nothing_measured(self):
        data = make_report("kernels")
        for case in data["cases"]:
            case["ingot_ms"] = None
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "empty.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(data, file)
            code, _, err = run("plot", path, "-o", work)
        self.assertEqual(code, 3)
        self.assertIn("no case of it was measured", err)


class Readme(unittest.TestCase):
    def test_commands(self):
        """Every command of the README is one; all kinds of command are there."""
        with open(os.path.join(BENCH, "README.md"), encoding="utf-8") as file:
            lines = re.findall(r"^tools/bench/gpu/gpu_bench\.py (.*)$", file.read().replace("\\\n", " "), re.M)
        commands = [line.split("#")[0].split() for line in lines]
        seen = {gpu_bench.parse(command).command for command in commands}
        self.assertEqual(seen, {"compile", "run", "kernels", "start", "compare", "plot"})
        with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
            for name in ("models", "kernels", "old", "new"):
                with open(name + ".json", "w", encoding="utf-8") as file:
                    json.dump(make_report("kernels" if name == "kernels" else "models"), file)
            for command in commands:
                if command[0] == "compare" or command[0] == "plot" and importlib.util.find_spec("matplotlib"):
                    self.assertEqual(run(*command)[0], 0, command)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/bin")
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
