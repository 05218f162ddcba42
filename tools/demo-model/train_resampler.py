"""Stage 3: the resampler alone, now with the crops, over the frozen tower.

The latents of the whole-picture tile go on learning what they did in stage 1. Those of the crops' runs learn to be different: they must
not claim to see something in a cell of the picture, since a run cannot know where in the picture it lies.

    python train_resampler.py RUN [--minutes 6]
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import torch

from features import Bank
from learning import learn, start
from model import load_vision
from train_vision import Heads, latent_losses, scene_labels

SCENES = 32  # of a process's batch


def work(rank: int, args):
    torch.manual_seed(args.seed)
    bank, path = Bank(args.run), os.path.join(args.run, "vision.pt")
    vision, heads = load_vision(args.run), Heads()
    heads.load_state_dict(torch.load(path)["heads"])
    parameters = [*vision.vision_tokenizer.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW([dict(params=parameters, peak=args.rate)], weight_decay=0.02, betas=(0.9, 0.98))
    rng, seen = np.random.default_rng((args.seed, rank)), {}

    def step_loss(step: int, seconds: float):
        shown = rng.integers(len(bank.scenes), size=SCENES)
        latents = vision.vision_tokenizer(*bank.look(shown))
        whole = torch.from_numpy(np.cumsum([0, *bank.counts[shown][:-1]]))
        labels = [scene_labels(bank.scenes[k]) for k in shown]
        labels = {k: torch.from_numpy(np.stack([label[k] for label in labels])) for k in labels[0]}
        loss, right = latent_losses(heads, latents[whole], labels)
        runs = torch.ones(len(latents), dtype=torch.bool)
        runs[whole] = False
        blank, right["blank"] = blank_loss(heads, latents[runs])
        loss = loss + blank
        for name, share in {"loss": loss.item(), **right}.items():
            seen[name] = 0.95 * seen.get(name, share) + 0.05 * share
        if rank == 0 and step % 50 == 49:
            print(f"{seconds:6.0f} s, step {step + 1}: {', '.join(f'{k} {v:.3f}' for k, v in seen.items())}", flush=True)
        return loss

    learn(optimizer, args.minutes, step_loss)
    if rank == 0:
        torch.save(dict(vision=vision.state_dict(), heads=heads.state_dict()), path)


def blank_loss(heads: Heads, latents: torch.Tensor) -> tuple:
    """No shape in any cell and no sign, the classes 0; -> also the share of cells that say so."""
    cells = heads.shape_of(latents[:, :9]).flatten(0, 1)
    nothing = torch.zeros(len(cells), dtype=torch.long)
    words = heads.word(latents[:, 9])
    loss = torch.nn.functional.cross_entropy(cells, nothing) + torch.nn.functional.cross_entropy(words, nothing[: len(words)])
    return loss, (cells.argmax(-1) == 0).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder in which vision.pt and the bank of features lie")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--rate", type=float, default=7e-4)
    start(work, parser.parse_args())


if __name__ == "__main__":
    main()
