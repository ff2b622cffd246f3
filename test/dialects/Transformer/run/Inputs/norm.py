"""Normalizations against numpy."""
import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(1)


def f32(*shape, scale=1.0, shift=0.0):
    return (rng.standard_normal(shape) * scale + shift).astype(np.float32)


def rms_norm(x, w, eps):
    x = x.astype(np.float64)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def layer_norm(x, w, b, eps):
    x = x.astype(np.float64)
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + eps) * w + b


x, w, b = f32(2, 3, 48), f32(48), f32(48)
case("rms_norm", "%r0 = transformer.rms_norm %x, %w {{eps = 1.0e-5}} : ({x}, {w}) -> {r0}",
     {"x": x, "w": w}, rms_norm(x, w, 1e-5))
tiny = f32(2, 48, scale=1e-4)
case("rms_norm where eps matters",
     "%r0 = transformer.rms_norm %x, %w {{eps = 1.0e-6}} : ({x}, {w}) -> {r0}",
     {"x": tiny, "w": w}, rms_norm(tiny, w, 1e-6))
case("rms_norm of a vector",
     "%r0 = transformer.rms_norm %x, %w {{eps = 0.0}} : ({x}, {w}) -> {r0}",
     {"x": x[0, 0], "w": w}, rms_norm(x[0, 0], w, 0))
case("layer_norm",
     "%r0 = transformer.layer_norm %x weight(%w) bias(%b) {{eps = 1.0e-12}} : ({x}, {w}, {b}) -> {r0}",
     {"x": x, "w": w, "b": b}, layer_norm(x, w, b, 1e-12), atol=1e-6)
case("layer_norm without bias",
     "%r0 = transformer.layer_norm %x weight(%w) {{eps = 1.0e-5}} : ({x}, {w}) -> {r0}",
     {"x": x, "w": w}, layer_norm(x, w, 0, 1e-5), atol=1e-6)
case("layer_norm without weight",
     "%r0 = transformer.layer_norm %x bias(%b) {{eps = 1.0e-5}} : ({x}, {b}) -> {r0}",
     {"x": x, "b": b}, layer_norm(x, 1, b, 1e-5), atol=1e-6)
# A mean of 1000 with a deviation of 1: E[x^2] - mean^2 would lose all digits. The f32 mean itself is
# off by a few 1e-5, hence the tolerance.
far = f32(3, 64, shift=1000.0)
case("layer_norm of a large mean",
     "%r0 = transformer.layer_norm %x {{eps = 1.0e-5}} : ({x}) -> {r0}",
     {"x": far}, layer_norm(far, 1, 0, 1e-5), atol=3e-4)
case("l2_normalize", "%r0 = transformer.l2_normalize %x : ({x}) -> {r0}", {"x": x},
     x / np.linalg.norm(x.astype(np.float64), axis=-1, keepdims=True))
r = f32(2, 3, 48)
total = (x + r).astype(np.float32)
case("add_rms_norm",
     "%r0, %r1 = transformer.add_rms_norm %x, %r, %w {{eps = 1.0e-5}} : ({x}, {r}, {w}) -> ({r0}, {r1})",
     {"x": x, "r": r, "w": w}, [total, rms_norm(total, w, 1e-5)])
case("add_layer_norm",
     "%r0, %r1 = transformer.add_layer_norm %x, %r weight(%w) bias(%b) {{eps = 1.0e-12}} : "
     "({x}, {r}, {w}, {b}) -> ({r0}, {r1})",
     {"x": x, "r": r, "w": w, "b": b}, [total, layer_norm(total, w, b, 1e-12)], atol=1e-6)
zeros = np.zeros((2, 4), np.float32)
case("l2_normalize of zeros", "%r0 = transformer.l2_normalize %x : ({x}) -> {r0}", {"x": zeros},
     zeros.astype(np.float64))

evaluate.main()
