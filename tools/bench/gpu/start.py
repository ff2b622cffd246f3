"""From the start of a process to the loaded model and to the first token of a prompt, with weights in a folder
that the page cache holds: `ingot-run generate` beside the reference library.

    start.py peer FOLDER --tokens N --began SECONDS     what the harness runs for the latter
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import models

PROMPT_TOKENS = 512


def write_checkpoint(name, root):
    """The model's folder with random weights as the reference library stores them; returns its path."""
    import peers
    folder = os.path.join(root, name + ".weights")
    if not os.path.exists(os.path.join(folder, "config.json")):
        model = peers.build(models.MODELS[name][0], models.dtype(name))
        model.save_pretrained(folder)
        del model
        peers.release()
    return folder


def read_all(folder):
    """Every file into the page cache; returns the bytes of weights."""
    total = 0
    for entry in os.scandir(folder):
        with open(entry.path, "rb", buffering=0) as file:
            while file.readinto(BUFFER):
                pass
        total += entry.stat().st_size if entry.name.endswith(".safetensors") else 0
    return total


BUFFER = bytearray(16 << 20)


def run_process(command):
    """The JSON that a process prints last, and the seconds until it had ended."""
    begin = time.monotonic()
    done = subprocess.run([*command, "--began", str(begin)] if "peer" in command else command,
                          capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1]), seconds


def run_ingot(options, file, weights, prompt):
    """{"loaded", "first_token", "ended", stages} in seconds, each the median of some processes."""
    command = [options.ingot_run, "generate", file, *(["--weights", weights] if weights else []), "--ids", "@" + prompt,
               "--max-new-tokens", "1", "--greedy", "--ignore-eos", "--json"]
    results = []
    for _ in range(options.runs):
        report, seconds = run_process(command)
        results.append({"loaded": report["load"]["seconds"], "first_token": report["stats"]["first_token_seconds"],
                        "ended": seconds, **report["load"]["stages"]})
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def run_peer(options, folder):
    command = [sys.executable, os.path.abspath(__file__), "peer", folder, "--tokens", str(PROMPT_TOKENS)]
    results = []
    for _ in range(options.runs):
        report, seconds = run_process(command)
        results.append({**report, "ended": seconds})
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def show(label, times, bytes_=0, link=0):
    line = (f"{label:34} loaded {times['loaded']:6.2f}  first token {times['first_token']:6.2f}  "
            f"ended {times['ended']:6.2f} s")
    if bytes_ and "weights" in times:
        rate = bytes_ / times["weights"]
        line += f"  weights {rate / 1e9:.1f} GB/s ({100 * rate / link:.0f} % of the link)"
    stages = [key for key in times if key not in ("loaded", "first_token", "ended")]
    print(line + "\n" + " " * 35 + "  ".join(f"{key} {times[key]:.3f}" for key in stages), flush=True)


def run(options, ingot_file, link, out):
    """All models with a generation loop: {model: {source: times}} in the report, as they come."""
    prompt = os.path.join(options.out, "prompt.txt")
    with open(prompt, "w", encoding="utf-8") as file:
        file.write(",".join(str(3 + i * 37 % 30000) for i in range(PROMPT_TOKENS)) + "\n")
    results = out.data["start"] = {}
    for name in options.models:
        if models.CASES[name][0][0] == "forward":
            continue
        try:
            folder = write_checkpoint(name, options.out)
            bytes_ = read_all(folder)
        except Exception as failure:
            out.fail(f"{name} checkpoint", failure)
            continue
        results[name] = {"bytes": bytes_}
        file = ingot_file(options, name)
        ways = {"--weights FOLDER": lambda: run_ingot(options, file, folder, prompt),
                "--weights random:1": lambda: run_ingot(options, file, "random:1", prompt),
                "transformers": lambda: run_peer(options, folder)}
        for way, work in ways.items():
            if way == "transformers" and not options.peers:
                continue
            try:
                results[name][way] = work()
                show(f"{name} {way}", results[name][way], *((bytes_, link) if "FOLDER" in way else ()))
            except Exception as failure:
                out.fail(f"{name} {way}", failure)
            out.write()


def peer(options):
    """The reference library in a process of its own: seconds since `began`."""
    times = {}
    import torch
    import transformers
    times["imports"] = time.monotonic() - options.began
    with torch.inference_mode():
        model = transformers.AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.bfloat16,
                                                                  device_map="cuda")
        torch.cuda.synchronize()
        times["loaded"] = time.monotonic() - options.began
        ids = torch.tensor([[3 + i * 37 % 30000 for i in range(options.tokens)]], device="cuda")
        model(input_ids=ids, use_cache=True, logits_to_keep=1).logits.argmax(-1).item()
        times["first_token"] = time.monotonic() - options.began
    print(json.dumps(times))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["peer"])
    parser.add_argument("folder")
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--began", type=float, required=True)
    peer(parser.parse_args())
