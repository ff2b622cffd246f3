"""What is in an ingot for a GPU, as `ingot-run inspect FILE --json` tells it: launches, kernels, code."""
import json
import math
import re

import report

_BUFFER = re.compile(r"(\w+)\+(\d+) (\w+)\[(.*)\]")
_CEIL = re.compile(r"ceil\((.*) / (\d+)\)")


def size(text, values):
    """The value of a size such as `ceil(B * S * 3 / 256)`, given what its names stand for."""
    match = _CEIL.fullmatch(text)
    product = math.prod(values[part] if part in values else int(part)
                        for part in (match[1] if match else text).split(" * "))
    return -(-product // int(match[2])) if match else product


def sizes(text, values):
    return [size(part, values) for part in text.split(", ")] if text else []


class Buffer:
    """An argument of a launch: where it lives (arena, weights, constants, state), its type and shape."""

    def __init__(self, text):
        match = _BUFFER.fullmatch(text)
        if not match:
            raise ValueError(f"expected SPACE+OFFSET TYPE[SHAPE], got {text!r}")
        self.space, self.dtype, self.dims = match[1], match[3], match[4]

    def shape(self, values):
        return sizes(self.dims, values)


class Launch:
    """One launch of a program; `kernel` is the kernel's object in the report, `code` its cubin."""

    def __init__(self, step, kernel, code):
        self.location, self.kernel, self.code = step["location"], kernel, code
        self.grid, self.sizes = step["grid"], step["sizes"]
        self.buffers = [Buffer(text) for text in step["buffers"]]
        self.family = kernel["description"].split(",")[0]


class Plan:
    def __init__(self, told, data):
        """`told`: what inspect prints; `data`: the bytes of the file."""
        code = next(section["offset"] for section in told["file"]["sections"] if section["name"] == "code")
        images = [data[code + image["offset"]:][:image["bytes"]] for image in told["code"]]
        kernels = {kernel["entry"]: kernel for kernel in told["kernels"]}
        self.arch = told["plan"]["targets"][0]["arch"]
        self.launches = {
            program["program"]: [Launch(step, kernels[step["action"]], images[kernels[step["action"]]["image"]])
                                 for step in program["steps"] if step["action"] in kernels]
            for program in told["steps"]}


def fits(arch, capability):
    """Whether code for `arch` (sm_90, sm_90a) runs on a GPU of a compute capability, as (9, 0)."""
    major, minor = divmod(int(arch[3:].rstrip("af")), 10)
    if arch.endswith("a"):
        return (major, minor) == capability
    return major == capability[0] and minor <= capability[1]


def read(ingot_run, file):
    text = report.call([ingot_run, "inspect", file, "--json"], f"{file}: ingot-run inspect")
    with open(file, "rb") as stream:
        return Plan(json.loads(text), stream.read())
