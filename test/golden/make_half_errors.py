#!/usr/bin/env python3
"""How far the reference library itself is from its f32 results when it computes in bf16 and f16.

    python3 make_half_errors.py [--only NAME]

Writes half_errors.json: case -> type -> "batch output" -> ||half - f32|| / ||f32|| over valid tokens. Every
row is computed alone, as the golden outputs are. What Ingot computes in 16 bits is compared with these.
"""
import argparse
import json
import pathlib

import numpy as np
import torch
import transformers

import golden_cases
import make_golden

HERE = pathlib.Path(__file__).resolve().parent
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def load(folder, config, dtype):
    cls = getattr(transformers, config["architectures"][0])
    return cls.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


@torch.no_grad()
def outputs_of(model, case, ids, types):
    found = make_golden.run_reference(model, case, ids, types)
    return {name: value[0] for name, value in found.items()}


class HalfTensors:
    """run_reference hands out NumPy arrays, which have no bf16: widened on the way."""

    def __init__(self, model):
        self.model = model

    def __call__(self, **inputs):
        out = self.model(**inputs)
        for name in ("last_hidden_state", "pooler_output", "logits"):
            if getattr(out, name, None) is not None:
                setattr(out, name, getattr(out, name).float())
        return out


def measure(folder, case, dtype):
    description = json.loads((folder / "case.json").read_text())
    errors = {}
    for batch in description["forward"]:
        arrays = {name: np.load(folder / file) for name, file in batch["inputs"].items()}
        ids = arrays["input_ids"].astype(np.int64)
        mask = arrays.get("attention_mask", np.ones_like(ids))
        types = arrays.get("token_type_ids")
        sums = {}
        for row in range(ids.shape[0]):
            keep = mask[row] == 1
            # A fresh model for each row: rope with dynamic scaling keeps state between calls.
            half = HalfTensors(load(folder / "model", case["config"], dtype))
            got = outputs_of(half, case, ids[row:row + 1, keep],
                             None if types is None else types[row:row + 1, keep].astype(np.int64))
            for name, file in batch["outputs"].items():
                want = np.load(folder / file)[row].astype(np.float64)
                want = want[keep] if want.ndim == 2 else want
                total = sums.setdefault(name, [0.0, 0.0])
                total[0] += ((got[name] - want) ** 2).sum()
                total[1] += (want ** 2).sum()
        for name, (difference, size) in sums.items():
            errors[f"{batch['name']} {name}"] = float(f"{(difference / size) ** 0.5:.3e}")
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    file = HERE / "half_errors.json"
    table = json.loads(file.read_text()) if file.exists() else {}
    for case in golden_cases.CASES:
        folder = HERE / "cases" / case["name"]
        if args.only in case["name"] and folder.exists():
            table[case["name"]] = {name: measure(folder, case, dtype) for name, dtype in TYPES.items()}
            print(case["name"], table[case["name"]], flush=True)
    file.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
