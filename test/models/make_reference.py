#!/usr/bin/env python3
"""Makes the reference results of the two real models with the reference library, in f32.

    make_reference.py MODELS_FOLDER        (see test/golden/requirements.txt for what it needs)

Writes reference.json (token ids in, token ids out) and minilm.npy (one embedding a sentence, each
computed alone, without padding).
"""
import json
import os
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
SENTENCES = ["A man is eating food.", "Someone is having a meal.",
             "The girl is carrying a baby through the park on a warm summer afternoon.",
             "A cheetah is running behind its prey.", "The wild cat chases an antelope."]
PROMPTS = ["The capital of France is", "Once upon a time, in a small village by the sea,",
           "def fibonacci(n):"]
NEW_TOKENS = 32


@torch.no_grad()
def embeddings(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids, rows = [], []
    for sentence in SENTENCES:
        encoded = tokenizer(sentence, return_tensors="pt")
        state = model(**encoded).last_hidden_state
        rows.append(torch.nn.functional.normalize(state.mean(1), dim=1)[0].numpy())
        ids.append(encoded.input_ids[0].tolist())
    return ids, np.stack(rows)


@torch.no_grad()
def continuations(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        out = model.generate(ids, max_new_tokens=NEW_TOKENS, do_sample=False)
        logits = model(out).logits[0, ids.shape[1] - 1:-1].sort(-1).values
        margin = ((logits[:, -1] - logits[:, -2]) / logits.abs().max()).min().item()
        print(f"{prompt!r}: least margin {margin:.2e}")
        yield {"ids": ids[0].tolist(), "new": out[0, ids.shape[1]:].tolist()}


def main():
    models = sys.argv[1]
    ids, vectors = embeddings(os.path.join(models, "all-MiniLM-L6-v2"))
    np.save(os.path.join(HERE, "minilm.npy"), vectors)
    reference = {"minilm": ids,
                 "smollm2": list(continuations(os.path.join(models, "SmolLM2-135M-Instruct")))}
    with open(os.path.join(HERE, "reference.json"), "w", encoding="utf-8") as file:
        json.dump(reference, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
