#!/usr/bin/env python3
"""Real models on a GPU beside the reference library on the same GPU. Needs PyTorch and transformers.

    check_models.py encoder --ingot-run FILE --model FOLDER INGOT...   cosines of sentence embeddings
    check_models.py decoder --ingot-run FILE --config FILE INGOT...    logits and greedy tokens
    check_models.py decoder --ingot-run FILE --model FOLDER INGOT...   of a checkpoint

Ingots are compiled without weights. With --config a decoder's weights are drawn at random and stored, so that
both sides load the same files; the type an ingot computes in is the part of its name in front of `.ingot`. Everything is
compared with the reference in f32, and 16 bits with the reference's own error there.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
COSINE, HALF_FACTOR, F32_ERROR = 0.9999, 1.25, 2e-4


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(map(str, command))}\n{done.stderr[-3000:]}")
    return done.stdout


def type_of(ingot):
    return pathlib.Path(ingot).name.split(".")[-2]


def relative(got, want):
    return float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want.astype(np.float64)))


def check_encoder(options, work):
    config = transformers.AutoConfig.from_pretrained(options.model)
    model = transformers.AutoModel.from_pretrained(options.model, dtype=torch.float32).eval().cuda()
    rng = np.random.default_rng(0)
    lengths = [1, 17, 128, 64, 5, 90, 33]
    ids = rng.integers(1000, config.vocab_size, size=(len(lengths), max(lengths))).astype(np.int32)
    mask = (np.arange(ids.shape[1])[None] < np.array(lengths)[:, None]).astype(np.int32)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor(ids).long().cuda(),
                       attention_mask=torch.tensor(mask).cuda()).last_hidden_state
        valid = torch.tensor(mask).cuda()[..., None].float()
        want = torch.nn.functional.normalize((hidden * valid).sum(1) / valid.sum(1), dim=-1).cpu().numpy()
    np.save(work / "ids.npy", ids)
    np.save(work / "mask.npy", mask)
    ok = True
    for ingot in options.ingots:
        out = work / "out.npy"
        run([options.ingot_run, "run", ingot, "--weights", options.model, "--input", f"input_ids=@{work}/ids.npy",
             "--input", f"attention_mask=@{work}/mask.npy", "--output", f"sentence_embedding=@{out}"])
        got = np.load(out)
        cosines = (got * want).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
        print(f"{ingot}: cosine at least {cosines.min():.7f} over {len(lengths)} rows, error {relative(got, want):.1e}")
        ok &= bool(cosines.min() >= COSINE)
    return ok


def save_model(config_file, folder):
    """A checkpoint with random weights, drawn large enough for clear choices of tokens."""
    parsed = json.loads(pathlib.Path(config_file).read_text())
    parsed.pop("dtype", None)
    config = transformers.AutoConfig.for_model(parsed.pop("model_type"), **parsed)
    torch.manual_seed(1)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return config


@torch.no_grad()
def reference(folder, dtype, ids, prompts, new_tokens):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=TYPES[dtype]).eval().cuda()
    logits = model(input_ids=torch.tensor(ids).long().cuda()).logits.float().cpu().numpy()
    tokens = []
    for prompt in prompts:
        out = model.generate(torch.tensor([prompt]).cuda(), do_sample=False, max_new_tokens=new_tokens,
                             min_new_tokens=new_tokens, pad_token_id=0)
        tokens.append(out[0, len(prompt):].tolist())
    del model
    torch.cuda.empty_cache()
    return logits, tokens


def check_decoder(options, work):
    if options.model:
        folder, config = options.model, transformers.AutoConfig.from_pretrained(options.model)
    else:
        folder = work / "model"
        config = save_model(options.config, folder)
    rng = np.random.default_rng(0)
    ids = rng.integers(5, config.vocab_size, size=(1, options.tokens)).astype(np.int32)
    np.save(work / "ids.npy", ids)
    prompts = [rng.integers(5, config.vocab_size, size=n).tolist() for n in (7, 1, 40, 129)]
    (work / "prompts.txt").write_text("".join(",".join(map(str, p)) + "\n" for p in prompts))
    torch.backends.cuda.matmul.allow_tf32 = False
    want, want_tokens = reference(folder, "f32", ids, prompts, options.new_tokens)
    ok = True
    for ingot in options.ingots:
        dtype = type_of(ingot)
        run([options.ingot_run, "run", ingot, "--program", "forward", "--weights", folder, "--input",
             f"input_ids=@{work}/ids.npy", "--output", f"logits=@{work}/logits.npy"])
        error = relative(np.load(work / "logits.npy"), want)
        text = run([options.ingot_run, "generate", ingot, "--weights", folder, "--ids", f"@{work}/prompts.txt",
                    "--max-new-tokens", options.new_tokens, "--greedy", "--ignore-eos", "--json"])
        tokens = [row["tokens"] for row in json.loads(text)["sequences"]]
        same = sum(a == b for x, y in zip(tokens, want_tokens) for a, b in zip(x, y))
        total = sum(map(len, want_tokens))
        if dtype == "f32":
            passed = error <= F32_ERROR and same == total
            print(f"{ingot}: logits' error {error:.1e}, {same} of {total} greedy tokens are the reference's")
        else:
            half, half_tokens = reference(folder, dtype, ids, prompts, options.new_tokens)
            allowed = relative(half, want)
            its = sum(a == b for x, y in zip(half_tokens, want_tokens) for a, b in zip(x, y))
            passed = error <= HALF_FACTOR * allowed
            print(f"{ingot}: logits' error {error:.2e}, the reference's {allowed:.2e} ({error / allowed:.2f}x); "
                  f"{same} of {total} tokens as in f32, the reference's {its}")
        ok &= passed
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["encoder", "decoder"])
    parser.add_argument("--ingot-run", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--config", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("ingots", nargs="+")
    options = parser.parse_args()
    if not options.model and (options.kind == "encoder" or not options.config):
        parser.error("expected --model FOLDER" + (" or --config FILE" if options.kind == "decoder" else ""))
    options.ingot_run = options.ingot_run.resolve()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as work:
        ok = (check_encoder if options.kind == "encoder" else check_decoder)(options, pathlib.Path(work))
    print("ok" if ok else "FAIL")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
