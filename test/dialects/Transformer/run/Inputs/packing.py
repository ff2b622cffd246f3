"""Packing against numpy: padding left, right and inside, rows of length 0 and 1, no token at all."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(7)
ROWS = 6  # compiled, more than any batch has

MASKS = {
    "ragged": [[1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]],
    "full": [[1, 1, 1, 1], [1, 1, 1, 1]],
    "one row": [[0, 1, 1, 0]],
    "no token": [[0, 0], [0, 0]],
    "first row empty": [[0, 0, 0], [1, 0, 1]],
}

for name, mask in MASKS.items():
    mask = np.array(mask, bool)
    b, s = mask.shape
    counts = np.concatenate([mask.sum(1), np.zeros(ROWS - b, int)])
    cu = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    indices = np.flatnonzero(mask).astype(np.int32)
    slots = np.where(mask, np.cumsum(mask).reshape(mask.shape) - 1, -1).astype(np.int32)
    total = len(indices)
    x = rng.standard_normal((b, s, 3)).astype(np.float32)
    ids = rng.integers(0, 100, (b, s)).astype(np.int32)
    packed = x.reshape(-1, 3)[indices]
    rows = np.repeat(np.arange(b), mask.sum(1))
    past = rng.integers(0, 50, b).astype(np.int32)
    local = (np.arange(total) - cu[rows]).astype(np.int32)
    static = {"cu": [0], "r0": []}

    case(f"cu_seqlens, {name}", f"%r0 = transformer.cu_seqlens %m {{{{rows = {ROWS}}}}} : ({{m}}) -> {{r0}}",
         {"m": mask}, cu, static={"r0": [0]})
    if total:  # a constant of no elements can't be written down here
        case(f"token_indices, {name}", "%r0 = transformer.token_indices %m, %cu : ({m}, {cu}) -> {r0}",
             {"m": mask, "cu": cu}, indices, static=static)
        case(f"pack, {name}", "%r0 = transformer.pack %x, %i : ({x}, {i}) -> {r0}",
             {"x": x, "i": indices}, packed, rtol=0, atol=0)
        case(f"pack ids, {name}", "%r0 = transformer.pack %x, %i : ({x}, {i}) -> {r0}",
             {"x": ids, "i": indices}, ids.reshape(-1)[indices])
        case(f"unpack, {name}", "%r0 = transformer.unpack %x, %s : ({x}, {s}) -> {r0}",
             {"x": packed, "s": slots}, np.where(mask[..., None], x, 0), rtol=0, atol=0)
        case(f"packed_positions, {name}",
             "%r0 = transformer.packed_positions %cu, %x {{offset = 2}} : ({cu}, {x}) -> {r0}",
             {"cu": cu, "x": packed}, local + 2, static=static)
        case(f"packed_positions with a past, {name}",
             "%r0 = transformer.packed_positions %cu, %x past %p : ({cu}, {x}, {p}) -> {r0}",
             {"cu": cu, "x": packed, "p": past}, local + past[rows], static=static)
        counted = rng.random(total) < 0.6
        count = np.array([counted[cu[r]:t + 1].sum() for t, r in enumerate(rows)])
        case(f"packed_positions of some, {name}",
             "%r0 = transformer.packed_positions %cu, %x counted %c {{offset = 2, padding_position = 1}} "
             ": ({cu}, {x}, {c}) -> {r0}",
             {"cu": cu, "x": packed, "c": counted},
             np.where(counted, np.maximum(count - 1, 0) + 2, 1).astype(np.int32), static=static)
        case(f"packed_positions of some with a past, {name}",
             "%r0 = transformer.packed_positions %cu, %x past %p counted %c : ({cu}, {x}, {p}, {c}) -> {r0}",
             {"cu": cu, "x": packed, "p": past, "c": counted},
             (np.maximum(count - 1, 0) + past[rows]).astype(np.int32), static=static)
        kept = np.where(mask[..., None], x.astype(np.float64), 0).sum(1)
        mean = kept / np.maximum(mask.sum(1), 1e-9)[:, None]
        case(f"packed_mean_pool, {name}",
             "%r0 = transformer.packed_mean_pool %x, %cu like %p : ({x}, {cu}, {p}) -> {r0}",
             {"x": packed, "cu": cu, "p": past}, mean, static=static)
        case(f"packed_mean_pool of all rows, {name}",
             "%r0 = transformer.packed_mean_pool %x, %cu : ({x}, {cu}) -> {r0}",
             {"x": packed, "cu": cu}, np.concatenate([mean, np.zeros((ROWS - b, 3))]),
             static={"cu": [0], "r0": [0]})
        for last in (False, True):
            chosen = np.zeros((b, 3), np.float32)
            for row in range(b):
                if mask[row].any():
                    chosen[row] = x[row, np.flatnonzero(mask[row])[-1 if last else 0]]
            case(f"packed_token{' last' if last else ''}, {name}",
                 "%r0 = transformer.packed_token %x, %cu like %p " + ("{{last}} " if last else "")
                 + ": ({x}, {cu}, {p}) -> {r0}",
                 {"x": packed, "cu": cu, "p": past}, chosen, static=static, rtol=0, atol=0)
    case(f"token_slots, {name}", "%r0 = transformer.token_slots %m, %cu : ({m}, {cu}) -> {r0}",
         {"m": mask, "cu": cu}, slots, static=static)
    # There and back, through a number of tokens that is data, 0 included.
    body = (f"%cu = transformer.cu_seqlens %m {{{{rows = {ROWS}}}}} : ({{m}}) -> tensor<{ROWS + 1}xi32>\n"
            f"  %i = transformer.token_indices %m, %cu : ({{m}}, tensor<{ROWS + 1}xi32>) -> tensor<?xi32>\n"
            f"  %s = transformer.token_slots %m, %cu : ({{m}}, tensor<{ROWS + 1}xi32>) -> {{s}}\n"
            "  %p = transformer.pack %x, %i : ({x}, tensor<?xi32>) -> tensor<?x3xf32>\n"
            "  %q = arith.negf %p : tensor<?x3xf32>\n"
            "  %r0 = transformer.unpack %q, %s : (tensor<?x3xf32>, {s}) -> {r0}")
    case(f"there and back, {name}", body, {"x": x, "m": mask}, np.where(mask[..., None], -x, 0),
         static={"x": [2], "r0": [2]}, between={"s": slots}, rtol=0, atol=0)

# Hostile entries of cu_seqlens: nothing is read or written outside.
mask = np.array([[1, 0, 1]], bool)
case("token_indices, total too large", "%r0 = transformer.token_indices %m, %cu : ({m}, {cu}) -> {r0}",
     {"m": mask, "cu": np.array([0, 3], np.int32)}, np.array([0, 2, 0], np.int32), static={"cu": [0]})
case("packed_positions of some, rows out of range",
     "%r0 = transformer.packed_positions %cu, %c counted %c : ({cu}, {c}, {c}) -> {r0}",
     {"cu": np.array([-3, 1, 7, 2], np.int32), "c": np.array([1, 1, 0, 1], bool)},
     np.array([0, 0, 0, 0], np.int32), static={"cu": [0], "r0": []})
x = rng.standard_normal((2, 3)).astype(np.float32)
case("packed_token, out of range", "%r0 = transformer.packed_token %x, %cu : ({x}, {cu}) -> {r0}",
     {"x": x, "cu": np.array([-3, 1, 7, 9], np.int32)},
     np.stack([np.zeros(3), x[1], np.zeros(3)]).astype(np.float32), static={"cu": [0], "r0": [0]},
     rtol=0, atol=0)
slots = np.array([[0, 5, -7, 1]], np.int32)
case("unpack, out of range", "%r0 = transformer.unpack %x, %s : ({x}, {s}) -> {r0}",
     {"x": x, "s": slots}, np.stack([[x[0], 0 * x[0], 0 * x[0], x[1]]]), rtol=0, atol=0)
# A token behind its place: it may have been written over by then.
slots = np.array([[1, 0], [2, 0]], np.int32)
x = rng.standard_normal((3, 3)).astype(np.float32)
case("unpack, slot above its place", "%r0 = transformer.unpack %x, %s : ({x}, {s}) -> {r0}",
     {"x": x, "s": slots}, np.stack([[0 * x[0], x[0]], [x[2], x[0]]]), rtol=0, atol=0)

evaluate.main()
