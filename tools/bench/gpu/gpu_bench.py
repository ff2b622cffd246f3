#!/usr/bin/env python3
"""Ingot beside PyTorch on one GPU, in one run: random weights at real sizes.

    gpu_bench.py compile --bin build/bin --out DIR [--target sm_90a] [--models a,b]
        writes each model's config and compiles it without weights; needs no GPU
    gpu_bench.py run --out DIR --ingot-run build/bin/ingot-run [--models a,b] [--json FILE]
        measures the ceilings first, then every case with Ingot and its peers; needs PyTorch,
        transformers and Triton
    gpu_bench.py start --out DIR --ingot-run build/bin/ingot-run [--models a,b] [--json FILE]
        writes checkpoints of random weights, then times processes that load them and make a first token
"""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import models


def ingot_file(options, name, packed=False):
    return os.path.join(options.out, name + (".packed" if packed else "") + ".ingot")


def has_packed(name):
    """Encoders are compiled for packed input, too: the same tokens without any padding logic."""
    return models.CASES[name][0][0] == "forward"


def compile_models(options):
    for name in options.models:
        folder = models.write_folder(name, options.out)
        for packed in [False, True][:1 + has_packed(name)]:
            file = ingot_file(options, name, packed)
            begin = time.monotonic()
            subprocess.run([os.path.join(options.bin, "ingot"), "compile", folder, "-o", file,
                            "--weights", "none", "--target", options.target,
                            *models.MODELS[name][1], *["--packed-input"][:packed]],
                           check=True, stdout=sys.stderr)
            print(f"{os.path.basename(file)}: {time.monotonic() - begin:.1f} s, "
                  f"{os.path.getsize(file) / 2**20:.2f} MiB")


def case_flag(kind, rows, length, fill):
    return [f"--{kind}", f"{rows}x{length}" + (f"@{fill}" if fill < 100 else "")]


