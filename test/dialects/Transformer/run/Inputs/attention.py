"""The parts of attention against numpy."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(3)
LOWEST = np.finfo(np.float32).min


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


x = f32(2, 3, 20)
heads = x.reshape(2, 3, 4, 5).transpose(0, 2, 1, 3)
case("split_heads", "%r0 = transformer.split_heads %x {{heads = 4 : i64}} : ({x}) -> {r0}",
     {"x": x}, heads)
case("merge_heads", "%r0 = transformer.merge_heads %x : ({x}) -> {r0}",
     {"x": np.ascontiguousarray(heads)}, x, static={"x": [1]})
kv = f32(2, 3, 4, 5)
case("repeat_kv", "%r0 = transformer.repeat_kv %x {{repeats = 3 : i64}} : ({x}) -> {r0}",
     {"x": kv}, np.repeat(kv, 3, axis=1))

a, k, v = f32(2, 3, 4, 8), f32(2, 3, 6, 8), f32(2, 3, 8, 6)
wide = a.astype(np.float64)
case("matmul", "%r0 = transformer.matmul %a, %v : ({a}, {v}) -> {r0}", {"a": a, "v": v}, wide @ v,
     atol=1e-6)
case("matmul with the right side transposed",
     "%r0 = transformer.matmul %a, %k {{transpose_rhs}} : ({a}, {k}) -> {r0}", {"a": a, "k": k},
     wide @ k.transpose(0, 1, 3, 2), atol=1e-6)

q_pos = np.array([[3, 4, 5], [0, 1, 2]], np.int32)
k_pos = np.array([[0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4, 5]], np.int32)
valid = np.array([[1, 1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0, 0]], bool)
q, c = q_pos[:, :, None], k_pos[:, None, :]
ins = {"q": q_pos, "k": k_pos, "v": valid}
types = "({q}, {k}, {v}) -> {r0}"
every = np.ones((2, 3, 7), bool)
case("attention_mask", f"%r0 = transformer.attention_mask %q, %k, %v : {types}", ins,
     every & valid[:, None, :])
case("attention_mask, causal", f"%r0 = transformer.attention_mask %q, %k, %v {{{{causal}}}} : {types}",
     ins, valid[:, None, :] & (c <= q))
case("attention_mask, causal window",
     f"%r0 = transformer.attention_mask %q, %k, %v {{{{causal, window = 2 : i64}}}} : {types}", ins,
     valid[:, None, :] & (c <= q) & (q - c < 2))
case("attention_mask, all keys valid",
     "%r0 = transformer.attention_mask %q, %k {{causal}} : ({q}, {k}) -> {r0}",
     {"q": q_pos, "k": k_pos}, c <= q)
case("attention_mask of nothing", "%r0 = transformer.attention_mask %q, %k : ({q}, {k}) -> {r0}",
     {"q": q_pos, "k": k_pos}, every)

scores, mask = f32(2, 4, 3, 7), valid[:, None, :] & (c <= q)
case("apply_mask", "%r0 = transformer.apply_mask %s, %m : ({s}, {m}) -> {r0}",
     {"s": scores, "m": mask}, np.where(mask[:, None], scores, LOWEST))


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


large = f32(2, 3, 33) * 30
case("softmax", "%r0 = transformer.softmax %x : ({x}) -> {r0}", {"x": large}, softmax(large),
     rtol=5e-6)
# Row 0 has three visible scores, row 1 none, row 2 lowest scores that are all visible alike.
hidden = np.full((3, 5), LOWEST, np.float32)
hidden[0, :3] = [-60, 5, -70]
case("softmax with hidden scores", "%r0 = transformer.softmax %x : ({x}) -> {r0}", {"x": hidden},
     [softmax(hidden)], atol=0, rtol=5e-6)

biased = scores.astype(np.float64)
for name, bias in (("", f32(2, 4, 3, 7)), (" of all rows", f32(1, 4, 3, 7)),
                   (" of all heads", f32(2, 1, 3, 7)), (" of all", f32(1, 1, 3, 7))):
    case("add_bias" + name, "%r0 = transformer.add_bias %s, %b : ({s}, {b}) -> {r0}",
         {"s": scores, "b": bias}, biased + bias, static={"b": [i for i in (0, 1) if bias.shape[i] == 1]})
slopes = f32(4)
case("add_alibi", "%r0 = transformer.add_alibi %s, %a, %q, %k : ({s}, {a}, {q}, {k}) -> {r0}",
     {"s": scores, "a": slopes, "q": q_pos, "k": k_pos},
     biased + slopes[:, None, None] * (c - q)[:, None], atol=1e-6)
case("scale_heads", "%r0 = transformer.scale_heads %s, %f : ({s}, {f}) -> {r0}",
     {"s": scores, "f": slopes}, biased * slopes[:, None, None])
sunk = np.where(mask[:, None], scores, LOWEST)
sunk[1, 2] = LOWEST
with_sink = np.concatenate([sunk, np.broadcast_to(slopes[:, None, None], (2, 4, 3, 1))], -1)
case("softmax with sinks", "%r0 = transformer.softmax %s, %f : ({s}, {f}) -> {r0}",
     {"s": sunk, "f": slopes}, softmax(with_sink)[..., :-1], atol=0, rtol=5e-6)

evaluate.main()
