"""transformer.attention in all its forms against numpy."""
import numpy as np

import evaluate
from evaluate import case
from fused_attention_reference import attend

rng = np.random.default_rng(11)
BLOCK = 4


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def i32(values):
    return np.array(values, np.int32)


def attributes(options):
    """Keyword arguments of `attend` as attributes of the op."""
    texts = []
    for name, value in options.items():
        if isinstance(value, bool):
            texts += [name] if value else []
        else:
            texts.append(f"{name} = {value} : {'i64' if name == 'window' else 'f64'}")
    return ", ".join(texts)


def run(name, operands, optional, expected, heads, kv_heads, options, static=None, backends=None):
    options = {"scale": 0.4} | options
    for backend in backends or ("", "by efficient", "by math"):
        words = " ".join(f"{n}(%{n})" for n in optional)
        names = [*operands, *optional]
        types = ", ".join("{" + n + "}" for n in names)
        results = ", ".join(f"{{r{i}}}" for i in range(len(expected)))
        returns = ", return_probabilities" if len(expected) == 2 else ""
        values = ", ".join(f"%r{i}" for i in range(len(expected)))
        body = (f"{values} = transformer.attention {backend} %q, %k, %v {words} "
                f"{{{{heads = {heads} : i64, kv_heads = {kv_heads} : i64, {attributes(options)}"
                f"{returns}}}}} : ({types}) -> ({results})")
        case(f"{name} {backend}", body, operands | optional, expected, static=static, rtol=5e-6,
             atol=2e-6)


def padded(name, B=2, S=3, C=5, H=4, Hkv=2, D=8, Dv=8, q_pos=None, k_pos=None, valid=None, bias=None,
           slopes=None, sinks=None, head_mask=None, probabilities=False, backends=None, **options):
    q, k, v = f32(B, S, H * D), f32(B, C, Hkv * D), f32(B, C, Hkv * Dv)
    q_pos = i32(np.tile(np.arange(S) + C - S, (B, 1))) if q_pos is None else i32(q_pos)
    k_pos = i32(np.tile(np.arange(C), (B, 1))) if k_pos is None else i32(k_pos)
    optional = {"query_positions": q_pos, "key_positions": k_pos}
    if valid is not None:
        optional["key_valid"] = np.array(valid, bool)
    for key, value in (("bias", bias), ("alibi_slopes", slopes), ("sinks", sinks),
                       ("head_mask", head_mask)):
        if value is not None:
            optional[key] = value
    full = np.zeros((B, H, S, C)) if bias is None else np.broadcast_to(bias, (B, H, S, C))
    rows = [attend(q[b].reshape(S, H, D), k[b].reshape(C, Hkv, D), v[b].reshape(C, Hkv, Dv),
                   q_pos[b], k_pos[b], True if valid is None else np.array(valid[b], bool), full[b],
                   slopes, sinks, head_mask, **({"scale": 0.4} | options)) for b in range(B)]
    expected = [np.stack([r[i] for r in rows]) for i in range(2 if probabilities else 1)]
    static = {"bias": [i for i in (0, 1) if bias is not None and bias.shape[i] == 1]}
    run(name, {"q": q, "k": k, "v": v}, optional, expected, H, Hkv, options, static, backends)


def rows_of(lengths, padding=0):
    cu = np.concatenate([[0], np.cumsum(lengths)])
    return i32(np.concatenate([cu, np.full(padding, cu[-1])]))


def packed(name, lengths, padding=0, H=4, Hkv=2, D=8, Dv=8, slopes=None, sinks=None, **options):
    cu, T = rows_of(lengths, padding), int(np.sum(lengths))
    q, k, v = f32(T, H * D), f32(T, Hkv * D), f32(T, Hkv * Dv)
    out = np.zeros((T, H * Dv))
    for begin, end in zip(cu[:-1], cu[1:]):
        n, at = end - begin, np.arange(end - begin)
        if n:
            out[begin:end] = attend(q[begin:end].reshape(n, H, D), k[begin:end].reshape(n, Hkv, D),
                                    v[begin:end].reshape(n, Hkv, Dv), at, at, True, 0, slopes, sinks,
                                    **({"scale": 0.4} | options))[0]
    optional = {"cu_seqlens": cu}
    for key, value in (("alibi_slopes", slopes), ("sinks", sinks)):
        if value is not None:
            optional[key] = value
    run(name, {"q": q, "k": k, "v": v}, optional, [out], H, Hkv, options)


