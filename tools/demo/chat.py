#!/usr/bin/env python3
"""Continues prompts with a compiled language model, all of them as one batch.

    chat.py [--chat] MODEL_FOLDER FILE.ingot PROMPT …

--chat puts each prompt into the turn format of SmolLM2-Instruct. Decoding is greedy.
"""
import argparse
import json
import os
import subprocess

from tokenizers import Tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHAT = ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("ingot")
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--chat", action="store_true")
    parser.add_argument("--max-new-tokens", type=int, default=48)
    parser.add_argument("--tool", default=os.path.join(ROOT, "build", "bin", "ingot"))
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(os.path.join(arguments.model, "tokenizer.json"))
    command = [arguments.tool, "generate", arguments.ingot, "--json", "--temperature", "0",
               "--max-new-tokens", str(arguments.max_new_tokens)]
    for prompt in arguments.prompts:
        text = CHAT.format(prompt) if arguments.chat else prompt
        command += ["--ids", ",".join(map(str, tokenizer.encode(text).ids))]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for prompt, row in zip(arguments.prompts, result["sequences"]):
        answer = tokenizer.decode(row["tokens"], skip_special_tokens=True)
        print(f"\n> {prompt}\n{answer if arguments.chat else prompt + answer}")
    print()


if __name__ == "__main__":
    main()