def run_ingot(options, name, packed=False):
    """{case: (median, min, max) in ms}, memory in bytes, the seconds of loading and running."""
    file = ingot_file(options, name, packed)
    flags = [flag for case in models.CASES[name] for flag in case_flag(*case)]
    begin = time.monotonic()
    done = subprocess.run([options.ingot_run, "bench", file, "--weights", "random:1", "--json",
                           "--runs", "30", "--warmup", "5", *flags],
                          capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        print(f"{name}: ingot-run bench ended with {done.returncode}: {done.stderr.strip()}",
              file=sys.stderr)
        return {}, {}, seconds
    report = json.loads(done.stdout)
    return {case["case"]: tuple(case[key] * 1e3 for key in
                                ("median_seconds", "min_seconds", "max_seconds"))
            for case in report["cases"]}, report["memory"][0], seconds


def peer_memory(name):
    """Bytes above the weights at the peak of a prefill with eager attention."""
    import peers
    import torch
    kind, rows, length, _ = models.CASES[name][0]
    assert kind == "prefill"
    with torch.inference_mode():
        model = peers.build(models.MODELS[name][0], models.dtype(name), "eager")
        bytes_ = peers.prefill_memory(model, rows, length)
        del model
    peers.release()
    return bytes_


def print_memory(options, name, memory):
    """Activations by the plan, and by what the driver says went; beside eager attention's."""
    driver = memory["driver_bytes"] - memory["weight_bytes"] - memory["state_bytes"]
    shown = f"{memory['activation_bytes'] / 2**20:.0f} MiB by the plan, {driver / 2**20:.0f} by the driver"
    result = {"plan": memory["activation_bytes"], "driver": driver}
    if options.peers and name in models.MEMORY:
        result["eager"] = peer_memory(name)
        share = result["eager"] / max(driver, memory["activation_bytes"])
        shown += f"; eager attention {result['eager'] / 2**20:.0f} MiB ({share:.1f}x)"
    print(f"{name + ' activations':34} {shown}", flush=True)
    return result


def row_lengths(rows, length, fill):
    """Lengths with the mean that Ingot's cases have, spread around it."""
    import random
    draw = random.Random(1)
    least = max(1, int((2 * fill / 100 - 1) * length))
    most = min(length, int(2 * fill / 100 * length))
    return [length if fill == 100 else draw.randint(least, most) for _ in range(rows)]


def run_peers(name, case):
    """{peer: (median, min, max) in ms} for one case."""
    import peers
    import torch
    kind, rows, length, fill = case
    config, results = models.MODELS[name][0], {}
    with torch.inference_mode():
        model = peers.build(config, models.dtype(name))
        variants = [("eager", False), ("compiled", True)]
        for variant, compiled in variants:
            try:
                if kind == "decode":
                    results[variant] = peers.decode(model, rows, length, compiled)
                elif kind == "prefill":
                    if not compiled:
                        results[variant] = peers.prefill(model, rows, length)
                else:
                    results[variant] = peers.forward(model, row_lengths(rows, length, fill), length,
                                                     compiled)
            except Exception as error:  # a peer that fails is reported, not hidden
                print(f"{name} {kind} {variant}: {type(error).__name__}: {error}", file=sys.stderr)
            peers.release()
        del model
    peers.release()
    return results


def limit_ms(name, case, rates):
    """The least time: bytes of weights over the read rate, or operations over the matmul rate."""
    kind, rows, length, fill = case
    config = models.MODELS[name][0]
    size = {"f32": 4, "bf16": 2, "f16": 2}[models.dtype(name)]
    if kind == "decode":
        heads = config.get("num_key_value_heads", config["num_attention_heads"])
        d = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
        cache = 2 * rows * length * heads * d * config["num_hidden_layers"]
        return (models.parameters(config) + cache) * size / rates["read"] * 1e3
    return models.flops(config, row_lengths(rows, length, fill)) / rates["gemm"] * 1e3


def run(options):
    import torch
    import ceilings
    rates = {"read": ceilings.read_rate(), "gemm": ceilings.gemm_rate(torch.bfloat16),
             "upload": ceilings.upload_rate()}
    device = torch.cuda.get_device_name(0)
    print(f"{device}: read {rates['read'] / 1e12:.2f} TB/s, bf16 matmul "
          f"{rates['gemm'] / 1e12:.0f} TFLOP/s, upload {rates['upload'] / 1e9:.1f} GB/s; "
          f"torch {torch.__version__}")
    torch.cuda.empty_cache()
    report = {"device": device, "rates": rates, "cases": []}
    print(f"{'case':34} {'ingot ms':>20} {'of limit':>9}  peers: ms (ingot is so much faster)")
    for name in options.models:
        ingot, memory, seconds = run_ingot(options, name)
        packed = run_ingot(options, name, packed=True)[0] if has_packed(name) else {}
        if memory.get("driver_bytes"):
            report.setdefault("activations", {})[name] = print_memory(options, name, memory)
        for case in models.CASES[name]:
            key = case_flag(*case)[0][2:] + " " + case_flag(*case)[1]
            mine = ingot.get(key)
            theirs = run_peers(name, case) if options.peers else {}
            if key in packed:
                theirs["packed"] = packed[key]
            limit = limit_ms(name, case, rates)
            report["cases"].append({"model": name, "case": key, "ingot_ms": mine,
                                    "peers_ms": theirs, "limit_ms": limit,
                                    "load_and_bench_seconds": seconds})
            shown = f"{mine[0]:.3f} ({mine[1]:.3f}-{mine[2]:.3f})" if mine else "-"
            share = f"{limit / mine[0]:.2f}" if mine else "-"
            others = "  ".join(f"{peer} {ms[0]:.3f}" + (f" ({ms[0] / mine[0]:.2f}x)" if mine else "")
                               for peer, ms in theirs.items())
            print(f"{name + ' ' + key:34} {shown:>20} {share:>9}  {others}", flush=True)
            if options.json:
                with open(options.json, "w", encoding="utf-8") as file:
                    json.dump(report, file, indent=1)


def measure_start(options):
    import torch
    import ceilings
    import start
    link = ceilings.upload_rate()
    print(f"{torch.cuda.get_device_name(0)}: upload {link / 1e9:.1f} GB/s; seconds from the start of a process, "
          f"a prompt of {start.PROMPT_TOKENS} tokens, medians of {options.runs}", flush=True)
    torch.cuda.empty_cache()
    report = {"upload": link, "start": start.run(options, ingot_file, link)}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("compile", "run", "start"):
        sub = commands.add_parser(command)
        sub.add_argument("--out", required=True, help="folder of configs and ingots")
        sub.add_argument("--models", default=",".join(models.MODELS), help="names, with commas")
        if command == "compile":
            sub.add_argument("--bin", default="build/bin")
            sub.add_argument("--target", default="sm_90a")
        else:
            sub.add_argument("--ingot-run", default="build/bin/ingot-run")
            sub.add_argument("--json", help="write all figures there")
            sub.add_argument("--no-peers", dest="peers", action="store_false")
        if command == "start":
            sub.add_argument("--runs", type=int, default=3, help="processes of each kind [3]")
    options = parser.parse_args()
    options.models = options.models.split(",")
    for name in options.models:
        if name not in models.MODELS:
            parser.error(f"unknown model {name!r}; there are {', '.join(models.MODELS)}")
    {"compile": compile_models, "run": run, "start": measure_start}[options.command](options)


if __name__ == "__main__":
    main()
