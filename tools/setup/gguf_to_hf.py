#!/usr/bin/env python3
"""Turns a Llama-type GGUF file into a Hugging Face folder with f32 weights.

    gguf_to_hf.py MODEL.gguf FOLDER

Writes config.json, generation_config.json, model.safetensors and, for a byte-level BPE vocabulary,
tokenizer.json and tokenizer_config.json. Quantized blocks (Q4_1, Q8_0, ...) are dequantized; the
values are then exactly what a GGUF reader computes with, so a run in f32 is the reference for them.

Needs: numpy, gguf, tokenizers.
"""
import argparse
import json
import os
import re
import struct
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

# GGUF tensor -> Hugging Face tensor; {i} is the layer.
TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "blk.{i}.attn_norm.weight": "model.layers.{i}.input_layernorm.weight",
    "blk.{i}.attn_q.weight": "model.layers.{i}.self_attn.q_proj.weight",
    "blk.{i}.attn_k.weight": "model.layers.{i}.self_attn.k_proj.weight",
    "blk.{i}.attn_v.weight": "model.layers.{i}.self_attn.v_proj.weight",
    "blk.{i}.attn_output.weight": "model.layers.{i}.self_attn.o_proj.weight",
    "blk.{i}.ffn_norm.weight": "model.layers.{i}.post_attention_layernorm.weight",
    "blk.{i}.ffn_gate.weight": "model.layers.{i}.mlp.gate_proj.weight",
    "blk.{i}.ffn_up.weight": "model.layers.{i}.mlp.up_proj.weight",
    "blk.{i}.ffn_down.weight": "model.layers.{i}.mlp.down_proj.weight",
}
CONTROL_TOKEN = 3


def die(message):
    sys.exit(f"gguf_to_hf: {message}")


def shortest(value):
    """The shortest decimal that is the same f32: 9.99999974e-06 was written as 1e-05."""
    return float(str(np.float32(value)))


def hf_name(name):
    layer = re.match(r"blk\.(\d+)\.", name)
    if not layer:
        return TENSORS.get(name)
    pattern = TENSORS.get(name.replace(layer.group(0), "blk.{i}.", 1))
    return pattern and pattern.replace("{i}", layer.group(1))


def unpermute(weight, heads):
    """GGUF keeps the rows of q and k in interleaved RoPE order (2i with 2i+1); Hugging Face's Llama
    pairs i with i + D/2."""
    rows, columns = weight.shape
    return (weight.reshape(heads, rows // heads // 2, 2, columns)
            .swapaxes(1, 2).reshape(rows, columns))


def config_of(field, tensors):
    heads = field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv", heads),
        "hidden_act": "silu",
        "max_position_embeddings": field("llama.context_length"),
        "rms_norm_eps": shortest(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_theta": shortest(field("llama.rope.freq_base", 10000.0)),
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in tensors,
        "torch_dtype": "float32",
        "bos_token_id": field("tokenizer.ggml.bos_token_id", None),
        "eos_token_id": field("tokenizer.ggml.eos_token_id", None),
        "pad_token_id": field("tokenizer.ggml.padding_token_id", None),
    }


def write_safetensors(path, tensors, config):
    """Streams one tensor after another, so that only one is in memory."""
    names = {}
    for name in tensors:
        names[name] = hf_name(name) or die(f"tensor {name} has no Llama counterpart")
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    order = sorted(tensors, key=lambda name: names[name])
    for name in order:
        shape = [int(d) for d in reversed(tensors[name].shape)]
        size = 4 * int(np.prod(shape))
        header[names[name]] = {"dtype": "F32", "shape": shape,
                               "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            tensor = tensors[name]
            weight = dequantize(tensor.data, tensor.tensor_type).astype("<f4")
            weight = weight.reshape(header[names[name]]["shape"])
            if name.endswith("attn_q.weight"):
                weight = unpermute(weight, config["num_attention_heads"])
            elif name.endswith("attn_k.weight"):
                weight = unpermute(weight, config["num_key_value_heads"])
            file.write(np.ascontiguousarray(weight).tobytes())


def write_tokenizer(folder, field):
    if field("tokenizer.ggml.model") != "gpt2":
        print("gguf_to_hf: no tokenizer.json: only byte-level BPE vocabularies are converted",
              file=sys.stderr)
        return
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    tokens = field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    split = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    if field("tokenizer.ggml.pre", "") == "smollm":
        split.insert(0, pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.ByteLevel()
    kinds = field("tokenizer.ggml.token_type")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, kinds) if kind == CONTROL_TOKEN])
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False}
    for role, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
        token = field(f"tokenizer.ggml.{key}_token_id", None)
        if token is not None:
            described[f"{role}_token"] = tokens[token]
    template = field("tokenizer.chat_template", None)
    if template:
        described["chat_template"] = template
    write_json(folder, "tokenizer_config.json", described)


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("folder")
    arguments = parser.parse_args()
    reader = GGUFReader(arguments.gguf)

    def field(key, *default):
        entry = reader.get_field(key)
        if entry is None:
            return default[0] if default else die(f"{arguments.gguf} has no field {key}")
        return entry.contents()

    architecture = field("general.architecture")
    if architecture != "llama":
        die(f"{arguments.gguf} holds a model of architecture '{architecture}'; only 'llama' is known")
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = config_of(field, tensors)
    os.makedirs(arguments.folder, exist_ok=True)
    write_safetensors(os.path.join(arguments.folder, "model.safetensors"), tensors, config)
    write_tokenizer(arguments.folder, field)
    write_json(arguments.folder, "generation_config.json",
               {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")})
    # Last: a folder with a config.json is complete.
    write_json(arguments.folder, "config.json", config)


if __name__ == "__main__":
    main()
