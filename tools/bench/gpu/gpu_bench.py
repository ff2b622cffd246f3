#!/usr/bin/env python3
"""Ingot beside PyTorch on one GPU, in one run: random weights at real sizes. README.md says how to read the figures.

    gpu_bench.py compile --bin build/bin --out DIR [--target sm_90a]
        writes each model's config and compiles it without weights; needs no GPU
    gpu_bench.py run --out DIR --ingot-run build/bin/ingot-run [--json FILE]
        measures the ceilings first, then whole models with Ingot and its peers
    gpu_bench.py kernels --compile --bin build/bin --out DIR [--target sm_90a]
        compiles one layer of each model; needs no GPU
    gpu_bench.py kernels --out DIR --ingot-run build/bin/ingot-run [--json FILE] [--list]
        measures the ceilings first, then single kernels beside cuBLASLt and cuDNN; --list says which, without a GPU
    gpu_bench.py start --out DIR --ingot-run build/bin/ingot-run [--json FILE]
        writes checkpoints of random weights, then times processes that load them and make a first token
    gpu_bench.py compare OLD.json NEW.json
        prints what got slower or faster by more than the spread; exit code 1 if anything got slower
    gpu_bench.py plot FILE.json... -o DIR
        draws roofline and step times as SVG and PNG; needs matplotlib

run, kernels and start need PyTorch and Triton, run and start transformers, too. --models NAMES (with commas) and
--only PARTS leave cases out. Exit codes are those of ingot; 1 where a case or a peer failed, the others measured.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare
import kernel_cases
import kernels
import models
import report
import whole_models

PYTORCH = f"{sys.executable} -m pip install torch transformers"


def need_gpu(*packages):
    for package in ("torch", "triton", *packages):
        report.need(package, PYTORCH)
    import torch
    if not torch.cuda.is_available():
        raise report.Failure("PyTorch finds no CUDA device; `nvidia-smi` lists those there are", 7)


def run_models(options):
    need_gpu("transformers")
    return whole_models.run(options)


def run_kernels(options):
    if options.compile:
        return kernels.compile_all(options)
    if options.list:
        return kernels.show_cases(options)
    need_gpu()
    return kernels.run(options)


def run_start(options):
    need_gpu("transformers")
    report.need_program(options.ingot_run, "--ingot-run")
    import ceilings
    import start
    out = report.Report("start", options.json, report.machine())
    out.data["rates"] = ceilings.rates()
    link = out.data["rates"]["upload"]
    print(f"{out.data['machine']['device']}: upload {link / 1e9:.1f} GB/s; seconds from the start of a process, "
          f"a prompt of {start.PROMPT_TOKENS} tokens, medians of {options.runs}", flush=True)
    start.run(options, whole_models.ingot_file, link, out)
    return out.end()


def run_compare(options):
    lines, slower = compare.compare(report.read(options.old), report.read(options.new))
    print("\n".join(lines))
    return 1 if slower else 0


def run_plot(options):
    report.need("matplotlib", f"{sys.executable} -m pip install matplotlib")
    import plots
    stems = [os.path.splitext(os.path.basename(path))[0] for path in options.files]
    if len(set(stems)) != len(stems):
        raise report.Failure("two files of one name would be drawn into the same plots; draw them into two folders", 2)
    for path, stem in zip(options.files, stems):
        print("\n".join(plots.draw(report.read(path), options.output, stem)))


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, action in (("compile", whole_models.compile_all), ("run", run_models), ("kernels", run_kernels),
                            ("start", run_start)):
        names = list(kernel_cases.CONFIGS if command == "kernels" else models.MODELS)
        sub = commands.add_parser(command)
        sub.set_defaults(action=action, names=names)
        sub.add_argument("--out", required=True, help="folder of configs and ingots")
        sub.add_argument("--models", default=",".join(names), help=f"names, with commas [{','.join(names)}]")
        if command in ("compile", "kernels"):
            sub.add_argument("--bin", default="build/bin", help="folder of ingot, to compile [build/bin]")
            sub.add_argument("--target", default="sm_90a", help="of ingot compile [sm_90a]")
        if command != "compile":
            sub.add_argument("--ingot-run", default="build/bin/ingot-run")
            sub.add_argument("--json", help="write all figures there, as they come")
        if command in ("run", "start"):
            sub.add_argument("--no-peers", dest="peers", action="store_false")
        if command in ("run", "kernels"):
            sub.add_argument("--only", default="", help="cases whose names have one of these parts, with commas")
        if command == "kernels":
            sub.add_argument("--compile", action="store_true", help="write the ingots")
            sub.add_argument("--list", action="store_true", help="print the cases and their kernels")
            sub.add_argument("--rounds", type=int, default=15, help="times of each, in turn [15]")
            sub.add_argument("--rest", type=float, default=0.002, help="seconds in front of each [0.002]")
            sub.add_argument("--seconds", type=float, default=0, help="begin no case after that long")
        if command == "start":
            sub.add_argument("--runs", type=int, default=3, help="processes of each kind [3]")
    sub = commands.add_parser("compare")
    sub.set_defaults(action=run_compare)
    sub.add_argument("old")
    sub.add_argument("new")
    sub = commands.add_parser("plot")
    sub.set_defaults(action=run_plot)
    sub.add_argument("files", nargs="+", metavar="FILE.json")
    sub.add_argument("-o", "--output", required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    if "models" in options:
        options.models = options.models.split(",")
        for name in options.models:
            if name not in options.names:
                parser.error(f"unknown model {name!r}; there are {', '.join(options.names)}")
    return options


def main():
    options = parse()
    try:
        return options.action(options) or 0
    except report.Failure as failure:
        print(f"gpu_bench.py: error: {failure}", file=sys.stderr)
        return failure.code


if __name__ == "__main__":
    sys.exit(main())
