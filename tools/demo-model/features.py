"""Stage 2: what the frozen tower sees of many scenes, computed once, so that the language model can learn from large batches.

python features.py RUN [--scenes 64000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import time

import numpy as np
import torch

import preprocess as pp
import questions
from model import VISION, Vision, load_vision
from scenes import draw, random_scene

MAX_TILES = 5


def encode(vision: Vision, scenes: list) -> tuple:
    """-> features as the resampler reads them [scenes, MAX_TILES, g * g, width] f16, masks, numbers of tiles."""
    patches = pp.GRID * pp.GRID
    features = torch.zeros(len(scenes), MAX_TILES, patches, VISION["width"], dtype=torch.float16)
    masks = np.zeros((len(scenes), MAX_TILES, patches), dtype=bool)
    counts = np.zeros(len(scenes), dtype=np.int64)
    cut = [pp.cut_tiles(draw(scene)[0]) for scene in scenes]
    with torch.no_grad():
        seen = vision.vision_encoder(torch.from_numpy(np.concatenate([c[0] for c in cut])))
    start = 0
    for k, (scene, (tiles, columns, rows, _)) in enumerate(zip(scenes, cut)):
        n = len(tiles)
        order = torch.from_numpy(pp.patch_order(columns, rows))
        features[k, :n] = seen[start : start + n].flatten(0, 1)[order].unflatten(0, (n, patches)).half()
        masks[k, :n] = pp.patch_mask(scene.width, scene.height, columns, rows)
        counts[k] = n
        start += n
    return features, torch.from_numpy(masks), torch.from_numpy(counts)


def random_bank(rng: np.random.Generator, count: int) -> tuple:
    """-> scenes, and for pairs what has changed from one to the next: {index of the first: text}. Three quarters of the scenes are in pairs."""
    scenes, changes = [random_scene(rng) for _ in range(count // 4)], {}
    while len(scenes) < count:
        first = random_scene(rng, distinct=True)
        second, changes[len(scenes)] = questions.change(rng, first)
        scenes += [first, second]
    return scenes, changes


def work(job: tuple):
    run, seed, part, count = job
    torch.set_num_threads(1)
    vision = load_vision(run)
    scenes, changes = random_bank(np.random.default_rng((seed, part)), count)
    encoded = [encode(vision, scenes[k : k + 16]) for k in range(0, count, 16)]
    features, masks, counts = (torch.cat(column) for column in zip(*encoded))
    path = os.path.join(run, f"bank-{part}")
    np.save(path + ".npy", features.numpy())
    with open(path + ".pickle", "wb") as file:
        pickle.dump((scenes, changes, masks.numpy(), counts.numpy()), file)


class Bank:
    """All parts, features mapped from their files."""

    def __init__(self, run: str):
        self.scenes, self.changes, self.features, masks, counts, self.starts = [], {}, [], [], [], []
        while os.path.exists(path := os.path.join(run, f"bank-{len(self.features)}.npy")):
            with open(path[:-3] + "pickle", "rb") as file:
                scenes, changes, mask, count = pickle.load(file)
            self.starts.append(len(self.scenes))
            self.changes |= {len(self.scenes) + k: text for k, text in changes.items()}
            self.scenes += scenes
            self.features.append(np.load(path, mmap_mode="r"))
            masks.append(mask)
            counts.append(count)
        self.masks, self.counts = np.concatenate(masks), np.concatenate(counts)
        self.pairs = sorted(self.changes)

    def look(self, indices, most: int = MAX_TILES) -> tuple:
        """-> features [tiles, g * g, width] of the scenes one after another, masks [tiles, g * g]; of each `most` tiles at most."""
        features, masks = [], []
        for k in indices:
            part, count = int(np.searchsorted(self.starts, k, side="right")) - 1, min(self.counts[k], most)
            features.append(torch.from_numpy(self.features[part][k - self.starts[part], :count].astype(np.float32)))
            masks.append(self.masks[k, :count])
        return torch.cat(features), torch.from_numpy(np.concatenate(masks))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder in which vision.pt lies")
    parser.add_argument("--scenes", type=int, default=64000)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    parts, start = 16, time.time()
    jobs = [(args.run, args.seed, part, args.scenes // parts) for part in range(parts)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for done, _ in enumerate(pool.imap_unordered(work, jobs)):
            print(f"{time.time() - start:6.0f} s: {done + 1} of {parts} parts", flush=True)


if __name__ == "__main__":
    main()
