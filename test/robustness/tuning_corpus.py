"""Malformed tuning files: yields (name, bytes, expected exit codes)."""
import json

MALFORMED = 3
GPU = {"name": "NVIDIA H100", "arch": "sm_90a", "multiprocessors": 132, "memory_gb_per_second": 3352,
       "clock_mhz": 1980}
ENTRY = {"gpu": GPU, "kernel": "k", "config": "{}", "microseconds": 1.5,
         "modelled": {"config": "{}", "microseconds": 2.5}, "candidates": 2}


def text(value):
    return json.dumps(value).encode()


def corpus():
    good = text({"version": 1, "entries": [ENTRY]})
    for size in (0, 1, len(good) // 2, len(good) - 1):
        yield f"tuning-first-{size}-bytes", good[:size], (MALFORMED,)
    yield "tuning-twice", good * 2, (MALFORMED,)
    yield "tuning-array", b"[" + good + b"]", (MALFORMED,)
    yield "tuning-deep", b'{"version":1,"entries":' + b"[" * 100000 + b"]" * 100000 + b"}", (MALFORMED,)
    yield "tuning-duplicate", good.replace(b"{", b'{"version": 1,', 1), (MALFORMED,)
    yield "tuning-not-utf8", good.replace(b"H100", b"H\xff00"), (MALFORMED,)
    yield "tuning-nan", good.replace(b"2.5", b"NaN"), (MALFORMED,)
    yield "tuning-many", text({"version": 1, "entries": [ENTRY] * 10001}), (MALFORMED,)
    for name, value in (("none", None), ("text", "1"), ("zero", 0), ("negative", -1), ("fraction", 1.5),
                        ("huge", 2 ** 70)):
        yield f"tuning-version-{name}", text({"version": value, "entries": []}), (MALFORMED,)
    for name, value in (("none", None), ("object", {}), ("number", [1]), ("empty", [{}])):
        yield f"tuning-entries-{name}", text({"version": 1, "entries": value}), (MALFORMED,)
    for key in ENTRY:
        for name, value in (("none", None), ("list", []), ("bool", True)):
            yield (f"tuning-{key}-{name}", text({"version": 1, "entries": [{**ENTRY, key: value}]}),
                   (MALFORMED,))
    for key in GPU:
        for name, value in (("none", None), ("list", []), ("bool", True)):
            yield (f"tuning-gpu-{key}-{name}",
                   text({"version": 1, "entries": [{**ENTRY, "gpu": {**GPU, key: value}}]}), (MALFORMED,))
    for key, value in (("microseconds", 0), ("microseconds", -1), ("microseconds", "1"), ("candidates", 0),
                       ("candidates", 2 ** 64)):
        yield (f"tuning-{key}-{value}", text({"version": 1, "entries": [{**ENTRY, key: value}]}), (MALFORMED,))
