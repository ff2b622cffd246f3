"""Sampling against the rules of runtime/generate/Sampler.h in plain Python."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(11)
MASK = (1 << 64) - 1
F32 = np.float32
TYPES = {"x": F32, "m": bool, "slot": np.int32, "t": F32, "k": np.int32, "p": F32, "q": F32, "r": F32,
         "seed": np.int64, "draw": np.int64}


def weight(x):
    if not x >= -28:
        return 0
    exponent = (int(F32(x) * F32(-2.0**28)) * 1549082005) >> 26
    f, total = exponent & 0xffffffff, 0xbdba
    for coefficient in (0x9c23c, 0x5728f4, 0x27641cc, 0xe35812f, 0x3d7f7bcc, 0xb17217f7, 1 << 32):
        total = coefficient - ((total * f) >> 32)
    return (total << 8) >> (exponent >> 32)


def scramble(x):
    x ^= x >> 33
    x = x * 0xd6e8feb86659fd93 & MASK
    x ^= x >> 29
    x = x * 0x9e3779b97f4a7c15 & MASK
    return x ^ x >> 32


def uniform_below(seed, draw, total):
    key = scramble((seed + 0x9e3779b97f4a7c15) & MASK)
    return (scramble(key ^ scramble((draw + 0xbb67ae8584caa73b) & MASK)) >> 11) * total >> 53


def share_of(share, total):
    product = float(share) * float(total)
    return int(product) + (int(product) < product)


def pick(logits, seen, t, k, p, q, r, seed, draw):
    scores = logits.copy()
    if r > 0:
        scores[seen] = np.where(scores[seen] < 0, scores[seen] * F32(r), scores[seen] / F32(r))
    if np.isnan(scores).any() or not np.isfinite(scores.max()):
        return -1
    best = int(scores.argmax())
    if not t > 0 or not np.isfinite(scores[best] / F32(t)):
        return best
    scores = scores / F32(t)
    weights = [weight(s - scores[best]) for s in scores]
    left = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    if 0 < k < len(scores):
        least = scores[left[k - 1]]
        left = [i for i in left if scores[i] >= least]
    if 0 < p < 1:
        target, before, kept = share_of(F32(p), sum(weights[i] for i in left)), 0, []
        for i in left:
            if before < target:
                kept.append(i)
            before += weights[i]
        left = kept
    if q > 0:
        left = [i for i in left if weights[i] >= share_of(F32(min(q, 1)), 1 << 40)]
    threshold, total = uniform_below(seed & MASK, draw & MASK, sum(weights[i] for i in left)), 0
    for i in sorted(left):
        total += weights[i]
        if total > threshold:
            return i
    raise AssertionError("no token was drawn")


def check(name, logits, seen, slot, options):
    """`options`: (t, k, p, q, r, seed, draw) a row."""
    none = np.zeros(logits.shape[1], bool)
    with np.errstate(all="ignore"):
        expected = [pick(logits[b], seen[n] if 0 <= n < len(seen) else none, *options[b])
                    for b, n in enumerate(slot)]
    columns = list(zip(*options))
    inputs = dict(zip(TYPES, [logits, seen, slot, *columns]))
    inputs = {key: np.asarray(value, TYPES[key]) for key, value in inputs.items()}
    case(name, "%r0 = transformer.sample %x seen(%m, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) "
         "repetition_penalty(%r) random(%seed, %draw) : "
         "({x}, {m}, {slot}, {t}, {k}, {p}, {q}, {r}, {seed}, {draw}) -> {r0}",
         inputs, np.array(expected, np.int32), static={"x": [1]})


OPTIONS = [(t, k, p, q, r) for t in (0, 0.7, 1, 3) for k, p, q in
           ((0, 1, 0), (5, 1, 0), (0, 0.8, 0), (0, 1, 0.1), (7, 0.5, 0.05), (1000, 1e-6, 1)) for r in (1, 1.3)]
for name, logits in {
        "normal": rng.standard_normal((len(OPTIONS), 37)) * 3,
        "ties": rng.integers(-2, 3, (len(OPTIONS), 31)),
        "equal, top-p cuts a tie": np.zeros((len(OPTIONS), 13)),
        "hidden": np.where(rng.random((len(OPTIONS), 20)) < 0.6, -np.inf, rng.standard_normal((len(OPTIONS), 20))),
        "one token": np.zeros((len(OPTIONS), 1)),
}.items():
    logits = logits.astype(F32)
    logits[:, 0] = np.where(np.isfinite(logits[:, 0]), logits[:, 0], 1)
    rows, vocabulary = logits.shape
    check(f"sample, {name}", logits, rng.random((rows, vocabulary)) < 0.3, rng.permutation(rows),
          [(*o, int(rng.integers(-2**63, 2**63)), int(rng.integers(0, 2**40))) for o in OPTIONS])

zeros, inf, nan = np.array([0.0, -0.0, -1], F32), np.inf, np.nan
check("sample, numbers that are none",
      np.array([[1, nan, 2], [-inf, -inf, -inf], [1, inf, 2], [-nan, 1, 1], [3, 1, -inf], [3e38, 2, 1],
                [2, 3, 3], [-0.0, 0, -1]], F32),
      np.zeros((2, 3), bool), [0, 1, 0, 1, 7, -1, 0, 1],
      [(1, 0, 1, 0, 1.5, 1, 1)] * 4 + [(1, 0, 1, 0, 2, 1, 1), (1e-45, 0, 1, 0, 2, 1, 1), (nan, -3, nan, nan, nan, 0, 0),
                                       (-1, -3, -1, -1, 0, 0, 0)])


def check_marks(name, seen, ids, count, past, slot):
    expected = seen.copy()
    for b, n in enumerate(slot):
        if 0 <= n < len(seen):
            expected[n] &= past[b] > 0
            for token in ids[b, :max(count[b], 0)]:
                if 0 <= token < seen.shape[1]:
                    expected[n, token] = True
    inputs = {"m": seen, "x": ids, "n": count, "p": past, "s": slot}
    inputs = {key: np.asarray(value, bool if key == "m" else np.int32) for key, value in inputs.items()}
    case(name, "%r0 = transformer.mark_tokens %m, %x, %n, %p, %s : ({m}, {x}, {n}, {p}, {s}) -> {r0}", inputs, expected)


SEEN = rng.random((4, 19)) < 0.5
check_marks("mark_tokens", SEEN, rng.integers(0, 19, (3, 6)), [6, 0, 2], [0, 0, 5], [2, 3, 0])
check_marks("mark_tokens out of range", SEEN, np.array([[1, -5, 19, 2], [1, 1, 1, 1], [3, 4, 5, 6]]), [9, 4, -2],
            [-3, 0, 1], [1, 4, -1])

evaluate.main()
