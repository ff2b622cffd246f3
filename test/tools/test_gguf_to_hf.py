#!/usr/bin/env python3
"""tools/setup/gguf_to_hf.py on a small GGUF file made here: names, shapes, the order of the rotary
rows, dequantized values, and the configuration.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

try:
    import gguf
except ImportError:
    print("skipped: the Python package gguf is missing; tools/setup/install makes .venv with it")
    sys.exit(77)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "tools", "setup", "gguf_to_hf.py")
HIDDEN, FFN, HEADS, KV, VOCAB = 64, 96, 4, 2, 40


def tensors():
    generator = np.random.default_rng(3)
    shapes = {"token_embd": (VOCAB, HIDDEN), "output_norm": (HIDDEN,)}
    for name, shape in (("attn_norm", (HIDDEN,)), ("attn_q", (HIDDEN, HIDDEN)),
                        ("attn_k", (HIDDEN * KV // HEADS, HIDDEN)),
                        ("attn_v", (HIDDEN * KV // HEADS, HIDDEN)), ("attn_output", (HIDDEN, HIDDEN)),
                        ("ffn_norm", (HIDDEN,)), ("ffn_gate", (FFN, HIDDEN)), ("ffn_up", (FFN, HIDDEN)),
                        ("ffn_down", (HIDDEN, FFN))):
        shapes["blk.0." + name] = shape
    return {name + ".weight": generator.standard_normal(shape).astype(np.float32)
            for name, shape in shapes.items()}


def interleave(weight, heads):
    """The row order of GGUF: halves of a head become even and odd rows."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path, weights, architecture="llama"):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    for name, weight in weights.items():
        if "attn_q" in name or "attn_k" in name:
            weight = interleave(weight, HEADS if "attn_q" in name else KV)
        if "ffn_up" in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    body = data[8 + length:]
    return {name: np.frombuffer(body[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class GgufToHf(unittest.TestCase):
    def convert(self, work, architecture="llama"):
        weights = tensors()
        path = os.path.join(work, "model.gguf")
        write_gguf(path, weights, architecture)
        folder = os.path.join(work, "model")
        return weights, folder, subprocess.run([sys.executable, SCRIPT, path, folder],
                                               capture_output=True, text=True)

    def test_llama(self):
        with tempfile.TemporaryDirectory() as work:
            weights, folder, done = self.convert(work)
            self.assertEqual(done.returncode, 0, done.stderr)
            read = read_safetensors(os.path.join(folder, "model.safetensors"))
            layer = "model.layers.0."
            for ours, theirs in (("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"),
                                 (layer + "self_attn.q_proj", "blk.0.attn_q"),
                                 (layer + "self_attn.k_proj", "blk.0.attn_k"),
                                 (layer + "self_attn.v_proj", "blk.0.attn_v"),
                                 (layer + "self_attn.o_proj", "blk.0.attn_output"),
                                 (layer + "input_layernorm", "blk.0.attn_norm"),
                                 (layer + "post_attention_layernorm", "blk.0.ffn_norm"),
                                 (layer + "mlp.gate_proj", "blk.0.ffn_gate"),
                                 (layer + "mlp.down_proj", "blk.0.ffn_down")):
                np.testing.assert_array_equal(read[ours + ".weight"], weights[theirs + ".weight"], ours)
            np.testing.assert_allclose(read[layer + "mlp.up_proj.weight"],
                                       weights["blk.0.ffn_up.weight"], atol=0.03)
            self.assertEqual(len(read), len(weights))
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
                config = json.load(file)
            expected = {"model_type": "llama", "hidden_size": HIDDEN, "vocab_size": VOCAB,
                        "num_key_value_heads": KV, "rms_norm_eps": 1e-5, "rope_theta": 100000.0,
                        "tie_word_embeddings": True}
            self.assertEqual({key: config[key] for key in expected}, expected)

    def test_other_architecture(self):
        with tempfile.TemporaryDirectory() as work:
            _, folder, done = self.convert(work, "falcon")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("'falcon'", done.stderr)
            self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    unittest.main()
