"""The paged cache against numpy."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(5)
BLOCKS, HEADS, BLOCK, WIDTH = 6, 2, 4, 3
cache = rng.standard_normal((BLOCKS, HEADS, BLOCK, WIDTH)).astype(np.float32)


def i32(values):
    return np.array(values, np.int32)


def append(cache, x, table, past, count):
    result = cache.copy()
    for b in range(x.shape[0]):
        for s in range(min(max(count[b], 0), x.shape[2])):
            position = max(past[b], 0) + s
            if position < table.shape[1] * BLOCK:
                block = min(max(table[b, position // BLOCK], 0), BLOCKS - 1)
                result[block, :, position % BLOCK] = x[b, :, s]
    return result


def check_append(name, tokens, table, past, count):
    x = rng.standard_normal((len(past), HEADS, tokens, WIDTH)).astype(np.float32)
    ins = {"c": cache, "x": x, "t": i32(table), "p": i32(past), "n": i32(count)}
    op = "%r0 = transformer.cache_append %c, %x, %t, %p, %n : ({c}, {x}, {t}, {p}, {n}) -> {r0}"
    expected = append(cache, x, i32(table), past, count)
    case(name, op, ins, expected, static={"c": [2], "r0": [2]}, rtol=0, atol=0)
    by_token = x.transpose(0, 2, 1, 3).reshape(len(past), tokens, HEADS * WIDTH)
    case(name + ", by token", op, ins | {"x": np.ascontiguousarray(by_token)}, expected,
         static={"c": [1, 2, 3], "r0": [1, 2, 3]}, rtol=0, atol=0)
    # Packed: the same rows, each as long as it may be.
    lengths = [min(max(n, 0), tokens) for n in count]
    tokens = np.concatenate([by_token[b, :n] for b, n in enumerate(lengths)])
    if len(tokens):
        case(name + ", packed",
             "%r0 = transformer.cache_append %c, %x, %t, %p cu_seqlens(%n) : "
             "({c}, {x}, {t}, {p}, {n}) -> {r0}",
             ins | {"x": tokens, "n": i32([0, *np.cumsum(lengths), sum(lengths)])}, expected,
             static={"c": [1, 2, 3], "r0": [1, 2, 3]}, rtol=0, atol=0)


# Prefill of rows of different lengths; blocks in any order.
check_append("cache_append, prefill", 5, [[3, 1], [5, 2]], [0, 0], [5, 2])
# A token each, the second at the start of a new block.
check_append("cache_append, decode", 1, [[3, 1], [5, 2]], [2, 4], [1, 1])
check_append("cache_append of no tokens", 3, [[3, 1], [5, 2]], [2, 4], [0, 0])
# What the runtime refuses must still be harmless: past the table's end, negative, out of the cache.
check_append("cache_append out of range", 4, [[3, 1], [5, 2], [99, -7]], [6, -3, 2], [4, 9, -1])
check_append("cache_append to blocks out of range", 2, [[99, -7]], [3], [2])

# Lengths that disagree with the tokens that there are.
x = rng.standard_normal((3, HEADS * WIDTH)).astype(np.float32)
case("cache_append, packed, cu_seqlens out of range",
     "%r0 = transformer.cache_append %c, %x, %t, %p cu_seqlens(%n) : ({c}, {x}, {t}, {p}, {n}) -> {r0}",
     {"c": cache, "x": x, "t": i32([[3, 1], [5, 2]]), "p": i32([0, 1]), "n": i32([-4, 2, 9])},
     append(append(cache, x[None, :2].reshape(1, 2, HEADS, WIDTH).transpose(0, 2, 1, 3),
                   i32([[3, 1]]), [0], [2]),
            x[None, 2:].reshape(1, 1, HEADS, WIDTH).transpose(0, 2, 1, 3), i32([[5, 2]]), [1], [1]),
     static={"c": [1, 2, 3], "r0": [1, 2, 3]}, rtol=0, atol=0)

table = i32([[3, 1, 0], [5, 99, -1]])
case("cache_gather", "%r0 = transformer.cache_gather %c, %t : ({c}, {t}) -> {r0}",
     {"c": cache, "t": table},
     cache[np.clip(table, 0, BLOCKS - 1)].transpose(0, 2, 1, 3, 4).reshape(2, HEADS, 12, WIDTH),
     static={"c": [2]}, rtol=0, atol=0)

evaluate.main()
