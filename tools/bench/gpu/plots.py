"""Plots of a report as SVG and PNG: where each case is under the roofline, what a decode step takes by batch size."""
import os
import re

import matplotlib
import matplotlib.ticker

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import report
import tables

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ingot", "font.size": 9, "axes.grid": True,
                     "grid.alpha": 0.3, "legend.fontsize": 8})
_MARKERS = "osD^vP*X"
_PEERS = {"compiled": "PyTorch compiled, CUDA graphs", "eager": "PyTorch eager, SDPA", "cublaslt": "cuBLASLt",
          "cudnn": "cuDNN", "packed": "Ingot, packed input"}


def _save(figure, data, folder, name):
    """Caption, both formats; the names of the files."""
    figure.text(0.01, 0.005, tables.caption(data["machine"]), fontsize=7, color="0.3", va="bottom", wrap=True)
    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, f"{name}.{kind}") for kind in ("svg", "png")]
    figure.savefig(files[0], metadata={"Date": None})
    figure.savefig(files[1], dpi=150)
    plt.close(figure)
    return files


def _ceilings(axes, data, intensities):
    """Memory's slope and the flat rates of matrix products, from what the run itself measured."""
    rates = data["rates"]
    x = [min(intensities) / 2, max([*intensities, rates["gemm"] / rates["read"]]) * 2]
    ridge = rates["gemm"] / rates["read"]
    axes.plot([x[0], ridge, x[1]], [rates["read"] * x[0] / 1e12, rates["gemm"] / 1e12, rates["gemm"] / 1e12],
              color="black", linewidth=1.2,
              label=f"ceiling: {rates['read'] / 1e12:.2f} TB/s, {rates['gemm'] / 1e12:.0f} TFLOP/s (bf16)")


def _points(axes, cases, styles, rate):
    """Ingot's filled, by colour and marker of the model; the peers' hollow. `rate` of a case and its times is up."""
    for model in dict.fromkeys(case["model"] for case in cases):
        mine, style = [case for case in cases if case["model"] == model], styles[model]
        axes.plot([case["flops"] / case["bytes"] for case in mine], [rate(case, case["ingot_ms"]) for case in mine],
                  label=model, zorder=3, **style)
        for case in mine:
            peers = [rate(case, times) for times in case["peers_ms"].values()]
            axes.plot([case["flops"] / case["bytes"]] * len(peers), peers, alpha=0.6,
                      **{**style, "markerfacecolor": "none"})
    peers = dict.fromkeys(peer for case in cases for peer in case["peers_ms"])
    if peers:
        label = "\n".join(_PEERS.get(peer, peer) for peer in peers)
        axes.plot([], [], "o", color="0.4", markerfacecolor="none", label=label)


def roofline(data, folder, stem):
    """Above the rates under the ceilings, below the same as shares of the ceiling at that intensity."""
    cases = [case for case in data["cases"] if case["ingot_ms"]]
    styles = {model: {"color": f"C{i % 10}", "marker": _MARKERS[i % len(_MARKERS)], "linestyle": "none",
                      "markersize": 5}
              for i, model in enumerate(dict.fromkeys(case["model"] for case in cases))}
    panels = {}
    for case in cases:
        family = case.get("family", "whole models")
        panels.setdefault("linear layers" if "linear" in family else family, []).append(case)
    figure, axes = plt.subplots(2, len(panels), figsize=(6.4 * len(panels), 8), squeeze=False, sharex="col",
                                height_ratios=(3, 2))
    for (above, below), (title, members) in zip(axes.T, panels.items()):
        _ceilings(above, data, [case["flops"] / case["bytes"] for case in members])
        _points(above, members, styles, lambda case, times: case["flops"] / times["median"] / 1e9)
        above.set(title=title, xscale="log", yscale="log", ylabel="achieved rate, TFLOP/s")
        above.legend()
        _points(below, members, styles, lambda case, times: case["floor_ms"] / times["median"])
        below.axhline(1, color="black", linewidth=1.2)
        below.set(ylim=(0, 1.1), xlabel="arithmetic intensity, FLOP per byte", ylabel="share of the ceiling")
    figure.suptitle("Roofline: Ingot (filled) and its peers (hollow)")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    return _save(figure, data, folder, stem + "-roofline")


def _line(axes, points, label, **style):
    """Medians with the range from least to most; points: [(batch, times)]."""
    batches = [batch for batch, _ in points]
    medians = [times["median"] for _, times in points]
    ranges = [[times["median"] - times["min"] for _, times in points],
              [times["max"] - times["median"] for _, times in points]]
    axes.errorbar(batches, medians, yerr=ranges, label=label, capsize=3, markersize=4, **style)


def decode_cases(data):
    """{model: {tokens in the cache: [(batch, case)]}} of decode steps."""
    found = {}
    for case in data["cases"]:
        match = re.fullmatch(r"decode (\d+)x(\d+)", case["case"])
        if match and case["ingot_ms"]:
            found.setdefault(case["model"], {}).setdefault(int(match[2]), []).append((int(match[1]), case))
    return {model: {context: sorted(points, key=lambda point: point[0]) for context, points in contexts.items()}
            for model, contexts in found.items()}


def steps(data, folder, stem):
    models = decode_cases(data)
    if not models:
        return []
    figure, axes = plt.subplots(1, len(models), figsize=(5.2 * len(models), 4.4), squeeze=False)
    for panel, (model, contexts) in zip(axes[0], models.items()):
        for context, points in contexts.items():
            behind = f", {context} tokens in the cache" if len(contexts) > 1 else ""
            _line(panel, [(batch, case["ingot_ms"]) for batch, case in points], "Ingot" + behind, marker="o")
            panel.plot([batch for batch, _ in points], [case["floor_ms"] for _, case in points], "k--", linewidth=1,
                       label="floor: bytes over the read rate" + behind)
            for peer in dict.fromkeys(name for _, case in points for name in case["peers_ms"]):
                _line(panel, [(batch, case["peers_ms"][peer]) for batch, case in points if peer in case["peers_ms"]],
                      _PEERS.get(peer, peer) + behind, marker="s", linewidth=1)
        batches = sorted({batch for points in contexts.values() for batch, _ in points})
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(batches, [str(batch) for batch in batches])
        panel.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        panel.set(title=f"{model}, {' and '.join(map(str, contexts))} tokens in the cache", xlabel="batch, rows",
                  ylabel="decode step, ms (median, least to most)")
        panel.legend()
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    return _save(figure, data, folder, stem + "-steps")


def draw(data, folder, stem):
    """The files that were written."""
    if not any(case["ingot_ms"] for case in data["cases"]):
        raise report.Failure(f"{stem}: no case of it was measured", 3)
    return roofline(data, folder, stem) + steps(data, folder, stem)
