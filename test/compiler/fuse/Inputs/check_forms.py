"""Checks the IR of phase fuse on stdin: every program of a model is in its fused form.

    ingot compile MODEL --stop-after fuse | check_forms.py MODEL

One attention op, one joined projection and two residual norms a layer, one gated layer where the family
is gated; none of their parts is left.
"""
import collections
import json
import pathlib
import re
import sys

PARTS = {"softmax", "matmul", "split_heads", "merge_heads", "repeat_kv", "cache_gather", "apply_mask",
         "attention_mask", "add_bias", "add_alibi", "scale_heads"}
OP = re.compile(r"^\s*(?:(?P<results>%[\w:, %]+?) = )?(?P<name>[a-z]+\.[a-z_]+)(?P<rest>.*)$")
ENCODERS = {"bert", "roberta", "xlm-roberta", "distilbert"}


class Op:
    def __init__(self, match):
        self.name, self.text = match["name"], match.string.strip()
        self.results = re.findall(r"%[\w]+", match["results"] or "")
        # Types follow the first " : "; they name no value.
        self.operands = re.findall(r"%[\w]+", match["rest"].split(" : ")[0])


def programs(text):
    found, current = {}, None
    for line in text.splitlines():
        if function := re.match(r"\s*func\.func @(\w+)\(", line):
            current = found.setdefault(function[1], [])
        elif current is not None and (match := OP.match(line)):
            current.append(Op(match))
    return found


def check(program, ops, layers, gated, encoder):
    def require(condition, what, op=None):
        if not condition:
            sys.exit(f"@{program}: {what}" + (f"\n  {op.text}" if op else ""))

    count = collections.Counter(op.name for op in ops)
    maker = {result: op for op in ops for result in op.results}

    def made_by(value, name):
        return value in maker and maker[value].name == name

    inputs = {}
    for op in ops:
        kind = op.name.removeprefix("transformer.")
        require(op.name == kind or kind not in PARTS, "a part of attention is left", op)
        if op.name == "transformer.linear":
            require(op.operands[0] not in inputs, "two linears of one input", op)
            inputs[op.operands[0]] = op
        if op.name == "arith.mulf":
            require(not any(made_by(value, "transformer.activation") for value in op.operands),
                    "a gate that isn't joined with its product", op)
        if kind in ("rms_norm", "layer_norm"):
            value = op.operands[0]
            if made_by(value, "transformer.select_token"):
                value = maker[value].operands[0]
            require(not made_by(value, "arith.addf"), "a norm that isn't joined with its addition", op)
    joined = [op for op in ops if op.name == "transformer.weight" and op.text.count('"]') and
              re.search(r"(q_proj|query|q_lin)\.weight.*(k_proj|key|k_lin)\.weight.*(v_proj|value|v_lin)\.weight"
                        r".*concat \[0, 3\]", op.text)]
    require(len(joined) == layers, f"{len(joined)} joined projections in {layers} layers")
    require(count["transformer.attention"] == layers, f"{count['transformer.attention']} attentions, {layers} layers")
    require(count["transformer.gated_linear"] == (layers if gated else 0),
            f"{count['transformer.gated_linear']} gated layers in {layers} layers")
    norms = count["transformer.add_rms_norm"] + count["transformer.add_layer_norm"]
    # Two a layer, and in encoders that of the embeddings.
    require(norms == 2 * layers + encoder, f"{norms} residual norms in {layers} layers")


def main():
    config = json.loads((pathlib.Path(sys.argv[1]) / "config.json").read_text())
    encoder = config["model_type"] in ENCODERS
    layers = config.get("n_layers") or config["num_hidden_layers"]
    found = programs(sys.stdin.read())
    expected = {"forward"} if encoder or not any("CausalLM" in a for a in config["architectures"]) \
        else {"forward", "step"}
    if set(found) != expected:
        sys.exit(f"programs {sorted(found)}, expected {sorted(expected)}")
    for program, ops in found.items():
        check(program, ops, layers, gated=not encoder, encoder=encoder)


if __name__ == "__main__":
    main()
