"""Malformed shard indices and folders: each case changes a fresh copy of a sharded model.

Yields (name, function(folder), expected exit codes).
"""
import json
import os

MALFORMED = 3
INDEX = "model.safetensors.index.json"
FIRST = "model-00001-of-00002.safetensors"
SECOND = "model-00002-of-00002.safetensors"


def read(folder, name=INDEX):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def write(folder, data, name=INDEX):
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        os.remove(path)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else json.dumps(data).encode())


def text_cases():
    def case(change):
        return lambda folder: write(folder, change(read(folder)))

    yield "empty", case(lambda text: b"")
    yield "truncated", case(lambda text: text[:len(text) // 2])
    yield "array", case(lambda text: b"[" + text + b"]")
    yield "not-utf8", case(lambda text: text.replace(b"weight_map", b"weight\xff_map", 1))
    yield "deep", case(lambda text: b'{"weight_map":' * 100000)
    yield "deep-value", case(lambda text: text.rstrip()[:-1] + b',"x":' + b"[" * 100000 +
                             b"]" * 100000 + b"}")
    yield "duplicate-map", case(lambda text: text.replace(b"{", b'{"weight_map": {},', 1))
    yield "duplicate-tensor", case(lambda text: text.replace(
        b'"weight_map": {', b'"weight_map": {"model.norm.weight": "' + FIRST.encode() + b'",', 1))


def map_cases():
    def case(change):
        def apply(folder):
            index = json.loads(read(folder))
            change(index, index["weight_map"])
            write(folder, index)
        return apply

    def every(file):
        return case(lambda index, names: names.update({key: file for key in names}))

    def one(file):
        return case(lambda index, names: names.update({"model.norm.weight": file}))

    yield "no-map", case(lambda index, names: index.pop("weight_map"))
    yield "empty-map", case(lambda index, names: names.clear())
    for name, value in (("null", None), ("list", []), ("string", FIRST), ("number", 1)):
        yield f"map-{name}", case(lambda index, names, v=value: index.update(weight_map=v))
    for name, value in (("null", None), ("number", 1), ("list", [FIRST]), ("object", {}),
                        ("empty", ""), ("dot", "."), ("dot-dot", ".."),
                        ("parent", "../" + FIRST), ("parent-inside", "x/../" + FIRST),
                        ("absolute", "/etc/passwd"), ("device", "/dev/zero"),
                        ("subfolder", "sub/" + FIRST), ("backslash", "..\\" + FIRST),
                        ("nul", FIRST + "\0.safetensors"), ("missing", "model-3.safetensors"),
                        ("index-itself", INDEX), ("config", "config.json"),
                        ("long", "x" * 5000 + ".safetensors"), ("pickle", "pytorch_model.bin")):
        yield f"file-{name}", one(value)
    yield "all-in-parent", every("../" + FIRST)
    yield "all-in-first", every(FIRST)
    yield "swapped", case(lambda index, names: names.update(
        {key: SECOND if file == FIRST else FIRST for key, file in names.items()}))
    yield "tensor-nobody-has", case(lambda index, names: names.update({"model.x.weight": FIRST}))


def file_cases():
    def symlink(target):
        def apply(folder):
            os.remove(os.path.join(folder, SECOND))
            os.symlink(target, os.path.join(folder, SECOND))
        return apply

    def outside(folder):
        stray = folder + ".stray"
        os.replace(os.path.join(folder, SECOND), stray)
        os.symlink(stray, os.path.join(folder, SECOND))

    def as_folder(folder):
        os.remove(os.path.join(folder, SECOND))
        os.mkdir(os.path.join(folder, SECOND))

    def as_fifo(folder, name=SECOND):
        os.remove(os.path.join(folder, name))
        os.mkfifo(os.path.join(folder, name))

    def pickle_only(folder):
        for name in (FIRST, SECOND, INDEX):
            os.remove(os.path.join(folder, name))
        write(folder, b"\x80\x02}q\0.", "pytorch_model.bin")

    def without(*names):
        return lambda folder: [os.remove(os.path.join(folder, name)) for name in names]

    yield "shard-missing", without(SECOND)
    yield "shard-empty", lambda folder: write(folder, b"", SECOND)
    yield "shard-truncated", lambda folder: write(folder, read(folder, SECOND)[:-16], SECOND)
    yield "shard-twice", lambda folder: write(folder, read(folder, FIRST), SECOND)
    yield "shard-link-outside", outside
    yield "shard-link-to-itself", symlink(SECOND)
    yield "shard-link-broken", symlink("nowhere")
    yield "shard-link-device", symlink("/dev/zero")
    yield "shard-is-folder", as_folder
    yield "shard-is-fifo", as_fifo
    yield "config-is-fifo", lambda folder: as_fifo(folder, "config.json")
    yield "config-missing", without("config.json")
    yield "pickle-only", pickle_only
    yield "no-weights", without(FIRST, SECOND, INDEX)
    yield "empty-folder", without(FIRST, SECOND, INDEX, "config.json")


def corpus():
    for name, change in [*text_cases(), *map_cases()]:
        yield f"index-{name}", change, (MALFORMED,)
    for name, change in file_cases():
        yield f"folder-{name}", change, (MALFORMED,)
