"""The models of the GPU benchmarks, as Hugging Face configs: real sizes, weights drawn at random."""
import json
import os
import random

_LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "attention_bias": False, "mlp_bias": False, "rms_norm_eps": 1e-5, "initializer_range": 0.02,
    "bos_token_id": 1, "eos_token_id": 2,
}
_LLAMA3_ROPE = {
    "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3",
}
_BERT = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "type_vocab_size": 2,
    "vocab_size": 30522, "pad_token_id": 0, "initializer_range": 0.02,
}

# name -> (config.json, flags of `ingot compile` for the cases below)
MODELS = {
    "llama-3.2-1b": ({
        **_LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
        "tie_word_embeddings": True, "max_position_embeddings": 131072, "rope_theta": 500000.0,
        "rope_scaling": {**_LLAMA3_ROPE, "factor": 32.0},
    }, ["--dtype", "bf16", "--max-batch", "16", "--max-context", "4352", "--max-tokens", "4096"]),
    "llama-3.1-8b": ({
        **_LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
        "tie_word_embeddings": False, "max_position_embeddings": 131072, "rope_theta": 500000.0,
        "rope_scaling": _LLAMA3_ROPE,
    }, ["--dtype", "bf16", "--max-batch", "16", "--max-context", "4352", "--max-tokens", "4096"]),
    "llama-7b": ({
        **_LLAMA, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000,
        "tie_word_embeddings": False, "max_position_embeddings": 4096, "rope_theta": 10000.0,
        "rms_norm_eps": 1e-6,
    }, ["--dtype", "bf16", "--max-batch", "1", "--max-context", "4096", "--max-tokens", "4096"]),
    "bert-base": ({
        **_BERT, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12,
    }, ["--dtype", "f16", "--max-batch", "128", "--max-context", "512", "--max-tokens", "65536"]),
    "minilm-l6": ({
        **_BERT, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
        "num_attention_heads": 12,
    }, ["--dtype", "f16", "--max-batch", "128", "--max-context", "512", "--max-tokens", "65536"]),
}

_DECODE = [("decode", rows, 512, 100) for rows in (1, 2, 4, 8, 16)]

# model -> cases of `ingot-run bench`: what, rows, tokens of a row (in the cache, for decode), percent filled.
CASES = {
    "llama-3.2-1b": [*_DECODE, ("prefill", 1, 4096, 100)],
    "llama-3.1-8b": [*_DECODE, ("prefill", 1, 4096, 100)],
    "llama-7b": [("prefill", 1, 4096, 100)],
    "bert-base": [("forward", 128, 512, 53), ("forward", 128, 512, 100), ("forward", 32, 128, 55),
                  ("forward", 1, 512, 100)],
    "minilm-l6": [("forward", 128, 512, 51), ("forward", 1, 128, 100)],
}

# The peers run the same, but of decode these rows only: to compile a model for each takes a minute.
PEER_DECODE_ROWS = (1, 16)

# Whose activations are measured beside eager attention's.
MEMORY = ["llama-7b"]


def write_folder(name, root):
    """A folder with the model's config.json; returns its path."""
    folder = os.path.join(root, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(MODELS[name][0], file, indent=2)
    return folder


def dtype(name):
    flags = MODELS[name][1]
    return flags[flags.index("--dtype") + 1]


def parameters(config):
    """(weights that a decode step reads, without the embedding's table unless it is the head)."""
    e, f, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    d = config.get("head_dim", e // heads)
    kv = config.get("num_key_value_heads", heads)
    gated = config["model_type"] == "llama"
    layer = e * heads * d * 2 + e * kv * d * 2 + e * f * (3 if gated else 2)
    return layers * layer + (e * config["vocab_size"] if gated else 0)


def cache_elements(config, rows, tokens):
    """Keys and values of that many tokens a row."""
    heads = config["num_attention_heads"]
    d = config.get("head_dim", config["hidden_size"] // heads)
    return 2 * rows * tokens * config.get("num_key_value_heads", heads) * d * config["num_hidden_layers"]


def work(name, case):
    """(floating-point operations, bytes of weights and cache) of a case."""
    kind, rows, length, fill = case
    config, size = MODELS[name][0], {"f32": 4, "bf16": 2, "f16": 2}[dtype(name)]
    if kind != "decode":
        return flops(config, row_lengths(rows, length, fill)), parameters(config) * size
    heads = config["num_attention_heads"]
    d = config.get("head_dim", config["hidden_size"] // heads)
    attention = 4 * heads * d * length * config["num_hidden_layers"]
    return (rows * (2 * parameters(config) + attention),
            (parameters(config) + cache_elements(config, rows, length)) * size)


def flops(config, lengths):
    """Floating-point operations of one pass over rows of these lengths: matmuls and attention of valid
    tokens, causal attention counted at half."""
    e, layers = config["hidden_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    d = config.get("head_dim", e // heads)
    gated = config["model_type"] == "llama"
    body = parameters(config) - (e * config["vocab_size"] if gated else 0)
    attention = sum(4 * heads * d * s * s * (0.5 if gated else 1) for s in lengths) * layers
    # A prefill needs the logits of each row's last token only.
    head = 2 * e * config["vocab_size"] * len(lengths) if gated else 0
    return 2 * body * sum(lengths) + attention + head


def row_lengths(rows, length, fill):
    """Lengths with the mean that Ingot's cases have, spread around it."""
    draw = random.Random(1)
    least = max(1, int((2 * fill / 100 - 1) * length))
    most = min(length, int(2 * fill / 100 * length))
    return [length if fill == 100 else draw.randint(least, most) for _ in range(rows)]
