"""Pooling against numpy."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(6)
mask = np.array([[1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
x = rng.standard_normal((4, 4, 6)).astype(np.float32)

case("first_token", "%r0 = transformer.first_token %m : ({m}) -> {r0}", {"m": mask},
     np.array([0, 2, 1, 0], np.int32))
index = np.array([0, 3, 4, -1], np.int32)  # the last two are out of range and clamped
case("select_token", "%r0 = transformer.select_token %x, %i : ({x}, {i}) -> {r0}",
     {"x": x, "i": index}, x[np.arange(4), np.clip(index, 0, 3)], rtol=0, atol=0)
kept = np.where(mask[..., None], x.astype(np.float64), 0).sum(1)
case("mean_pool", "%r0 = transformer.mean_pool %x, %m : ({x}, {m}) -> {r0}", {"x": x, "m": mask},
     kept / np.maximum(mask.sum(1), 1e-9)[:, None])
# What padding holds does not matter, not even if it is not a number.
dirty = np.where(mask[..., None], x, np.float32(np.nan))
case("mean_pool over padding of NaN", "%r0 = transformer.mean_pool %x, %m : ({x}, {m}) -> {r0}",
     {"x": dirty, "m": mask}, kept / np.maximum(mask.sum(1), 1e-9)[:, None])

evaluate.main()
