"""ingot extract-weights: what it restores, and what it refuses."""
import json
import os
import shutil
import struct
import unittest

from support import CliTest, INTEGRITY, MALFORMED, USAGE, model


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    return header, data[end:]


def write_safetensors(path, header, body):
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def read_checkpoint(folder):
    """name -> (dtype, shape, bytes) of all safetensors files in a folder."""
    tensors = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".safetensors"):
            header, body = read_safetensors(os.path.join(folder, file))
            header.pop("__metadata__", None)
            for name, entry in header.items():
                begin, end = entry["data_offsets"]
                tensors[name] = entry["dtype"], entry["shape"], body[begin:end]
    return tensors


class ExtractTest(CliTest):
    def convert(self, case, dtype, convert):
        """A copy of a golden model whose f32 tensors are stored in another type."""
        folder = self.path("model")
        os.mkdir(folder)
        for name in os.listdir(model(case)):
            if name.endswith(".json"):
                with open(os.path.join(model(case), name), "rb") as file:
                    content = file.read()
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
        header, body = read_safetensors(os.path.join(model(case), "model.safetensors"))
        new, out = {}, b""
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            data = convert(body[begin:end])
            new[name] = {"dtype": dtype, "shape": entry["shape"],
                         "data_offsets": [len(out), len(out) + len(data)]}
            out += data
        write_safetensors(os.path.join(folder, "model.safetensors"), new, out)
        return folder

    def check_restored(self, folder, ingot, without=()):
        """Every tensor of the folder is back bit for bit, but those that the model does not read."""
        self.ok("extract-weights", ingot, "-o", self.path("restored"))
        self.assertEqual(os.listdir(self.path("restored")), ["model.safetensors"])
        header, _ = read_safetensors(self.path("restored/model.safetensors"))
        self.assertEqual(header["__metadata__"], {"format": "pt"})
        got, want = read_checkpoint(self.path("restored")), read_checkpoint(folder)
        self.assertLessEqual(set(want) - set(got), set(without))
        for name, tensor in got.items():
            self.assertEqual(tensor, want[name], name)
        self.assertGreater(len(got), 10)

    def test_restores(self):
        out = self.json("extract-weights", self.compiled("llama-default"), "-o", self.path("out"))
        self.assertEqual(out["output"], self.path("out/model.safetensors"))
        self.assertEqual(out["bytes"], os.path.getsize(out["output"]))
        # The restored file is a checkpoint that the same ingot takes.
        self.ok("run", self.compiled("llama-default"), "--weights", out["output"],
                "--input", "input_ids=1,2,3")

    def test_sharded(self):
        # The same tensors, in one file.
        self.assertGreater(len([name for name in os.listdir(model("llama-biases"))
                                if name.endswith(".safetensors")]), 1)
        self.check_restored(model("llama-biases"), self.compiled("llama-biases"))

    def test_tied(self):
        # One tensor that two layers read is stored once.
        self.check_restored(model("llama-tied"), self.compiled("llama-tied"))

    def test_joined_and_apart(self):
        # Query, key, value and gate, up are one weight each, or none is.
        passes = "fuse-attention,fuse-projections,fuse-residual-norm,fold-constants,remove-padding"
        plans = []
        for options in ((), ("--disable", passes)):
            with self.subTest(options):
                ingot = self.compiled("llama-default", *options)
                plans.append(self.ok("inspect", ingot, "--section", "weights"))
                self.check_restored(model("llama-default"), ingot)
            shutil.rmtree(self.path("restored"), ignore_errors=True)
        self.assertIn("concat", plans[0])
        self.assertNotIn("concat", plans[1])

    def test_encoder(self):
        self.check_restored(model("bert-masked-lm"), self.compiled("bert-masked-lm"),
                            without=["bert.embeddings.position_ids"])

    def test_widened(self):
        # Every second pair of bytes of an f32 is the bf16 in front of it.
        bf16 = lambda data: b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))
        folder = self.convert("llama-default", "BF16", bf16)
        self.ok("compile", folder, "-o", self.path("a.ingot"))
        self.check_restored(folder, self.path("a.ingot"))

    def test_widened_half(self):
        half = lambda data: b"".join(struct.pack("<e", v) for v, in struct.iter_unpack("<f", data))
        folder = self.convert("llama-default", "F16", half)
        self.ok("compile", folder, "-o", self.path("a.ingot"))
        self.check_restored(folder, self.path("a.ingot"))

    def test_refuses(self):
        ingot = self.compiled("llama-default")
        self.ok("extract-weights", ingot, "-o", self.path("out"))
        self.fails(USAGE, "is there already", "extract-weights", ingot, "-o", self.path("out"))
        self.fails(USAGE, "cannot make the folder", "extract-weights", ingot, "-o", self.path("a/b"))
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        self.fails(USAGE, "is not a folder", "extract-weights", ingot, "-o", self.path("file"))
        self.fails(USAGE, "--output is required", "extract-weights", ingot)
        self.ok("compile", model("llama-default"), "-o", self.path("bare.ingot"), "--weights", "none")
        self.fails(USAGE, "holds no weights", "extract-weights", self.path("bare.ingot"), "-o",
                   self.path("none"))
        self.fails(MALFORMED, "not an .ingot file", "extract-weights", os.path.join(model("llama-default"), "config.json"),
                   "-o", self.path("none"))
        self.fails(USAGE, "expected -o DIR", "extract-weights", ingot, tool="ingot-run")

    def test_damaged(self):
        with open(self.compiled("llama-default"), "rb") as file:
            data = bytearray(file.read())
        data[-5000] ^= 1
        with open(self.path("damaged.ingot"), "wb") as file:
            file.write(data)
        self.fails(INTEGRITY, "wrong checksum", "extract-weights", self.path("damaged.ingot"), "-o", self.path("out"))


if __name__ == "__main__":
    unittest.main()
