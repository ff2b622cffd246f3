#!/usr/bin/env python3
"""Makes the golden cases with the reference library (see requirements.txt).

    python3 make_golden.py [--out cases] [--only NAME]

Each case is a folder: model/ (a checkpoint as a publisher would store it), case.json (what to run) and
.npy files. Every expected row is computed ALONE, without padding, in float32 and eager attention: that
is Ingot's contract for padded batches. Where the library itself is padding-invariant, its padded result
is checked to agree. Weights are drawn large, norms away from 1 and biases away from 0, so that a
missing bias, a wrong rope pairing or a skipped norm changes the result visibly.
"""
import argparse
import json
import pathlib
import shutil

import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import golden_cases
import rope_reference

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NEW_TOKENS = 10
# A greedy choice whose runner-up is closer than this (of the largest logit) is no fair test.
MIN_MARGIN = 2e-3
DECODER_SUFFIX = "ForCausalLM"


def reinitialize(model, generator):
    """Draws every parameter: matrices with gain 1.2, embeddings with std 1, norms 1 +- 0.5, biases 0.5."""
    # A tied head multiplies by the embedding again: drawn large, every token would repeat itself.
    embedding_std = 0.25 if model.config.tie_word_embeddings and "rms_norm_eps" in model.config.to_dict() else 1.0
    norms = {id(p) for m in model.modules() if "Norm" in type(m).__name__ for p in m.parameters(recurse=False)}
    for name, p in model.named_parameters():
        with torch.no_grad():
            if id(p) in norms and name.endswith("weight"):
                p.copy_(torch.rand(p.shape, generator=generator) + 0.5)
            elif p.dim() == 1:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            elif "embed" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * embedding_std)
            else:
                p.copy_(torch.randn(p.shape, generator=generator) * (1.2 / p.shape[1] ** 0.5))


def stored_tensors(model, case):
    """The state dict in the form the case stores: prefixes, legacy names, ties, dtype."""
    save = case.get("save", "")
    dtype = DTYPES[case.get("dtype", "float32")]
    tied = set(model._tied_weights_keys or {}) if model.config.tie_word_embeddings else set()
    prefix = model.base_model_prefix + "."
    tensors = {}
    for name, value in model.state_dict().items():
        if name in tied and save != "keep_tied":
            continue
        if save == "no_prefix" and name.startswith(prefix):
            name = name[len(prefix):]
        if save == "legacy_names":
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[name] = value.detach().to(dtype).clone().contiguous()
    if save == "legacy_names":  # buffers that old files carry
        tensors["bert.embeddings.position_ids"] = torch.arange(model.config.max_position_embeddings)[None]
    return tensors


