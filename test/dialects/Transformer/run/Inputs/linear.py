"""Linear layers and activations against numpy."""
import math

import numpy as np

import evaluate
from evaluate import case

rng = np.random.default_rng(2)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


w, b = f32(7, 24), f32(7)
for shape in [(24,), (5, 24), (2, 3, 24), (2, 1, 3, 24)]:
    x = f32(*shape)
    want = x.astype(np.float64) @ w.astype(np.float64).T
    # The result is flattened in the same function: expanding it to two dynamic sizes at once, as
    # linear does, crashes --expand-strided-metadata of LLVM 22.
    axes = list(range(len(shape)))
    flatten = f"\n  %r0 = tensor.collapse_shape %y [{axes}] : {{y}} into {{r0}}"
    case(f"linear of rank {len(shape)}",
         "%y = transformer.linear %x, %w : ({x}, {w}) -> {y}" + flatten,
         {"x": x, "w": w}, want.ravel(), between={"y": want}, atol=2e-6)
    case(f"linear of rank {len(shape)} with bias",
         "%y = transformer.linear %x, %w, %b : ({x}, {w}, {b}) -> {y}" + flatten,
         {"x": x, "w": w, "b": b}, (want + b).ravel(), between={"y": want}, atol=2e-6)

erf, tanh = np.vectorize(math.erf), np.tanh


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


formulas = {
    "linear": lambda x: x,
    "gelu": gelu,
    "gelu_tanh": lambda x: 0.5 * x * (1 + tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu_10": lambda x: np.clip(gelu(x), -10, 10),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "tanh": tanh,
    "sigmoid": sigmoid,
    "mish": lambda x: x * tanh(np.logaddexp(0, x)),
    "laplace": lambda x: 0.5 * (1 + erf((x - 0.707107) / (0.282095 * np.sqrt(2)))),
}
x = np.concatenate([f32(40) * 3, np.array([0, -0.0, 1e-8, -1e-8, 12, -12, 30, -30, 100, -100, 3e38,
                                           -3e38, 19.9, 20.1], np.float32)]).reshape(6, 9)
for kind, formula in formulas.items():
    values = x
    if kind in ("relu2", "gelu_tanh"):  # x^2, x^3 leave the range of f32, in the reference too
        values = np.clip(x, -1e12, 1e12)
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        want = formula(wide)
    # 1 + erf and 1 + tanh cancel for negative x: there the error is absolute, in every implementation.
    case(f"activation {kind}", f"%r0 = transformer.activation {kind} %x : ({{x}}) -> {{r0}}",
         {"x": values}, want, rtol=2e-6, atol=1e-6)

w2, b2 = f32(14, 24), f32(14)
for shape in [(24,), (5, 24), (2, 3, 24)]:
    x = f32(*shape)
    wide = x.astype(np.float64) @ w2.astype(np.float64).T
    axes = list(range(len(shape)))
    flatten = f"\n  %r0 = tensor.collapse_shape %y [{axes}] : {{y}} into {{r0}}"
    for kind, bias in (("silu", True), ("gelu_tanh", False)):
        both = wide + b2 if bias else wide
        want = formulas[kind](both[..., :7]) * both[..., 7:]
        case(f"gated_linear {kind} of rank {len(shape)}",
             f"%y = transformer.gated_linear {kind} %x, %w{', %b' if bias else ''} : "
             f"({{x}}, {{w}}{', {b}' if bias else ''}) -> {{y}}" + flatten,
             {"x": x, "w": w2} | ({"b": b2} if bias else {}), want.ravel(), between={"y": want},
             rtol=4e-6, atol=1e-5)

evaluate.main()
