"""Damaged ingots, from a good one: yields (name, bytes, expected exit codes).

The header is 192 bytes: magic, version, section count, file size, checksum, then one entry of 32 bytes
(kind, present, offset, size, checksum) for each of plan, code, weights, debug.
"""
import random
import struct

MALFORMED, INTEGRITY = 3, 6
ENTRIES, ENTRY = 32, 32
SECTIONS = ("plan", "code", "weights", "debug")


def sections(data):
    for index, name in enumerate(SECTIONS):
        _, present, offset, size, _ = struct.unpack_from("<IIQQQ", data, ENTRIES + ENTRY * index)
        if present:
            yield name, offset, size


def flipped(data, position, bit=0):
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def truncations(data):
    for size in (0, 1, 4, 8, 12, 16, 31, 64, 191, 192, 193):
        yield f"first-{size}-bytes", data[:size]
    for name, offset, size in sections(data):
        for what, end in (("start", offset), ("middle", offset + size // 2),
                          ("almost-end", offset + size - 1)):
            if end < len(data):
                yield f"cut-at-{name}-{what}", data[:end]
    yield "one-byte-long", data + b"\0"
    yield "twice", data + data
    yield "zeros", bytes(len(data))
    yield "zeros-behind-magic", data[:8] + bytes(len(data) - 8)


def flips(data):
    for position in (0, 3, 7):
        yield f"flip-magic-{position}", flipped(data, position), (MALFORMED,)
    for position in range(8, ENTRIES + ENTRY * len(SECTIONS), 3):
        yield f"flip-header-{position}", flipped(data, position, position % 8), (MALFORMED, INTEGRITY)
    generator = random.Random(20240607)
    for name, offset, size in sections(data):
        for position in sorted(generator.sample(range(size), min(size, 12))):
            yield (f"flip-{name}-{position}", flipped(data, offset + position, position % 8),
                   (INTEGRITY,))


def rewrites(data):
    """Whole fields replaced by values that hurt a careless reader."""
    for index, section in enumerate(SECTIONS):
        base = ENTRIES + ENTRY * index
        for what, at, value in (("offset-zero", 8, 0), ("offset-huge", 8, (1 << 64) - 4096),
                                ("size-zero", 16, 0), ("size-huge", 16, (1 << 64) - 1),
                                ("size-2e63", 16, 1 << 63)):
            changed = bytearray(data)
            struct.pack_into("<Q", changed, base + at, value)
            if bytes(changed) != data:
                yield f"{section}-{what}", bytes(changed)
    for what, at, form, value in (("version-0", 8, "<I", 0), ("version-max", 8, "<I", 0xFFFFFFFF),
                                  ("sections-0", 12, "<I", 0), ("sections-max", 12, "<I", 0xFFFFFFFF),
                                  ("size-0", 16, "<Q", 0), ("size-max", 16, "<Q", (1 << 64) - 1)):
        changed = bytearray(data)
        struct.pack_into(form, changed, at, value)
        yield what, bytes(changed)


def foreign():
    yield "elf", b"\x7fELF" + bytes(4096)
    yield "text", b"not an ingot\n" * 64
    yield "gguf", b"GGUF" + bytes(4096)
    yield "safetensors", struct.pack("<Q", 2) + b"{}"


def corpus(data):
    for name, broken in foreign():
        yield f"artifact-{name}", broken, (MALFORMED,)
    for name, broken in [*truncations(data), *rewrites(data)]:
        yield f"artifact-{name}", broken, (MALFORMED, INTEGRITY)
    for name, broken, expected in flips(data):
        yield f"artifact-{name}", broken, expected