def save_weights(folder, tensors, shards):
    metadata = {"format": "pt"}
    if not shards:
        save_file(tensors, folder / "model.safetensors", metadata=metadata)
        return
    names = sorted(tensors)
    half = len(names) // 2
    weight_map = {}
    for i, part in enumerate([names[:half], names[half:]]):
        file = f"model-{i + 1:05d}-of-00002.safetensors"
        save_file({n: tensors[n] for n in part}, folder / file, metadata=metadata)
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_sentence_transformers(folder, case):
    """The folder layout of sentence-transformers: modules.json and one folder a module."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if case.get("normalize"):
        modules.append(("2_Normalize", "Normalize"))
    write_json(folder / "modules.json",
               [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for i, (path, kind) in enumerate(modules)])
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json",
               dict({"word_embedding_dimension": case["config"]["hidden_size"]}, **case["pooling"]))


def load(folder, config):
    """A fresh float32 model from the folder: rope with dynamic scaling keeps state between calls."""
    cls = getattr(transformers, config["architectures"][0])
    model, info = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                      output_loading_info=True)
    bad = [k for k in ("missing_keys", "mismatched_keys", "error_msgs") if info.get(k)]
    unexpected = [k for k in info.get("unexpected_keys", []) if "position_ids" not in k]
    if bad or unexpected:
        raise SystemExit(f"{folder}: the reference does not load it cleanly: {info}")
    return model.eval()


@torch.no_grad()
def run_reference(model, case, ids, types=None, mask=None, positions=None):
    """Named outputs of one batch, as Ingot names them."""
    inputs = dict(input_ids=torch.tensor(ids))
    if types is not None:
        inputs["token_type_ids"] = torch.tensor(types)
    if mask is not None:
        inputs["attention_mask"] = torch.tensor(mask)
    if positions is not None:
        inputs["position_ids"] = torch.tensor(positions)
    out = model(**inputs)
    found = {}
    for name in ("last_hidden_state", "pooler_output", "logits"):
        value = getattr(out, name, None)
        if value is not None:
            found[name] = value.numpy()
    if "pooling" in case:
        hidden = out.last_hidden_state
        valid = torch.ones(hidden.shape[:2]) if mask is None else torch.tensor(mask, dtype=torch.float32)
        if case["pooling"].get("pooling_mode_cls_token"):
            sentence = hidden[:, 0]
        else:
            sentence = (hidden * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
        if case.get("normalize"):
            sentence = torch.nn.functional.normalize(sentence, dim=-1)
        found["sentence_embedding"] = sentence.numpy()
    return found


def make_batch(folder, case, config, name, masks, rng):
    """Random inputs for rows given as masks, and each row's outputs when it is alone."""
    vocab, pad = config.vocab_size, config.pad_token_id
    mask = np.array([[int(c) for c in row] for row in masks], dtype=np.int32)
    ids = rng.integers(5, vocab, size=mask.shape).astype(np.int32)
    if name == "pad_inside":  # the padding token as an ordinary, valid token
        ids[0, 3] = ids[0, 7] = pad
    types = None
    if getattr(config, "type_vocab_size", 1) > 1 and name != "single":
        types = rng.integers(0, config.type_vocab_size, size=mask.shape).astype(np.int32)

    outputs = {}
    for row in range(mask.shape[0]):
        keep = mask[row] == 1
        alone = run_reference(load(folder, case["config"]), case, ids[row:row + 1, keep].astype(np.int64),
                              None if types is None else types[row:row + 1, keep].astype(np.int64))
        for key, value in alone.items():
            per_token = value.ndim == 3
            shape = mask.shape + value.shape[2:] if per_token else (mask.shape[0],) + value.shape[1:]
            full = outputs.setdefault(key, np.zeros(shape, dtype=np.float32))
            if per_token:
                full[row, keep] = value[0]
            else:
                full[row] = value[0]
    check_library_padding(folder, case, mask, ids, types, outputs, name)
    inputs = {"input_ids": ids}
    if name != "single":
        inputs["attention_mask"] = mask
    if types is not None:
        inputs["token_type_ids"] = types
    return inputs, outputs


def check_library_padding(folder, case, mask, ids, types, outputs, name):
    """Where the library is padding-invariant too, its padded batch must agree with the rows alone."""
    config = case["config"]
    if name in ("single", "pad_inside") or "dynamic" in json.dumps(config.get("rope_scaling")):
        return
    decoder = "rms_norm_eps" in transformers.AutoConfig.from_pretrained(folder).to_dict()
    ids = ids.copy().astype(np.int64)
    positions = None
    rows = range(mask.shape[0])
    if decoder:
        positions = np.maximum(np.cumsum(mask, 1) - 1, 0).astype(np.int64)
        if config.get("sliding_window"):  # the library's window counts padding
            rows = [r for r in rows if "0" not in "".join(map(str, mask[r])).strip("0")]
    else:
        model_pad = transformers.AutoConfig.from_pretrained(folder).pad_token_id
        ids[mask == 0] = model_pad
        if "roberta" not in config["model_type"]:  # positions count padding: only right padding agrees
            rows = [r for r in rows if "01" not in "".join(map(str, mask[r]))]
        elif any(k in outputs for k in ("pooler_output",)) or outputs[next(iter(outputs))].ndim == 2:
            rows = [r for r in rows if mask[r, 0] == 1]  # its first token is column 0
    padded = run_reference(load(folder, config), case, ids, None if types is None else types.astype(np.int64),
                           mask.astype(np.int64), positions)
    for key, value in padded.items():
        for row in rows:
            keep = mask[row] == 1
            got, want = (value[row, keep], outputs[key][row, keep]) if value.ndim == 3 else (value[row], outputs[key][row])
            worst = np.abs(got - want).max() / np.abs(want).max()
            if not worst < 1e-5:
                raise SystemExit(f"{case['name']}: {name} row {row} {key}: library padded differs by {worst}")


@torch.no_grad()
def greedy(folder, case, prompt, eos):
    """Greedy continuation by the library with its cache, and the smallest relative top-2 margin."""
    model = load(folder, case["config"])
    out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                         do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=eos, pad_token_id=0,
                         output_logits=True, return_dict_in_generate=True)
    margin = 1.0
    for logits in out.logits:
        top = torch.topk(logits[0], 2).values
        margin = min(margin, float((top[0] - top[1]) / logits.abs().max()))
    return out.sequences[0, len(prompt):].tolist(), margin


