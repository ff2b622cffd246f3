#!/usr/bin/env python3
"""Embeds a padded batch of sentences with a compiled sentence encoder and compares them.

    embed.py MODEL_FOLDER FILE.ingot [SENTENCE …]
"""
import argparse
import os
import subprocess
import tempfile

import numpy as np
from tokenizers import Tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SENTENCES = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The girl is carrying a baby through the park on a warm summer afternoon.",
    "A cheetah is running behind its prey.",
    "The wild cat chases an antelope.",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("ingot")
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    parser.add_argument("--tool", default=os.path.join(ROOT, "build", "bin", "ingot"))
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(os.path.join(arguments.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_padding()  # to the longest sentence
    batch = tokenizer.encode_batch(arguments.sentences)
    with tempfile.TemporaryDirectory() as work:
        path = lambda name: os.path.join(work, name + ".npy")
        np.save(path("ids"), np.array([row.ids for row in batch], np.int32))
        np.save(path("mask"), np.array([row.attention_mask for row in batch], np.int32))
        subprocess.run([arguments.tool, "run", arguments.ingot,
                        "--input", f"input_ids=@{path('ids')}",
                        "--input", f"attention_mask=@{path('mask')}",
                        "--output", f"sentence_embedding=@{path('out')}"],
                       check=True, stdout=subprocess.DEVNULL)
        embeddings = np.load(path("out"))

    print(f"{embeddings.shape[0]} embeddings of {embeddings.shape[1]} numbers, from rows of "
          f"{', '.join(str(sum(row.attention_mask)) for row in batch)} tokens")
    for sentence, vector in zip(arguments.sentences, embeddings):
        numbers = " ".join(f"{x:+.4f}" for x in vector[:6])
        print(f"  [{numbers} …]  {sentence}")
    print("\nCosine similarities:")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for sentence, row in zip(arguments.sentences, unit @ unit.T):
        print("  " + " ".join(f"{x:+.3f}" for x in row) + f"  {sentence}")


if __name__ == "__main__":
    main()
