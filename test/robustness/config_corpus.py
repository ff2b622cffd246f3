"""Malformed config.json files, from a good one: yields (name, bytes, expected exit codes)."""
import json

MALFORMED, UNSUPPORTED = 3, 4


def broken_text(text):
    for percent in (0, 10, 35, 60, 85, 99):
        yield f"truncated-{percent}", text[:len(text.rstrip()) * percent // 100]
    yield "binary-zeros", bytes(len(text))
    yield "not-utf8", text.replace(b"llama", b"ll\xff\xfema", 1)
    yield "utf8-bom", b"\xef\xbb\xbf" + text
    yield "utf16", text.decode().encode("utf-16")
    yield "nul-inside", text.replace(b",", b"\0,", 1)
    yield "trailing-comma", text.rstrip().rstrip(b"}").rstrip() + b",}"
    yield "comment", b"// a comment\n" + text
    yield "two-values", text + text
    yield "trailing-garbage", text + b"x"
    yield "single-quotes", text.replace(b'"', b"'")
    yield "top-array", b"[" + text + b"]"
    for name, value in (("number", b"3"), ("string", b'"llama"'), ("null", b"null"),
                        ("true", b"true"), ("empty-object", b"{}")):
        yield f"top-{name}", value
    yield "deep-arrays", b"[" * 200000
    yield "deep-objects", b'{"a":' * 200000
    yield "deep-member", text.rstrip().rstrip(b"}") + b',"x":' + b"[" * 100000 + b"]" * 100000 + b"}"
    yield "duplicate-key", text.replace(b"{", b'{"hidden_size": 48,', 1)
    yield "duplicate-escaped-key", text.replace(b"{", b'{"hidden\\u005fsize": 48,', 1)
    yield "bad-escape", text.replace(b"llama", b"ll\\xama", 1)
    yield "lone-surrogate", text.replace(b"llama", b"ll\\ud800ama", 1)
    yield "bare-word", text.replace(b"48", b"fortyeight", 1)
    yield "leading-zero", text.replace(b"48", b"048", 1)
    yield "plus-sign", text.replace(b"48", b"+48", 1)
    yield "hex", text.replace(b"48", b"0x30", 1)
    yield "control-character", text.replace(b"llama", b"ll\nama", 1)


SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
         "intermediate_size", "num_key_value_heads", "head_dim", "max_position_embeddings")
BAD_SIZES = (("negative", "-1"), ("zero", "0"), ("fraction", "1.5"), ("string", '"48"'),
             ("list", "[48]"), ("true", "true"), ("2e63", "9223372036854775808"),
             ("2e64", "18446744073709551616"), ("2e31", "2147483648"), ("1e400", "1e400"),
             ("2e62", "4611686018427387904"))

# A value that is well-formed but wrong: (name, keys to set, expected).
WRONG = (
    ("model-type-unknown", {"model_type": "llamma"}, UNSUPPORTED),
    ("model-type-number", {"model_type": 7}, MALFORMED),
    ("model-type-empty", {"model_type": ""}, UNSUPPORTED),
    ("model-type-long", {"model_type": "x" * 100000}, UNSUPPORTED),
    ("architecture-unknown", {"architectures": ["LlamaForTimeTravel"]}, UNSUPPORTED),
    ("architectures-string", {"architectures": "LlamaForCausalLM"}, MALFORMED),
    ("architectures-numbers", {"architectures": [1]}, MALFORMED),
    ("activation-unknown", {"hidden_act": "golu"}, UNSUPPORTED),
    ("activation-number", {"hidden_act": 1}, MALFORMED),
    ("rope-type-unknown", {"rope_scaling": {"rope_type": "spiral", "factor": 2.0}}, UNSUPPORTED),
    ("rope-string", {"rope_scaling": "linear"}, MALFORMED),
    ("rope-no-factor", {"rope_scaling": {"type": "linear"}}, MALFORMED),
    ("rope-factor-zero", {"rope_scaling": {"type": "linear", "factor": 0}}, MALFORMED),
    ("rope-factor-negative", {"rope_scaling": {"type": "linear", "factor": -2.0}}, MALFORMED),
    ("rope-factor-string", {"rope_scaling": {"type": "linear", "factor": "2"}}, MALFORMED),
    ("rope-llama3-incomplete", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, MALFORMED),
    ("rope-theta-zero", {"rope_theta": 0}, MALFORMED),
    ("rope-theta-negative", {"rope_theta": -10000.0}, MALFORMED),
    ("rope-theta-string", {"rope_theta": "10000"}, MALFORMED),
    ("eps-string", {"rms_norm_eps": "1e-5"}, MALFORMED),
    ("eps-negative", {"rms_norm_eps": -1e-5}, MALFORMED),
    ("bias-string", {"attention_bias": "yes"}, MALFORMED),
    ("bias-number", {"mlp_bias": 1}, MALFORMED),
    ("tie-string", {"tie_word_embeddings": "true"}, MALFORMED),
    ("heads-do-not-divide", {"num_attention_heads": 7}, MALFORMED),
    ("kv-heads-do-not-divide", {"num_key_value_heads": 5}, MALFORMED),
    ("kv-heads-more-than-heads", {"num_key_value_heads": 12}, MALFORMED),
    ("more-layers-than-weights", {"num_hidden_layers": 3}, MALFORMED),
    ("fewer-layers-than-weights", {"num_hidden_layers": 1}, MALFORMED),
    ("vocabulary-differs", {"vocab_size": 98}, MALFORMED),
    ("hidden-differs", {"hidden_size": 96}, MALFORMED),
    ("quantized", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, UNSUPPORTED),
)


def corpus(text):
    for name, data in broken_text(text):
        yield f"config-{name}", data, (MALFORMED,)
    config = json.loads(text)
    for key in SIZES:
        rest = json.dumps({k: v for k, v in config.items() if k != key})
        for name, value in BAD_SIZES:
            if key == "max_position_embeddings" and name in ("2e31", "2e62"):
                continue  # only an upper bound, so not wrong
            # A size may also be too large for the compiler rather than malformed.
            expected = (MALFORMED, UNSUPPORTED) if name in ("2e31", "2e62") else (MALFORMED,)
            yield (f"config-{key}-{name}", (rest[:-1] + f', "{key}": {value}}}').encode(), expected)
    for name, change, expected in WRONG:
        yield f"config-{name}", json.dumps({**config, **change}).encode(), (expected,)
