"""Malformed safetensors files, from a good one: yields (name, bytes, expected exit codes)."""
import json
import struct

MALFORMED, UNSUPPORTED = 3, 4


def split(data):
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return header, data[8 + length:]


def join(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def broken_frame(data):
    for size in (0, 1, 7, 8, 9):
        yield f"first-{size}-bytes", data[:size]
    for percent in (25, 50, 90):
        yield f"truncated-{percent}", data[:len(data) * percent // 100]
    yield "one-byte-short", data[:-1]
    yield "one-byte-long", data + b"\0"
    for name, length in (("zero", 0), ("one", 1), ("past-the-end", len(data)),
                         ("100mb", 100_000_001), ("2e31", 1 << 31), ("2e63", 1 << 63),
                         ("max", (1 << 64) - 1), ("wraps", (1 << 64) - 8)):
        yield f"header-length-{name}", struct.pack("<Q", length) + data[8:]


def broken_header_text(header, body):
    text = json.dumps(header).encode()
    yield "header-not-json", join(b"x" * len(text), body)
    yield "header-array", join(b"[]", body)
    yield "header-space-first", join(b" " + text, body)
    yield "header-bom", join(b"\xef\xbb\xbf" + text, body)
    yield "header-not-utf8", join(text.replace(b"model", b"mod\xff\xfe", 1), body)
    yield "header-unclosed", join(text[:-1], body)
    yield "header-deep", join(b'{"a":' * 100000 + b"1" + b"}" * 100000, body)
    yield "header-deep-metadata", join(
        text[:-1] + b',"__metadata__":' + b"[" * 100000 + b"]" * 100000 + b"}", body)
    first = next(iter(header))
    entry = json.dumps({first: header[first]}).encode()[1:-1]
    yield "duplicate-tensor", join(text[:-1] + b"," + entry + b"}", body)
    yield "duplicate-member", join(text.replace(b'{"dtype"', b'{"dtype": "F32", "dtype"', 1), body)
    yield "offset-2e64", join(text.replace(b'"data_offsets": [0,',
                                           b'"data_offsets": [18446744073709551616,', 1), body)
    yield "offset-nan", join(text.replace(b'"data_offsets": [0,', b'"data_offsets": [NaN,', 1), body)


def changed(header, body):
    """One member of one tensor replaced."""
    first = min((name for name in header), key=lambda name: header[name]["data_offsets"])
    good = header[first]
    begin, end = good["data_offsets"]

    def case(**members):
        entry = {**good, **members}
        return join({**header, first: {k: v for k, v in entry.items() if v is not Ellipsis}}, body)

    for member in ("dtype", "shape", "data_offsets"):
        yield f"no-{member}", case(**{member: ...})
        for name, value in (("null", None), ("string", "x"), ("number", 3), ("object", {}),
                            ("nested", [[1]]), ("negative", [-1, -1]), ("float", [0.5, 2.5])):
            if member != "dtype" or name in ("null", "string", "number"):
                yield f"{member}-{name}", case(**{member: value})
    yield "offsets-one", case(data_offsets=[begin])
    yield "offsets-three", case(data_offsets=[begin, end, end])
    yield "offsets-reversed", case(data_offsets=[end, begin])
    yield "offsets-hole", case(data_offsets=[begin + 4, end])
    yield "offsets-overlap", case(data_offsets=[begin, end + 4])
    yield "offsets-past-the-end", case(data_offsets=[begin, len(body) + 64])
    yield "offsets-huge", case(data_offsets=[1 << 62, 1 << 63])
    yield "shape-larger", case(shape=[2 * good["shape"][0], *good["shape"][1:]])
    yield "shape-overflow", case(shape=[1 << 32, 1 << 32])
    yield "shape-overflow-to-zero", case(shape=[1 << 63, 2])
    yield "shape-max", case(shape=[(1 << 64) - 1])
    yield "shape-rank-100000", case(shape=[1] * 100000)
    yield "shape-zero", case(shape=[0])
    yield "dtype-unknown", case(dtype="F31")
    yield "dtype-lower-case", case(dtype="f32")
    yield "dtype-other-size", case(dtype="I8")
    yield "entry-null", join({**header, first: None}, body)
    yield "entry-list", join({**header, first: [1, 2]}, body)
    yield "metadata-list", join({**header, "__metadata__": []}, body)
    yield "metadata-number", join({**header, "__metadata__": {"a": 1}}, body)


def other_tensors(header, body):
    """Well-formed files that do not hold this model: (name, bytes, expected)."""
    name = "model.layers.0.self_attn.q_proj.weight"
    order = sorted(header, key=lambda n: header[n]["data_offsets"][0])

    def pack(entries):
        out, blob = {}, b""
        for key, dtype, shape, data in entries:
            out[key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob),
                                                                        len(blob) + len(data)]}
            blob += data
        return join(out, blob)

    def entry(key):
        begin, end = header[key]["data_offsets"]
        return [key, header[key]["dtype"], header[key]["shape"], body[begin:end]]

    entries = [entry(key) for key in order]
    yield "no-tensors", pack([]), (MALFORMED,)
    yield "missing-tensor", pack(e for e in entries if e[0] != name), (MALFORMED,)
    yield "missing-norm", pack(e for e in entries if e[0] != "model.norm.weight"), (MALFORMED,)
    yield "missing-embedding", pack(e for e in entries if "embed" not in e[0]), (MALFORMED,)
    yield "surplus-tensor", pack(entries + [["model.layers.0.extra.weight", "F32", [1], bytes(4)]]), \
        (MALFORMED,)
    yield "surplus-layer", pack(entries + [["model.layers.2.mlp.up_proj.weight", "F32", [1], bytes(4)]]), \
        (MALFORMED,)
    yield "surplus-bias", pack(entries + [["model.layers.0.mlp.up_proj.bias", "F32", [40],
                                           bytes(160)]]), (MALFORMED,)
    yield "renamed-all", pack([["x." + e[0], *e[1:]] for e in entries]), (MALFORMED,)
    for what, dtype, shape in (("transposed-flat", None, lambda s: [s[0] * s[1]]),
                               ("three-axes", None, lambda s: [1, *s]),
                               ("wrong-rows", None, lambda s: [s[0] // 2, s[1] * 2]),
                               ("integer", "I32", lambda s: s), ("unsigned", "U32", lambda s: s)):
        changed_entries = [[e[0], dtype or e[1], shape(e[2]), e[3]] if e[0] == name else e
                           for e in entries]
        yield f"tensor-{what}", pack(changed_entries), \
            (MALFORMED, UNSUPPORTED) if dtype else (MALFORMED,)
    for what, dtype, width in (("bool", "BOOL", 1), ("i64", "I64", 8)):
        e = next(e for e in entries if e[0] == name)
        typed = [name, dtype, e[2], bytes(width * e[2][0] * e[2][1])]
        yield f"tensor-{what}", pack([typed if x[0] == name else x for x in entries]), \
            (MALFORMED, UNSUPPORTED)


def corpus(data):
    header, body = split(data)
    for name, broken in [*broken_frame(data), *broken_header_text(header, body),
                         *changed(header, body)]:
        yield f"safetensors-{name}", broken, (MALFORMED,)
    for name, broken, expected in other_tensors(header, body):
        yield f"safetensors-{name}", broken, expected
