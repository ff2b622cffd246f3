"""Runs decompositions of transformer ops on the CPU and compares them with numpy.

A case is an op, written once with {x} for the type of %x, inputs as arrays, and what numpy (in f64)
makes of them. Every case is compiled twice, with all sizes static and with all sizes dynamic. All
cases of a file share one module and one run of mlir-runner; results come back as bits, not as digits.
"""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

LOWER = ["--decompose-transformer", "--canonicalize", "--cse", "--convert-elementwise-to-linalg",
         "--one-shot-bufferize=bufferize-function-boundaries "
         "function-boundary-type-conversion=identity-layout-map",
         "--convert-linalg-to-loops", "--scf-forall-to-for",
         "--expand-strided-metadata", "--lower-affine", "--convert-scf-to-cf", "--convert-math-to-libm", "--convert-to-llvm",
         "--reconcile-unrealized-casts"]
ELEMENT = {"float32": "f32", "int32": "i32", "int64": "i64", "bool": "i1"}
cases = []


def case(name, body, inputs, expected, static=None, between=None, rtol=1e-6, atol=1e-7):
    """`body` defines %r0, %r1, … from the inputs; {r0} is the type of %r0. `static` names the
    dimensions of inputs that an op needs static: {"x": [1]}. `between` gives arrays of the types of
    further values in the body."""
    if not isinstance(expected, (list, tuple)):
        expected = [expected]
    cases.append((name, body, inputs, [np.asarray(e) for e in expected], static or {},
                  between or {}, rtol, atol))


def tensor_type(array, dynamic, static=()):
    dims = [str(d) if not dynamic or i in static else "?" for i, d in enumerate(array.shape)]
    return f"tensor<{'x'.join(dims + [element_of(array)])}>"


def element_of(array):
    return "f32" if array.dtype == np.float64 else ELEMENT[str(array.dtype)]


def literal(array):
    if array.dtype == bool:
        return f"dense<{str(array.tolist()).lower()}>"
    return f'dense<"0x{array.tobytes().hex().upper()}">'


def emit(index, dynamic, name, body, inputs, expected, static, between):
    types = {k: tensor_type(v, dynamic, static.get(k, ())) for k, v in (inputs | between).items()}
    types |= {f"r{i}": tensor_type(e, dynamic, static.get(f"r{i}", ()))
              for i, e in enumerate(expected)}
    results = [f"r{i}" for i in range(len(expected))]
    function = f"case_{index}_{'dynamic' if dynamic else 'static'}"
    signature = ", ".join(f"%{k}: {types[k]}" for k in inputs)
    result_types = ", ".join(types[r] for r in results)
    text = (f"// {name}\nfunc.func @{function}({signature}) -> ({result_types}) {{\n"
            f"  {body.format(**types)}\n"
            f"  return {', '.join('%' + r for r in results)} : {result_types}\n}}\n")
    main = []
    prefix = f"{'d' if dynamic else 's'}{index}"
    for key, value in inputs.items():
        fixed = tensor_type(value, False)
        main.append(f"%{prefix}_{key}_c = arith.constant {literal(value)} : {fixed}")
        main.append(f"%{prefix}_{key} = tensor.cast %{prefix}_{key}_c : {fixed} to {types[key]}")
    arguments = ", ".join(f"%{prefix}_{k}" for k in inputs)
    argument_types = ", ".join(types[k] for k in inputs)
    main.append(f"%{prefix}:{len(results)} = call @{function}({arguments}) : ({argument_types}) -> "
                f"({result_types})")
    for i, r in enumerate(results):
        ints = types[r].replace("xf32>", "xi32>").replace("xi1>", "xi32>")
        convert = {"f32": "arith.bitcast", "i1": "arith.extui"}.get(element_of(expected[i]))
        value = f"%{prefix}#{i}"
        if convert:
            main.append(f"%{prefix}_i{i} = {convert} {value} : {types[r]} to {ints}")
            value = f"%{prefix}_i{i}"
        main.append(f"%{prefix}_u{i} = tensor.cast {value} : {ints} to tensor<*xi32>")
        main.append(f"call @printMemrefI32(%{prefix}_u{i}) : (tensor<*xi32>) -> ()")
    return text, main


def pipe(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode}):\n{done.stderr[:4000]}")
    return done.stdout


def runner_libraries():
    runner = subprocess.run(["which", "mlir-runner"], capture_output=True, text=True, check=True)
    folder = Path(runner.stdout.strip()).resolve().parent.parent / "lib"
    return ",".join(str(folder / f"libmlir_{name}.so") for name in ("c_runner_utils", "runner_utils"))


def parse(block, like):
    numbers = np.array([int(n) for n in re.findall(r"-?\d+", block.split("data =")[1])], np.int32)
    if numbers.size != like.size:
        sys.exit(f"expected {like.size} elements, got {numbers.size}")
    if element_of(like) == "f32":
        return numbers.view(np.float32).reshape(like.shape)
    return numbers.reshape(like.shape)


def main():
    functions, body, order = [], [], []
    for index, (name, op, inputs, expected, static, between, rtol, atol) in enumerate(cases):
        for dynamic in (False, True):
            text, calls = emit(index, dynamic, name, op, inputs, expected, static, between)
            functions.append(text)
            body += calls
            order += [(f"{name} ({'dynamic' if dynamic else 'static'}), result {i}", e, rtol, atol)
                      for i, e in enumerate(expected)]
    module = ("func.func private @printMemrefI32(tensor<*xi32>)\n" + "".join(functions)
              + "func.func @main() {\n  " + "\n  ".join(body) + "\n  return\n}\n")
    lowered = pipe(["ingot-opt", "-", *LOWER], module)
    output = pipe(["mlir-runner", "-", "-e", "main", "--entry-point-result=void",
                   f"--shared-libs={runner_libraries()}"], lowered)
    blocks = output.split("Unranked Memref")[1:]
    if len(blocks) != len(order):
        sys.exit(f"expected {len(order)} results, got {len(blocks)}")
    wrong = 0
    for (name, want, rtol, atol), block in zip(order, blocks):
        got = parse(block, want)
        if want.dtype == np.float64 or want.dtype == np.float32:
            # Compare with the f32 nearest to what f64 gives; infinities and NaN never match.
            error = np.abs(got.astype(np.float64) - want)
            bad = ~(error <= atol + rtol * np.abs(want))
        else:
            bad = got != want.astype(np.int32)
        if bad.any():
            wrong += 1
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            print(f"{name}: {bad.sum()} of {bad.size} elements differ; "
                  f"at {at} expected {want[at]!r}, got {got[at]!r}")
    print(f"{len(order) - wrong} of {len(order)} results as expected")
    sys.exit(1 if wrong else 0)