def make_generation(folder, case, config, rng):
    prompts = [rng.integers(5, config.vocab_size, size=n).tolist()
               for n in case.get("prompts", golden_cases.PROMPTS)]
    results = [greedy(folder, case, p, None) for p in prompts]
    eos = []
    if case.get("eos_list"):
        # End the first row after 5 tokens and the second after 8, by two different ids.
        eos = sorted({results[0][0][4], results[1][0][7]})
        write_json(folder / "generation_config.json",
                   {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": eos})
        results = [greedy(folder, case, p, eos) for p in prompts]
    return {"prompts": prompts, "max_new_tokens": NEW_TOKENS, "eos": eos,
            "tokens": [r[0] for r in results]}, min(r[1] for r in results)


@torch.no_grad()
def check_sensitivity(folder, case, ids):
    """Every bias and norm must show in the outputs, by 20 times the tests' tolerance."""
    base = run_reference(load(folder, case["config"]), case, ids)
    model = load(folder, case["config"])

    def expect_change(what):
        got = run_reference(model, case, ids)
        worst = max(np.abs(got[k] - base[k]).max() / np.abs(base[k]).max() for k in base)
        if worst < 4e-3:
            raise SystemExit(f"{case['name']}: {what} changes the outputs by only {worst}")

    rope = any("rotary" in n for n, _ in model.named_modules())
    for name, p in model.named_parameters():
        # A key bias shifts all of a row's scores alike, which softmax ignores, unless rope turns it.
        if p.dim() != 1 or (not rope and ("key.bias" in name or "k_lin.bias" in name)):
            continue
        if "pooler" in name and "pooler_output" not in base and "logits" not in base:
            continue
        old = p.clone()
        p.fill_(1.0 if name.endswith("weight") else 0.0)
        expect_change(f"neutral {name}")
        p.copy_(old)


def save_npy(path, array):
    np.save(path, np.ascontiguousarray(array))


def make_case(case, out, attempt):
    name = case["name"]
    seed = zlib.crc32(name.encode()) + attempt
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    model_folder = folder / "model"
    model_folder.mkdir(parents=True)
    write_json(model_folder / "config.json", case["config"])

    config = transformers.AutoConfig.from_pretrained(model_folder)
    cls = getattr(transformers, case["config"]["architectures"][0])
    # A fresh object each time: classes write derived values back into their config.
    model = cls._from_config(transformers.AutoConfig.from_pretrained(model_folder), attn_implementation="eager")
    model = model.to(torch.float32)
    reinitialize(model, torch.Generator().manual_seed(seed))
    save_weights(model_folder, stored_tensors(model, case), case.get("save") == "shards")
    if "pooling" in case:
        write_sentence_transformers(model_folder, case)

    rng = np.random.default_rng(seed)
    batches = dict(case.get("batches", dict(single=golden_cases.SINGLE, padded=golden_cases.PADDED)))
    batches.update(case.get("extra_batches", {}))
    check_sensitivity(model_folder, case, rng.integers(5, config.vocab_size, size=(1, 12)))
    rng = np.random.default_rng(seed)
    forward = []
    for batch, masks in batches.items():
        inputs, outputs = make_batch(model_folder, case, config, batch, masks, rng)
        entry = {"name": batch, "inputs": {}, "outputs": {}}
        for kind, arrays in (("inputs", inputs), ("outputs", outputs)):
            for key, value in arrays.items():
                entry[kind][key] = f"{batch}.{key}.npy"
                save_npy(folder / entry[kind][key], value)
                if not np.isfinite(value).all():
                    raise SystemExit(f"{name}: {batch} {key} is not finite")
        forward.append(entry)
    description = {"name": name, "compile": case.get("compile", []), "forward": forward}
    margin = 1.0
    if cls.__name__.endswith(DECODER_SUFFIX) and case.get("prompts", True):
        description["generate"], margin = make_generation(model_folder, case, config, rng)
    write_json(folder / "case.json", description)
    return margin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here / "cases")
    parser.add_argument("--only", help="make only the cases whose name contains this")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for case in golden_cases.CASES:
        if args.only and args.only not in case["name"]:
            continue
        for attempt in range(50):
            margin = make_case(case, args.out, attempt)
            if margin >= MIN_MARGIN:
                break
        else:
            raise SystemExit(f"{case['name']}: no seed gives clear greedy choices")
        size = sum(f.stat().st_size for f in (args.out / case["name"]).rglob("*") if f.is_file())
        print(f"{case['name']:28} {size / 1024:7.1f} KiB  attempt {attempt}  margin {margin:.4f}", flush=True)
    if not args.only:
        write_json(here / "rope_frequencies.json", rope_reference.tables())


if __name__ == "__main__":
    main()
