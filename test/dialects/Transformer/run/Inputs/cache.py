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
    case(name, "%r0 = transformer.cache_append %c, %x, %t, %p, %n : ({c}, {x}, {t}, {p}, {n}) -> {r0}",
         {"c": cache, "x": x, "t": i32(table), "p": i32(past), "n": i32(count)},
         append(cache, x, i32(table), past, count), static={"c": [2], "r0": [2]}, rtol=0, atol=0)


# Prefill of rows of different lengths; blocks in any order.
check_append("cache_append, prefill", 5, [[3, 1], [5, 2]], [0, 0], [5, 2])
# A token each, the second at the start of a new block.
check_append("cache_append, decode", 1, [[3, 1], [5, 2]], [2, 4], [1, 1])
check_append("cache_append of no tokens", 3, [[3, 1], [5, 2]], [2, 4], [0, 0])
# What the runtime refuses must still be harmless: past the table's end, negative, out of the cache.
check_append("cache_append out of range", 4, [[3, 1], [5, 2], [99, -7]], [6, -3, 2], [4, 9, -1])
check_append("cache_append to blocks out of range", 2, [[99, -7]], [3], [2])

table = i32([[3, 1, 0], [5, 99, -1]])
case("cache_gather", "%r0 = transformer.cache_gather %c, %t : ({c}, {t}) -> {r0}",
     {"c": cache, "t": table},
     cache[np.clip(table, 0, BLOCKS - 1)].transpose(0, 2, 1, 3, 4).reshape(2, HEADS, 12, WIDTH),
     static={"c": [2]}, rtol=0, atol=0)

evaluate.main()
