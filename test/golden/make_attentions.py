#!/usr/bin/env python3
"""Makes the attention probabilities that test_attentions.py expects, with the reference library (see
requirements.txt): each row of a golden case's padded batch alone, in f32, by eager attention.

    python3 make_attentions.py

Writes attentions/CASE.LAYER.npy, [B, heads, S, S], zero where the query or the key is padding.
"""
import pathlib

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
CASES = {"bert-base": AutoModel, "llama-gqa-headdim": AutoModelForCausalLM}


@torch.no_grad()
def main():
    (HERE / "attentions").mkdir(exist_ok=True)
    for name, kind in CASES.items():
        case = HERE / "cases" / name
        model = kind.from_pretrained(case / "model", dtype=torch.float32,
                                     attn_implementation="eager").eval()
        ids = np.load(case / "padded.input_ids.npy")
        mask = np.load(case / "padded.attention_mask.npy")
        types = case / "padded.token_type_ids.npy"
        types = np.load(types) if types.exists() else None
        layers = None
        for row in range(ids.shape[0]):
            at = np.flatnonzero(mask[row])
            extra = {} if types is None else {
                "token_type_ids": torch.tensor(types[row, at][None]).long()}
            found = model(torch.tensor(ids[row, at][None]).long(), output_attentions=True,
                          **extra).attentions
            if layers is None:
                layers = [np.zeros((*ids.shape[:1], a.shape[1], ids.shape[1], ids.shape[1]),
                                   np.float32) for a in found]
            for layer, probabilities in zip(layers, found):
                layer[row][:, at[:, None], at[None, :]] = probabilities[0].numpy()
        for index, layer in enumerate(layers):
            np.save(HERE / "attentions" / f"{name}.{index}.npy", layer)
            print(name, index, layer.shape)


main()