def paged(name, past, lengths, table, is_packed, S=None, padding=0, H=4, Hkv=2, D=8, Dv=8,
          slopes=None, sinks=None, **options):
    """`lengths` are the new tokens of each row (already in the cache); padded rows have S of them."""
    options = {"causal": True} | options
    table, past = i32(table), i32(past)
    blocks = int(table.max()) + 1
    k, v = f32(blocks, Hkv, BLOCK, D), f32(blocks, Hkv, BLOCK, Dv)
    outs, queries, C = [], [], table.shape[1] * BLOCK
    for b, length in enumerate(lengths):
        n = length if is_packed else S
        x = f32(n, H * D)
        queries.append(x)
        context = [cache[table[b]].transpose(0, 2, 1, 3).reshape(C, Hkv, -1) for cache in (k, v)]
        there = np.arange(C) < (C if options["causal"] else past[b] + length)
        if n:
            outs.append(attend(x.reshape(n, H, D), *context, past[b] + np.arange(n), np.arange(C),
                               there, 0, slopes, sinks, **({"scale": 0.4} | options))[0])
    optional = {"block_table": table, "past": past}
    if is_packed:
        optional = {"cu_seqlens": rows_of(lengths, padding)} | optional
    for key, value in (("alibi_slopes", slopes), ("sinks", sinks)):
        if value is not None:
            optional[key] = value
    join = np.concatenate if is_packed else np.stack
    run(name, {"q": join(queries), "k": k, "v": v}, optional, [join(outs)], H, Hkv, options,
        {"k": [2], "v": [2]})


slopes, sinks = f32(4), f32(4)

padded("padded")
padded("padded, multi-head", Hkv=4)
padded("padded, multi-query, Dv != D", Hkv=1, Dv=6)
padded("padded, key_valid", valid=[[1, 1, 0, 1, 1], [0, 0, 1, 1, 0]])
padded("padded, a row that sees nothing", valid=[[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
padded("padded, causal", causal=True)
padded("padded, causal, left padding", S=5, q_pos=[[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]],
       k_pos=[[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]], valid=[[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]],
       causal=True)
padded("padded, window", causal=True, window=2)
padded("padded, window alone", window=2)
padded("padded, one token", S=1, C=1, causal=True)
padded("padded, softcap", softcap=1.5, causal=True)
padded("padded, alibi", slopes=slopes, causal=True)
padded("padded, alibi before the scale", slopes=slopes, causal=True, alibi_before_scale=True)
padded("padded, alibi and softcap", slopes=slopes, softcap=2.0)
padded("padded, bias", bias=f32(2, 4, 3, 5), causal=True)
padded("padded, bias of all rows", bias=f32(1, 4, 3, 5))
padded("padded, bias of all heads", bias=f32(2, 1, 3, 5))
padded("padded, bias of all", bias=f32(1, 1, 3, 5), softcap=2.0, causal=True)
padded("padded, sinks", sinks=sinks, causal=True)
padded("padded, sinks, a row that sees nothing", sinks=sinks, valid=[[1] * 5, [0] * 5])
padded("padded, probabilities", probabilities=True, causal=True, backends=["by math"])
padded("padded, head mask, probabilities", head_mask=f32(4), probabilities=True,
       backends=["", "by math"])
padded("padded, everything", head_mask=f32(4), bias=f32(1, 4, 3, 5), slopes=slopes, sinks=sinks,
       softcap=3.0, window=3, causal=True, probabilities=True, Dv=4,
       valid=[[1, 1, 0, 1, 1], [0, 1, 1, 1, 1]], backends=["by math"])

packed("packed", [3, 2, 4])
packed("packed, multi-query, Dv != D", [3, 2], Hkv=1, Dv=6)
packed("packed, causal", [3, 2, 4], causal=True)
packed("packed, window", [5, 4], causal=True, window=2)
packed("packed, rows of length 0 and 1, entries behind the last row", [0, 1, 3, 0, 1], padding=2,
       causal=True)
packed("packed, softcap, alibi, sinks", [4, 1], causal=True, softcap=2.0, slopes=slopes, sinks=sinks)
packed("packed, alibi before the scale", [4, 3], slopes=slopes, alibi_before_scale=True)

paged("paged, prefill", [0, 0], [3, 3], [[3, 1], [5, 2]], False, S=3)
paged("paged, decode", [5, 2], [1, 1], [[3, 1], [5, 0]], False, S=1)
paged("paged, multi-query, Dv != D, window", [5, 2], [2, 2], [[3, 1], [5, 2]], False, S=2, Hkv=1,
      Dv=6, window=3)
paged("paged, alibi, sinks, softcap", [5, 2], [2, 2], [[3, 1], [5, 2]], False, S=2, slopes=slopes,
      sinks=sinks, softcap=2.0)
paged("packed, paged, prefill and decode", [0, 5, 0, 2], [3, 1, 0, 2],
      [[3, 1], [5, 2], [0, 0], [4, 0]], True, padding=2)
paged("packed, paged, not causal", [0, 2], [3, 4], [[3, 1], [5, 2]], True, causal=False)
paged("packed, paged, window, multi-query, Dv != D", [4, 2], [3, 4], [[3, 1], [5, 2]], True, Hkv=1,
      Dv=6, window=3)
paged("packed, paged, alibi, sinks", [4, 2], [3, 1], [[3, 1], [5, 2]], True, slopes=slopes,
      sinks=sinks)

evaluate.main()
