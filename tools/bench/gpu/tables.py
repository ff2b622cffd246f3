"""What the tables print."""
import statistics


def heading(data):
    rates, where = data["rates"], data["machine"]
    shown = [f"read {rates['read'] / 1e12:.2f} TB/s", f"bf16 matmul {rates['gemm'] / 1e12:.0f} TFLOP/s"]
    if "fp8" in rates:
        shown.append(f"fp8 {rates['fp8'] / 1e12:.0f} TFLOP/s")
    if "upload" in rates:
        shown.append(f"upload {rates['upload'] / 1e9:.1f} GB/s")
    return f"{caption(where)}: {', '.join(shown)}"


def caption(where):
    """GPU, driver, date and versions in a line."""
    parts = [where["device"], f"driver {where['driver']}", f"CUDA {where['cuda']}", f"PyTorch {where['torch']}"]
    parts += [f"{label} {where[key]}" for key, label in (("cudnn", "cuDNN"), ("transformers", "transformers"))
              if key in where]
    return ", ".join(parts + [where["date"]])


def spread(value, unit):
    scale = {"ms": 1, "us": 1e3}[unit]
    digits = 3 if unit == "ms" else 2
    return f"{value['median'] * scale:.{digits}f} ({value['min'] * scale:.{digits}f}-{value['max'] * scale:.{digits}f})"


def _peers(case, unit):
    mine, scale = case["ingot_ms"], {"ms": 1, "us": 1e3}[unit]
    return "  ".join(f"{peer} {value['median'] * scale:.{3 if unit == 'ms' else 2}f}"
                     + (f" ({value['median'] / mine['median']:.2f}x)" if mine else "")
                     for peer, value in case["peers_ms"].items())


MODEL_TITLE = f"{'case':34} {'ingot ms':>24} {'of floor':>8}  peers: ms (ingot is so much faster)"
KERNEL_TITLE = (f"{'case':66} {'ingot us':>26} {'of floor':>8} {'TFLOP/s':>8} {'TB/s':>6}  "
                "peers: us (ingot is so much faster)")


def model_line(name, case):
    mine = case["ingot_ms"]
    shown = spread(mine, "ms") if mine else "-"
    share = f"{case['floor_ms'] / mine['median']:.2f}" if mine else "-"
    return f"{name:34} {shown:>24} {share:>8}  {_peers(case, 'ms')}"


def kernel_line(name, case):
    seconds = case["ingot_ms"]["median"] * 1e-3
    return (f"{name:66} {spread(case['ingot_ms'], 'us'):>26} {case['floor_ms'] * 1e-3 / seconds:8.2f} "
            f"{case['flops'] / seconds / 1e12:8.1f} {case['bytes'] / seconds / 1e12:6.2f}  {_peers(case, 'us')}")


def kernel_summary(data):
    """Lines for linear layers and attention, of decode steps and of all else: how fast beside each peer, on average
    (geometric) and at least, and what share of the floor."""
    groups = {}
    for case in data["cases"]:
        family = "linear" if "linear" in case["family"] else case["family"]
        rows = "decode" if case["case"].startswith("decode ") else "many rows"
        groups.setdefault(f"{family}, {rows}", []).append(case)
    lines = []
    for group, cases in groups.items():
        shares = [case["floor_ms"] / case["ingot_ms"]["median"] for case in cases]
        line = f"{group}: {len(cases)} cases, {statistics.geometric_mean(shares):.2f} of the floor"
        for peer in dict.fromkeys(peer for case in cases for peer in case["peers_ms"]):
            speeds = [(case["peers_ms"][peer]["median"] / case["ingot_ms"]["median"], f"{case['model']} {case['case']}")
                      for case in cases if peer in case["peers_ms"]]
            mean = statistics.geometric_mean(speed for speed, _ in speeds)
            line += f"; {mean:.2f}x {peer}'s speed, least {min(speeds)[0]:.2f}x ({min(speeds)[1]})"
        lines.append(line)
    return lines
