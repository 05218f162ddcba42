"""The training program's own forward pass, in f32 from a checkpoint: greedy answers to a folder's questions, as token ids.

python answer.py CHECKPOINT FOLDER      writes FOLDER/tokens.json and prints what is right
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import torch
from PIL import Image

import preprocess as pp
from checkpoint import read
from tokenizer import IMAGE, Tokenizer

MAX_TOKENS = 60


class Answerer:
    def __init__(self, folder: str):
        self.vision, self.language = read(folder)
        self.tokenizer = Tokenizer(folder)

    def look(self, path: str) -> torch.Tensor:
        """-> the picture's embeddings, [tiles * latents, width]."""
        with Image.open(path) as image:
            image = image.convert("RGB")
        tiles, columns, rows, _ = pp.cut_tiles(image)
        order = torch.from_numpy(pp.patch_order(columns, rows))
        mask = torch.from_numpy(pp.patch_mask(*image.size, columns, rows))
        features = self.vision.vision_encoder(torch.from_numpy(tiles)).flatten(0, 1)[order].unflatten(0, (len(tiles), -1))
        return self.language.resampler.projection(self.language.resampler(features, mask)).flatten(0, 1)

    def chat(self, paths: list, questions: list) -> list:
        """-> the ids of each answer, without the one that ends it."""
        shown = [self.look(path) for path in paths]
        decoder, ids, answers = self.language.decoder, self.tokenizer.opening(), []
        for number, question in enumerate(questions):
            ids = ids + self.tokenizer.question(question, [len(s) for s in shown] if number == 0 else [])
            answer = []
            while len(answer) < MAX_TOKENS:
                row = torch.tensor(ids + answer)
                x = decoder.embed(row)
                x[row == IMAGE] = torch.cat(shown)
                following = int(decoder.lm_head(decoder(x[None])[0, -1]).argmax())
                if following == self.tokenizer.end:
                    break
                answer.append(following)
            ids = ids + answer + [self.tokenizer.end]
            answers.append(answer)
        return answers


def main(checkpoint: str, folder: str):
    torch.set_grad_enabled(False)
    answerer = Answerer(checkpoint)
    with open(os.path.join(folder, "scenes.json")) as file:
        entries = json.load(file)
    tokens, right = [], {}
    for entry in entries:
        paths = [os.path.join(folder, name) for name in entry["pictures"]]
        tokens.append(answerer.chat(paths, [turn["question"] for turn in entry["turns"]]))
        for turn, ids in zip(entry["turns"], tokens[-1]):
            text = answerer.tokenizer.decode(ids)
            right.setdefault(entry["shows"], []).append(text == turn["answer"])
            if text != turn["answer"] and entry["shows"] != "box":
                print(entry["pictures"], turn["question"], "expected", turn["answer"], "received", text)
    for shows, hits in right.items():
        print(f"{shows}: {np.mean(hits):.3f} of {len(hits)}")
    with open(os.path.join(folder, "tokens.json"), "w") as file:
        json.dump(tokens, file)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
