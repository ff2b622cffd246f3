"""Tokens and positions against numpy."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(4)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def i32(values):
    return np.array(values, np.int32)


table = f32(11, 6)
ids = i32([[0, 10, 3], [11, -1, 2**31 - 1]])  # the second row is out of range and clamped
case("embedding", "%r0 = transformer.embedding %t, %i : ({t}, {i}) -> {r0}", {"t": table, "i": ids},
     table[np.clip(ids, 0, 10)], atol=0, rtol=0)
case("embedding of a vector", "%r0 = transformer.embedding %t, %i : ({t}, {i}) -> {r0}",
     {"t": table, "i": ids[0]}, table[ids[0]], atol=0, rtol=0)

mask = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
floored = np.maximum(mask.cumsum(1) - 1, 0).astype(np.int32)
case("positions", "%r0 = transformer.positions %m : ({m}) -> {r0}", {"m": mask}, floored)
case("positions as RoBERTa counts",
     "%r0 = transformer.positions %m {{offset = 2 : i64, padding_position = 1 : i64}} : ({m}) -> {r0}",
     {"m": mask}, np.where(mask, floored + 2, 1).astype(np.int32))
past = i32([0, 7, 100])
case("token_positions", "%r0 = transformer.token_positions %p, %l : ({p}, {l}) -> {r0}",
     {"p": past, "l": i32([[5] * 4] * 3)}, past[:, None] + np.arange(4, dtype=np.int32))
case("context_positions",
     "%r0 = transformer.context_positions %t {{block_size = 4 : i64}} : ({t}) -> {r0}",
     {"t": i32([[9, 9, 9], [9, 9, 9]])}, np.tile(np.arange(12, dtype=np.int32), (2, 1)))

# Angles from 0 to 1e6 and beyond; exact to f32 (an ulp below 1 is 6e-8).
positions = i32([[0, 1, 2, 3, 1000], [65535, 99999, 100003, 1000003, 16777215]])
inverse = (1.0 / 10000 ** (np.arange(0, 16, 2) / 16)).astype(np.float32)
angle = (positions.astype(np.float32)[..., None] * inverse).astype(np.float64)
rope_table = "%r0, %r1 = transformer.rope_table %p, %f : ({p}, {f}) -> ({r0}, {r1})"
case("rope_table", rope_table, {"p": positions, "f": inverse}, [np.cos(angle), np.sin(angle)],
     rtol=6e-8, atol=1e-11)
case("rope_table, packed", rope_table, {"p": positions[0], "f": inverse},
     [np.cos(angle[0]), np.sin(angle[0])], rtol=6e-8, atol=1e-11)
rows = np.stack([inverse, inverse[::-1]])
angle_rows = (positions.astype(np.float32)[..., None] * rows[:, None]).astype(np.float64)
case("rope_table by row", rope_table, {"p": positions, "f": rows},
     [np.cos(angle_rows), np.sin(angle_rows)], rtol=6e-8, atol=1e-11)
by_token = np.stack([inverse, inverse[::-1], inverse])[np.arange(positions.shape[1]) % 3]
angle_token = (positions[0].astype(np.float32)[:, None] * by_token).astype(np.float64)
case("rope_table by token, packed", rope_table, {"p": positions[0], "f": by_token},
     [np.cos(angle_token), np.sin(angle_token)], rtol=6e-8, atol=1e-11)
case("rope_table, scaled", rope_table.replace(" :", " {{attention_factor = 1.25}} :", 1),
     {"p": positions, "f": inverse}, [1.25 * np.cos(angle), 1.25 * np.sin(angle)], rtol=1.3e-7,
     atol=1e-11)


def dynamic(positions, base, dim, factor, maximum):
    length = np.maximum(positions.max(1) + 1, maximum).astype(np.float64)
    bases = base * (factor * length / maximum - (factor - 1)) ** (dim / (dim - 2))
    exponent = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    power = bases.astype(np.float32).astype(np.float64)[:, None] ** exponent.astype(np.float64)
    return 1 / power


lengths = i32([[0, 1, 2], [2047, 5, 2048], [0, 30000, 1]])
case("dynamic_rope_frequencies",
     "%r0 = transformer.dynamic_rope_frequencies %p {{base = 10000.0, dim = 16 : i64, factor = 4.0, "
     "max_position = 2048 : i64}} : ({p}) -> {r0}",
     {"p": lengths}, dynamic(lengths, 10000.0, 16, 4.0, 2048), rtol=1.3e-7, atol=0)


def rope(x, cos, sin, interleaved):
    x, r = x.astype(np.float64), cos.shape[-1] * 2
    lo, hi = (np.s_[0:r:2], np.s_[1:r:2]) if interleaved else (np.s_[: r // 2], np.s_[r // 2 : r])
    cos, sin, result = cos[:, None], sin[:, None], x.copy()
    result[..., lo] = x[..., lo] * cos - x[..., hi] * sin
    result[..., hi] = x[..., hi] * cos + x[..., lo] * sin
    return result


x = f32(2, 3, 4, 8)
for width in (4, 2):
    cos, sin = f32(2, 4, width), f32(2, 4, width)
    for interleaved in (False, True):
        attribute = "{{interleaved}}" if interleaved else ""
        case(f"rope of {2 * width} of 8{', interleaved' if interleaved else ''}",
             f"%r0 = transformer.rope %x, %c, %s {attribute} : ({{x}}, {{c}}, {{s}}) -> {{r0}}",
             {"x": x, "c": cos, "s": sin}, rope(x, cos, sin, interleaved), atol=5e-7)
        # By token [B, S, H * D], and packed: the tokens of the first row.
        tokens = x.transpose(0, 2, 1, 3).reshape(2, 4, 24)
        turned = rope(x, cos, sin, interleaved).transpose(0, 2, 1, 3).reshape(2, 4, 24)
        attributes = "{{heads = 3 : i64" + (", interleaved}}" if interleaved else "}}")
        for form, at in (("by token", np.s_[:]), ("packed", 0)):
            case(f"rope {form}, {attributes}, {2 * width} of 8",
                 f"%r0 = transformer.rope %x, %c, %s {attributes} : ({{x}}, {{c}}, {{s}}) -> {{r0}}",
                 {"x": np.ascontiguousarray(tokens[at]), "c": np.ascontiguousarray(cos[at]),
                  "s": np.ascontiguousarray(sin[at])}, turned[at], atol=5e-7)

evaluate.main()
