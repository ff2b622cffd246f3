"""The shapes of the micro-benchmarks: one layer of each model, compiled for a number of tokens, and batches that
its programs are given. Which launches that makes, and of which kernels, is the compiler's to say."""
import json
import os

import models

_LONG = {"num_hidden_layers": 1, "max_position_embeddings": 131072}
_LLAMA_7B = models.MODELS["llama-7b"][0]
_BERT = {**models.MODELS["bert-base"][0], "num_hidden_layers": 1, "max_position_embeddings": 16384}

# name -> (config.json, type). Falcon's are in the layers of a Llama (no importer reads Falcon): the same but for its
# up projection, here gated and so twice as wide. encoder-d128 is a BERT of heads twice as wide, for full attention.
CONFIGS = {
    "llama-3.2-1b": ({**models.MODELS["llama-3.2-1b"][0], **_LONG}, "bf16"),
    "llama-3.1-8b": ({**models.MODELS["llama-3.1-8b"][0], **_LONG}, "bf16"),
    "llama-7b": ({**_LLAMA_7B, **_LONG}, "bf16"),
    "falcon-7b": ({**_LLAMA_7B, **_LONG, "hidden_size": 4544, "intermediate_size": 18176, "num_attention_heads": 71,
                   "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 65024}, "bf16"),
    "bert-base": (_BERT, "f16"),
    "encoder-d128": ({**_BERT, "hidden_size": 4096, "intermediate_size": 4096, "num_attention_heads": 32}, "f16"),
}

LINEAR, ATTENTION = ("linear", "gated_linear"), ("attention",)
# --max-tokens of encoders -> --max-batch, --max-context
_ENCODER_LIMITS = {512: (1, 512), 16384: (16, 16384), 65536: (128, 512)}
BLOCK = 16  # tokens of a block of the cache, as `ingot compile` has it


class Batch:
    """What a program of an ingot for at most `tokens` tokens is given: `rows` rows of `length` new tokens each (or
    `fill` percent of them), with `past` tokens in the cache. Launches of `families` are measured."""

    def __init__(self, model, tokens, program, rows, length, families, past=0, fill=100):
        self.model, self.tokens, self.program, self.families = model, tokens, program, families
        self.rows, self.length, self.past, self.fill = rows, length, past, fill

    def lengths(self):
        return models.row_lengths(self.rows, self.length, self.fill)

    def values(self):
        """What the names in a program's sizes stand for."""
        return {"B": self.rows, "S": self.length, "S1": 1, "T": sum(self.lengths()),
                "NB": -(-(self.past + self.length) // BLOCK)}

    def flags(self):
        """Of `ingot compile`."""
        decoder = CONFIGS[self.model][0]["model_type"] == "llama"
        rows, context = (16, max(4352, self.tokens)) if decoder else _ENCODER_LIMITS[self.tokens]
        return ["--dtype", CONFIGS[self.model][1], "--max-batch", str(rows), "--max-context", str(context),
                "--max-tokens", str(self.tokens)]

    def file(self, folder):
        return os.path.join(folder, f"{self.model}.{self.tokens}.kernels.ingot")


def _all():
    decoders = [name for name, (config, _) in CONFIGS.items() if config["model_type"] == "llama"]
    decode = [Batch(name, 4096, "decode", rows, 1, LINEAR + ATTENTION, past=512)
              for name in decoders for rows in (1, 16)]
    many = [Batch(name, tokens, "step", 1, tokens, LINEAR) for name in decoders for tokens in (4096, 512)]
    many += [Batch("bert-base", 65536, "forward", 128, 512, LINEAR, fill=53),
             Batch("bert-base", 512, "forward", 1, 512, LINEAR + ATTENTION)]
    # 16384 tokens of 1k, 4k and 16k: full and causal, heads of 64 and of 128.
    attention = [Batch(name, 16384, "forward", 16384 // length, length, ATTENTION)
                 for length in (4096, 1024, 16384)
                 for name in ("llama-3.2-1b", "llama-3.1-8b", "bert-base", "encoder-d128")]
    attention += [Batch(name, 4096, "step", 1, 4096, ATTENTION) for name in decoders]
    attention += [Batch("bert-base", 65536, "forward", 128, 512, ATTENTION)]
    decode += [Batch(name, 4096, "decode", rows, 1, ATTENTION, past=4095) for name in decoders for rows in (1, 16)]
    return many[:1] + attention[:4] + decode[:4] + many[1:] + attention[4:] + decode[4:]


# What says most comes first: a run may be cut short.
BATCHES = _all()


def write_folder(name, root):
    folder = os.path.join(root, name + ".kernels")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(CONFIGS[name][0], file, indent=2)
    return folder


class Case:
    """One launch of a batch."""

    def __init__(self, batch, launch, arch):
        self.batch, self.launch, self.arch = batch, launch, arch
        self.config, self.values = CONFIGS[batch.model][0], batch.values()
        self.shapes = [buffer.shape(self.values) for buffer in launch.buffers]
        module = launch.location.split(".")[-1]
        rows = self.shapes[0][0]
        if launch.family == "attention":
            shape = f"{batch.rows}x{batch.length}" + (f"+{batch.past}" if batch.past else "")
            shape += " causal" if self.causal() else " full"
        else:
            weight = next(shape for buffer, shape in zip(launch.buffers, self.shapes)
                          if buffer.space == "weights" and len(shape) == 2)
            shape = f"{rows} {weight[0]}x{weight[1]}"
        self.name = f"{batch.model} {batch.program} {module} {shape}"

    def causal(self):
        return self.config["model_type"] == "llama"


def cases(batch, plan):
    """The launches of the families that a batch asks for, each kernel and shape once."""
    found = {}
    for launch in plan.launches.get(batch.program, []):
        if launch.family not in batch.families:
            continue
        case = Case(batch, launch, plan.arch)
        # Of a prefill: what works on all tokens, not on the last ones of the rows.
        if batch.program == "decode" or case.shapes[0][0] == case.values["T"]:
            found.setdefault((launch.kernel["entry"], str(case.shapes)), case)
    return list(found.values())
