"""Two reports of the same cases: what changed by more than the spread."""
from tables import spread


def compare(old, new):
    """What changed by more than the spread: each median lies outside of the other run's range. The lines to print,
    and how many cases got slower."""
    def by_name(data):
        return {f"{case['model']} {case['case']}": case["ingot_ms"] for case in data["cases"] if case["ingot_ms"]}
    before, after = by_name(old), by_name(new)
    slower, faster, same = [], [], 0
    for name in [name for name in before if name in after]:
        a, b = before[name], after[name]
        line = f"{b['median'] / a['median']:6.3f}x  {name}: {spread(a, 'ms')} -> {spread(b, 'ms')} ms"
        if b["median"] > a["max"] and a["median"] < b["min"]:
            slower.append((b["median"] / a["median"], line))
        elif b["median"] < a["min"] and a["median"] > b["max"]:
            faster.append((b["median"] / a["median"], line))
        else:
            same += 1
    lines = []
    if old["machine"]["device"] != new["machine"]["device"]:
        lines.append(f"different GPUs: {old['machine']['device']} and {new['machine']['device']}")
    for key, what in (("read", "read rate"), ("gemm", "matmul rate")):
        a, b = old.get("rates", {}).get(key), new.get("rates", {}).get(key)
        if a and b and abs(b / a - 1) > 0.02:
            lines.append(f"the GPU itself: {what} {b / a:.3f}x")
    lines += ["slower:"] * bool(slower) + [line for _, line in sorted(slower, reverse=True)]
    lines += ["faster:"] * bool(faster) + [line for _, line in sorted(faster)]
    for which, one, other in (("first", before, after), ("second", after, before)):
        lines += [f"only in the {which}: {name}" for name in one if name not in other]
    lines.append(f"{len(slower)} slower, {len(faster)} faster, {same} within the spread")
    return lines, len(slower)
