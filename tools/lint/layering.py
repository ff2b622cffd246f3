#!/usr/bin/env python3
"""Checks every #include line against the layers:

    dialects <- codegen <- passes <- compiler <- tools -> runtime
    compiler <- compiler/verify -> runtime

A folder may include itself and what its row names; runtime/ includes nothing of the compiler and no
MLIR, so that it builds alone.
"""
import re
import sys

import tree

FOLDERS = ("dialects", "codegen", "passes", "compiler", "runtime", "tools", "test")
STATUS = "runtime/support/"  # error values, shared by all
LAYERS = {
    "dialects": ("dialects/",),
    "codegen": ("codegen/", "dialects/", STATUS, "runtime/format/", "runtime/weights/",
                "runtime/device/HostKernelAbi.h"),
    "passes": ("passes/", "codegen/", "dialects/", STATUS, "runtime/format/", "runtime/weights/"),
    "compiler": ("compiler/", "passes/", "codegen/", "dialects/", STATUS, "runtime/format/",
                 "runtime/weights/"),
    # Proves passes by running what they leave; nothing but tools may include it.
    "compiler/verify": ("compiler/", "passes/", "codegen/", "dialects/", "runtime/"),
    "runtime": ("runtime/",),
}
# A tool that needs the runtime alone is held to it.
RUNTIME_ONLY = ("tools/ingot-run.cpp",)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FOREIGN_TO_RUNTIME = ("mlir/", "llvm/", "mlir-c/", "llvm-c/", "lld/", "clang/", "CLI/")


def allowed(path, included):
    if path in RUNTIME_ONLY:
        return included.startswith(("runtime/", "tools/cli/"))
    folder = max((layer for layer in LAYERS if path.startswith(layer + "/")), key=len,
                 default="")
    if folder != "compiler/verify" and included.startswith("compiler/verify/"):
        return not folder
    return folder not in LAYERS or included.startswith(LAYERS[folder])


def main():
    errors, checked = [], 0
    for path, text in tree.files((".h", ".c", ".cpp", ".cuh", ".cu")):
        if path.split("/")[0] not in FOLDERS:
            continue
        checked += 1
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, included = match.group(1) == '"', match.group(2)
            where = f"{path}:{number}: "
            if path.startswith("runtime/") and included.startswith(FOREIGN_TO_RUNTIME):
                errors.append(f"{where}runtime/ includes {included}: it has to build without it")
            if included.startswith(tuple(f + "/" for f in FOLDERS)):
                if not allowed(path, included):
                    errors.append(f"{where}{path.split('/')[0]}/ must not include {included}")
            elif quoted and "/" not in included and not included.endswith(".inc"):
                errors.append(f'{where}"{included}": include paths start at the repository root')
    return tree.report("layering", errors, checked)


if __name__ == "__main__":
    sys.exit(main())
