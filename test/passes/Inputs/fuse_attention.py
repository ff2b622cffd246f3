"""Attention by its parts, fused, run and compared with numpy; and that nothing was left unfused."""
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dialects/Transformer/run/Inputs"))
import evaluate  # noqa: E402
from fused_attention_reference import attend  # noqa: E402

FUSE = ["--fuse-attention", "--canonicalize", "--cse"]
rng = np.random.default_rng(23)
B, S, H, D = 2, 5, 4, 6
bodies = []


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def t(*shape, kind="f32"):
    return f"tensor<{'x'.join(map(str, shape))}x{kind}>"


def norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def turn(x, cos, sin):
    half = cos.shape[-1]
    lo, hi, cos, sin = x[..., :half], x[..., half:], cos[:, :, None], sin[:, :, None]
    return np.concatenate([lo * cos - hi * sin, hi * cos + lo * sin], -1)


def check(name, Hkv=H, Dv=D, scale=0.4, scale_on="scores", causal=True, window=None, valid=True,
          softcap=None, softcap_by="div", bias=None, slopes=None, alibi_before_scale=False, sinks=None,
          head_mask=None, rope=False, qk_norm=False, probabilities=False, masked=True):
    """Writes the parts in MLIR, one line each, and what they come to."""
    ins = {"x": f32(B, S, H * D), "y": f32(B, S, Hkv * D), "z": f32(B, S, Hkv * Dv),
           "p": np.tile(np.arange(S, dtype=np.int32), (B, 1)),
           "m": np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0]], bool)}
    q, k, v = (ins[n].reshape(B, S, h, -1).astype(np.float64)
               for n, h in (("x", H), ("y", Hkv), ("z", Hkv)))
    by_head, scores, token = t(B, H, S, D), t(B, H, S, S), t(B, S, kind="i32")
    kv, vv, mask = t(B, Hkv, S, D), t(B, Hkv, S, Dv), t(B, S, S, kind="i1")
    lines = []

    def let(result, text):
        lines.append(f"%{result} = {text}")
        return result

    def constant(value):
        return let(f"c{len(lines)}", f"arith.constant dense<{value:e}> : {scores}")

    def scaled(value, kind):
        factor = let(f"c{len(lines)}", f"arith.constant dense<{scale:e}> : {kind}")
        return let(f"s{len(lines)}", f"arith.mulf %{value}, %{factor} : {kind}")

    qh = let("qh", f"transformer.split_heads %x {{{{heads = {H} : i64}}}} : ({t(B, S, H * D)}) -> {by_head}")
    kh = let("kh", f"transformer.split_heads %y {{{{heads = {Hkv} : i64}}}} : ({t(B, S, Hkv * D)}) -> {kv}")
    vh = let("vh", f"transformer.split_heads %z {{{{heads = {Hkv} : i64}}}} : ({t(B, S, Hkv * Dv)}) -> {vv}")
    if qk_norm:
        ins["w"] = f32(D)
        op = "transformer.rms_norm %{} , %w {{{{eps = 1.0e-5 : f64}}}} : ({}, " + t(D) + ") -> {}"
        qh, kh = let("qn", op.format(qh, by_head, by_head)), let("kn", op.format(kh, kv, kv))
        q, k = norm(q, ins["w"], 1e-5), norm(k, ins["w"], 1e-5)
    if rope:
        ins["cos"], ins["sin"] = f32(B, S, D // 2), f32(B, S, D // 2)
        table = t(B, S, D // 2)
        op = "transformer.rope %{}, %cos, %sin : ({}, " + f"{table}, {table}) -> " + "{}"
        qh, kh = let("qr", op.format(qh, by_head, by_head)), let("kr", op.format(kh, kv, kv))
        q, k = turn(q, ins["cos"], ins["sin"]), turn(k, ins["cos"], ins["sin"])
    if scale_on == "queries":
        qh = scaled(qh, by_head)
    if scale_on == "keys":
        kh = scaled(kh, kv)
    if Hkv != H:
        repeat = f"{{{{repeats = {H // Hkv} : i64}}}}"
        kh = let("kg", f"transformer.repeat_kv %{kh} {repeat} : ({kv}) -> {by_head}")
        vh = let("vg", f"transformer.repeat_kv %{vh} {repeat} : ({vv}) -> {t(B, H, S, Dv)}")
    s = let("s", f"transformer.matmul %{qh}, %{kh} {{{{transpose_rhs}}}} : ({by_head}, {by_head}) -> {scores}")

    def alibi(s):
        ins["a"] = slopes
        return let("al", f"transformer.add_alibi %{s}, %a, %p, %p : ({scores}, {t(H)}, {token}, {token}) -> {scores}")

    if slopes is not None and alibi_before_scale:
        s = alibi(s)
    if scale_on == "scores":
        s = let("sc", f"arith.mulf %{constant(scale)}, %{s} : {scores}")
    elif scale_on == "divided":
        s = let("sc", f"arith.divf %{s}, %{constant(1 / scale)} : {scores}")
    if softcap:
        inner = ("divf", softcap) if softcap_by == "div" else ("mulf", 1 / softcap)
        s = let("t0", f"arith.{inner[0]} %{s}, %{constant(inner[1])} : {scores}")
        s = let("t1", f"math.tanh %{s} : {scores}")
        s = let("t2", f"arith.mulf %{s}, %{constant(softcap)} : {scores}")
    if slopes is not None and not alibi_before_scale:
        s = alibi(s)
    if bias is not None:
        ins["b"] = bias
        if bias.shape == (B, H, S, S):
            s = let("sb", f"arith.addf %{s}, %b : {scores}")
        else:
            s = let("sb", f"transformer.add_bias %{s}, %b : ({scores}, {t(*bias.shape)}) -> {scores}")
    if masked:
        attributes = (["causal"] if causal else []) + ([f"window = {window} : i64"] if window else [])
        operands, kinds = ("%p, %p, %m", f"{token}, {token}, {t(B, S, kind='i1')}") if valid else (
            "%p, %p", f"{token}, {token}")
        let("seen", f"transformer.attention_mask {operands} {{{{{', '.join(attributes)}}}}} : ({kinds}) -> {mask}")
        s = let("sm", f"transformer.apply_mask %{s}, %seen : ({scores}, {mask}) -> {scores}")
    if sinks is not None:
        ins["k0"] = sinks
        p = let("pr", f"transformer.softmax %{s}, %k0 : ({scores}, {t(H)}) -> {scores}")
    else:
        p = let("pr", f"transformer.softmax %{s} : ({scores}) -> {scores}")
    if head_mask is not None:
        ins["h"] = head_mask
        p = let("ph", f"transformer.scale_heads %{p}, %h : ({scores}, {t(H)}) -> {scores}")
    o = let("o", f"transformer.matmul %{p}, %{vh} : ({scores}, {t(B, H, S, Dv)}) -> {t(B, H, S, Dv)}")
    let("r0", f"transformer.merge_heads %{o} : ({t(B, H, S, Dv)}) -> {t(B, S, H * Dv)}")
    if probabilities:
        zero = constant(0)
        let("r1", f"arith.addf %{p}, %{zero} : {scores}")
    rows = [attend(q[b], k[b], v[b], ins["p"][b], ins["p"][b],
                   ins["m"][b] if masked and valid else True,
                   0 if bias is None else np.broadcast_to(bias, (B, H, S, S))[b], slopes, sinks,
                   head_mask, scale, masked and causal, masked and window, softcap,
                   alibi_before_scale) for b in range(B)]
    expected = [np.stack([r[i] for r in rows]) for i in range(2 if probabilities else 1)]
    static = {n: list(range(a.ndim)) for n, a in ins.items()}
    static |= {"r0": [0, 1, 2], "r1": [0, 1, 2, 3]}
    evaluate.case(name, "\n  ".join(lines), ins, expected, static=static, rtol=1e-5, atol=5e-6)


slopes, sinks = f32(H), f32(H)
check("causal with valid keys")
check("bidirectional with valid keys", causal=False)
check("no mask", masked=False)
check("window", window=2)
check("all keys valid", valid=False)
check("grouped heads, Dv != D", Hkv=2, Dv=8)
check("one head of keys", Hkv=1)
check("scale on queries", scale_on="queries")
check("scale on keys, grouped", scale_on="keys", Hkv=2)
check("scale by division", scale_on="divided")
check("no scale", scale=1.0, scale_on="nothing")
check("rope", rope=True, Hkv=2)
check("norms of heads and rope", rope=True, qk_norm=True, Hkv=2)
check("scale on queries behind norms and rope", rope=True, qk_norm=True, scale_on="queries")
check("soft cap", softcap=1.5)
check("soft cap by product", softcap=1.5, softcap_by="mul")
check("soft cap without scale", softcap=1.5, scale=1.0, scale_on="nothing")
check("ALiBi", slopes=slopes)
check("ALiBi before the scale", slopes=slopes, alibi_before_scale=True)
check("ALiBi alone", slopes=slopes, masked=False)
check("bias", bias=f32(B, H, S, S))
check("bias of all rows and heads", bias=f32(1, 1, S, S), causal=False)
check("bias and ALiBi", bias=f32(1, H, S, S), slopes=slopes)
check("sinks", sinks=sinks)
check("head mask", head_mask=f32(H))
check("probabilities", probabilities=True)
check("everything", Hkv=2, Dv=8, window=3, softcap=2.0, bias=f32(1, H, S, S), slopes=slopes, sinks=sinks,
      head_mask=f32(H), rope=True, qk_norm=True, probabilities=True)

text = "\n".join(evaluate.emit(i, False, n, b, ins, e, st, bt)[0]
                 for i, (n, b, ins, e, st, bt, _, _) in enumerate(evaluate.cases))
fused = evaluate.pipe(["ingot-opt", "-", *FUSE], text)
for part in ("transformer.softmax", "transformer.matmul", "transformer.split_heads",
             "transformer.merge_heads", "transformer.repeat_kv"):
    if part in fused:
        sys.exit(f"{part} is left:\n{fused}")
if fused.count("transformer.attention ") != len(evaluate.cases):
    sys.exit(f"expected {len(evaluate.cases)} attentions:\n{fused}")
evaluate.LOWER = FUSE + evaluate.LOWER
evaluate.main()
