"""Rotary frequency tables by the reference library, for configs of published sizes: RopeTest.cpp compares
the importer's own arithmetic with them, bit pattern by bit pattern."""
import json
import struct

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

CASES = {
    "default-64": dict(head_dim=64),
    "default-128-theta500000": dict(head_dim=128, rope_theta=500000.0),
    "default-100-theta1e6": dict(head_dim=100, rope_theta=1000000),
    "linear-4": dict(head_dim=128, rope_scaling={"type": "linear", "factor": 4.0}),
    "linear-2.5": dict(head_dim=80, rope_scaling={"rope_type": "linear", "factor": 2.5}),
    "llama3.1": dict(head_dim=128, rope_theta=500000.0, max_position_embeddings=131072,
                     rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
    "llama3.2": dict(head_dim=64, rope_theta=500000.0, max_position_embeddings=131072,
                     rope_scaling={"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
    "yarn-qwen": dict(head_dim=128, rope_theta=1000000.0, max_position_embeddings=32768,
                      rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}),
    "yarn-mscale": dict(head_dim=64, max_position_embeddings=163840,
                        rope_scaling={"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1,
                                      "mscale": 0.707, "mscale_all_dim": 1.0,
                                      "original_max_position_embeddings": 4096}),
    "yarn-no-truncate": dict(head_dim=64, rope_theta=150000.0, max_position_embeddings=131072,
                             rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0,
                                           "beta_slow": 1.0, "truncate": False,
                                           "original_max_position_embeddings": 4096}),
    "yarn-attention-factor": dict(head_dim=96, max_position_embeddings=65536,
                                  rope_scaling={"rope_type": "yarn", "factor": 8.0, "attention_factor": 0.75}),
    "dynamic-short": dict(head_dim=64, rope_scaling={"type": "dynamic", "factor": 2.0}),
}


def bits(value):
    return struct.pack(">f", value).hex()


def tables():
    """name -> {config, inv_freq as big-endian float32 hex, attention_factor}."""
    out = {}
    for name, keys in CASES.items():
        head_dim = keys["head_dim"]
        written = dict(keys, model_type="llama", hidden_size=4 * head_dim, num_attention_heads=4,
                       architectures=["LlamaForCausalLM"])
        config = LlamaConfig(**json.loads(json.dumps(written)))
        rope = LlamaRotaryEmbedding(config)
        out[name] = {"config": written, "inv_freq": [bits(float(v)) for v in rope.inv_freq],
                     "attention_factor": float(rope.attention_scaling)}
    return out
