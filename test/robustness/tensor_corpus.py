"""Malformed .npy inputs of `ingot run`: yields (name, bytes, expected exit codes)."""
import struct

USAGE, MALFORMED = 2, 3


def npy(header, body, version=(1, 0)):
    text = header.encode("latin-1")
    length = struct.pack("<H", len(text)) if version[0] == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + body


def described(descr="'<i4'", order="False", shape="(1, 4)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


GOOD = struct.pack("<4i", 1, 2, 3, 4)


def corpus():
    good = npy(described(), GOOD)
    for size in (0, 1, 6, 9, 10, 30, len(good) - 1):
        yield f"npy-first-{size}-bytes", good[:size], (MALFORMED,)
    yield "npy-one-byte-long", good + b"\0", (MALFORMED,)
    yield "npy-text", b"1,2,3,4\n", (MALFORMED,)
    yield "npy-version-9", npy(described(), GOOD, (9, 0)), (MALFORMED, USAGE)
    yield "npy-header-length-max", b"\x93NUMPY\x02\0\xff\xff\xff\xff" + GOOD, (MALFORMED,)
    for name, header in (
            ("not-a-dict", "42"), ("unclosed", "{'descr': '<i4'"), ("empty", "{}"),
            ("code", "__import__('os').system('true')"), ("deep", "(" * 60000),
            ("no-shape", "{'descr': '<i4', 'fortran_order': False, }"),
            ("shape-negative", described(shape="(-1, 4)")),
            ("shape-string", described(shape="'x'")),
            ("shape-float", described(shape="(1.5, 4)")),
            ("shape-huge", described(shape="(18446744073709551616, 4)")),
            ("shape-overflow", described(shape="(4294967296, 4294967296)")),
            ("shape-overflow-4", described(shape="(4611686018427387904, 4)")),
            ("shape-more-than-bytes", described(shape="(2, 4)")),
            ("shape-less-than-bytes", described(shape="(1, 3)")),
            ("shape-rank-5000", described(shape="(" + "1," * 5000 + ")")),
            ("object", described(descr="'|O'")), ("unknown-type", described(descr="'<q9'")),
            ("record", described(descr="[('a', '<i4')]"))):
        yield f"npy-{name}", npy(header, GOOD), (MALFORMED, USAGE)
    # Well-formed arrays that the program does not take.
    for name, header, body in (
            ("rank-1", described(shape="(4,)"), GOOD), ("rank-3", described(shape="(1, 1, 4)"), GOOD),
            ("no-rows", described(shape="(0, 4)"), b""), ("no-tokens", described(shape="(1, 0)"), b""),
            ("float-ids", described(descr="'<f4'"), GOOD),
            ("id-negative", described(), struct.pack("<4i", 1, -1, 3, 4)),
            ("id-past-the-vocabulary", described(), struct.pack("<4i", 1, 97, 3, 4)),
            ("id-min", described(), struct.pack("<4i", 1, -2147483648, 3, 4)),
            ("id-64-bit", described(descr="'<i8'"), struct.pack("<4q", 1, 2, 3, 1 << 32)),
            ("too-many-rows", described(shape="(9, 1)"), struct.pack("<9i", *[1] * 9)),
            ("too-many-tokens", described(shape="(1, 4096)"), struct.pack("<4096i", *[1] * 4096))):
        yield f"npy-{name}", npy(header, body), (USAGE, MALFORMED)
