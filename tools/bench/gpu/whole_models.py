"""Whole models: `ingot-run bench` beside the reference library, case by case."""
import json
import os
import time

import models
import report
import tables


def ingot_file(options, name, packed=False):
    return os.path.join(options.out, name + (".packed" if packed else "") + ".ingot")


def has_packed(name):
    """Encoders are compiled for packed input, too: the same tokens without any padding logic."""
    return models.CASES[name][0][0] == "forward"


def compile_all(options):
    ingot = os.path.join(options.bin, "ingot")
    report.need_program(ingot, "--bin")
    for name in options.models:
        folder = models.write_folder(name, options.out)
        for packed in [False, True][:1 + has_packed(name)]:
            file = ingot_file(options, name, packed)
            begin = time.monotonic()
            report.call([ingot, "compile", folder, "-o", file, "--weights", "none", "--target", options.target,
                         *models.MODELS[name][1], *["--packed-input"][:packed]], f"{file}: ingot compile")
            print(f"{os.path.basename(file)}: {time.monotonic() - begin:.1f} s, "
                  f"{os.path.getsize(file) / 2**20:.2f} MiB")


def case_flag(kind, rows, length, fill):
    return [f"--{kind}", f"{rows}x{length}" + (f"@{fill}" if fill < 100 else "")]


def case_name(case):
    return " ".join(case_flag(*case))[2:]


def all_cases(options):
    """{model: cases} that --only leaves."""
    report.need_program(options.ingot_run, "--ingot-run")
    chosen = {name: [case for case in models.CASES[name] if report.selected(options, f"{name} {case_name(case)}")]
              for name in options.models}
    chosen = {name: cases for name, cases in chosen.items() if cases}
    if not chosen:
        raise report.Failure(f"--only {options.only!r} leaves no case; there are:\n  " + "\n  ".join(
            f"{name} {case_name(case)}" for name in options.models for case in models.CASES[name]), 2)
    for name in chosen:
        for packed in [False, True][:1 + has_packed(name)]:
            file = ingot_file(options, name, packed)
            if not os.path.exists(file):
                raise report.Failure(f"{file} is missing; make it with: gpu_bench.py compile --out {options.out} "
                                     f"--models {name} (on any machine with an NVRTC)", 2)
    return chosen


def run_ingot(options, name, cases, packed=False):
    """{case: times}, memory in bytes."""
    flags = [flag for case in cases for flag in case_flag(*case)]
    text = report.call([options.ingot_run, "bench", ingot_file(options, name, packed), "--weights", "random:1",
                        "--json", "--runs", "30", "--warmup", "5", *flags], f"{name}: ingot-run bench")
    result = json.loads(text)
    return {case["case"]: {key: case[key + "_seconds"] * 1e3 for key in ("median", "min", "max")}
            for case in result["cases"]}, result["memory"][0]


def peer_memory(name):
    """Bytes above the weights at the peak of a prefill with eager attention."""
    import peers
    import torch
    rows, length = next(case[1:3] for case in models.CASES[name] if case[0] == "prefill")
    with torch.inference_mode():
        model = peers.build(models.MODELS[name][0], models.dtype(name), "eager")
        bytes_ = peers.prefill_memory(model, rows, length)
        del model
    peers.release()
    return bytes_


def measure_memory(options, name, memory, out):
    """Activations by the plan, and by what the driver says went; beside eager attention's."""
    driver = memory["driver_bytes"] - memory["weight_bytes"] - memory["state_bytes"]
    shown = f"{memory['activation_bytes'] / 2**20:.0f} MiB by the plan, {driver / 2**20:.0f} by the driver"
    result = {"plan": memory["activation_bytes"], "driver": driver}
    out.data.setdefault("activations", {})[name] = result
    if options.peers and name in models.MEMORY:
        try:
            result["eager"] = peer_memory(name)
            share = result["eager"] / max(driver, memory["activation_bytes"])
            shown += f"; eager attention {result['eager'] / 2**20:.0f} MiB ({share:.1f}x)"
        except Exception as failure:
            out.fail(f"{name} activations, eager", failure)
    print(f"{name + ' activations':34} {shown}", flush=True)


def peer_variants(case):
    """What is measured beside a case."""
    if case[0] == "decode":
        return ("eager", "compiled") if case[1] in models.PEER_DECODE_ROWS else ()
    return ("eager",) if case[0] == "prefill" else ("eager", "compiled")


def run_peer(model, case, compiled):
    """Times of one case."""
    import peers
    kind, rows, length, fill = case
    if kind == "decode":
        return peers.decode(model, rows, length, compiled)
    if kind == "prefill":
        return peers.prefill(model, rows, length)
    return peers.forward(model, models.row_lengths(rows, length, fill), length, compiled)


def run_peers(name, case, out):
    """{peer: times} of one case; a peer that fails is reported, and the rest measured."""
    import peers
    import torch
    results, model = {}, None
    with torch.inference_mode():
        for variant in peer_variants(case):
            try:
                model = model or peers.build(models.MODELS[name][0], models.dtype(name))
                measured = run_peer(model, case, variant == "compiled")
                results[variant] = dict(zip(("median", "min", "max"), measured))
            except Exception as failure:
                out.fail(f"{name} {case_name(case)}, {variant}", failure)
            peers.release()
        del model
    peers.release()
    return results


def run(options):
    chosen = all_cases(options)
    import ceilings
    out = report.Report("models", options.json, report.machine())
    rates = out.data["rates"] = ceilings.rates()
    print(tables.heading(out.data))
    print(tables.MODEL_TITLE)
    for name, cases in chosen.items():
        ingot, memory, packed = {}, {}, {}
        try:
            ingot, memory = run_ingot(options, name, cases)
            if has_packed(name):
                packed = run_ingot(options, name, cases, packed=True)[0]
        except Exception as failure:
            out.fail(name, failure)
        if memory.get("driver_bytes"):
            measure_memory(options, name, memory, out)
        for case in cases:
            key = case_name(case)
            theirs = run_peers(name, case, out) if options.peers else {}
            if key in packed:
                theirs["packed"] = packed[key]
            flops, bytes_ = models.work(name, case)
            entry = {"model": name, "case": key, "ingot_ms": ingot.get(key), "peers_ms": theirs,
                     "floor_ms": max(flops / rates["gemm"], bytes_ / rates["read"]) * 1e3,
                     "flops": flops, "bytes": bytes_}
            out.add(entry)
            print(tables.model_line(f"{name} {key}", entry), flush=True)
    return out.end()
