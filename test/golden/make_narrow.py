#!/usr/bin/env python3
"""Measures the reference library's own error in bf16 and f16 on golden cases, for run_narrow.py.

    python3 make_narrow.py

Each valid row is run alone, as the expected f32 values were. The error of an output is the root of the
mean square of its differences from f32, over that of f32 itself. Writes narrow.json.
"""
import json
import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
CASES = ("bert-base", "distilbert-base", "llama-default", "llama-tied", "mistral-window", "qwen2-bias",
         "qwen3-qknorm", "roberta-base")
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


@torch.no_grad()
def errors(folder, dtype):
    config = json.loads((folder / "model" / "config.json").read_text())
    cls = getattr(transformers, config["architectures"][0])
    model = cls.from_pretrained(folder / "model", dtype=dtype, attn_implementation="eager").eval()
    found = {}
    for batch in json.loads((folder / "case.json").read_text())["forward"]:
        inputs = {name: np.load(folder / file) for name, file in batch["inputs"].items()}
        mask = inputs.pop("attention_mask", np.ones_like(inputs["input_ids"])) == 1
        sums = {name: [0.0, 0.0] for name in batch["outputs"]}
        for row in range(mask.shape[0]):
            alone = {name: torch.tensor(value[row:row + 1, mask[row]]).long() for name, value in inputs.items()}
            out = model(**alone)
            for name, file in batch["outputs"].items():
                want = np.load(folder / file)[row].astype(np.float64)
                if want.ndim == 2:
                    want = want[mask[row]]
                got = getattr(out, name)[0].float().numpy().astype(np.float64)
                sums[name][0] += ((got - want) ** 2).sum()
                sums[name][1] += (want ** 2).sum()
        found[batch["name"]] = {name: float(np.sqrt(a / b)) for name, (a, b) in sums.items()}
    return found


def main():
    narrow = {case: {name: errors(HERE / "cases" / case, dtype) for name, dtype in DTYPES.items()}
              for case in CASES}
    (HERE / "narrow.json").write_text(json.dumps(narrow, indent=1) + "\n")


if __name__ == "__main__":
    main()
