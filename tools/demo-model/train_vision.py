"""Stage 1: teaches the tower and the resampler to see.

The tower's patches learn what lies under them. The resampler's latents learn what the whole-picture tile shows: latent c what is in
cell c of the 3 x 3 grid, latents 9 to 11 what the sign says. The heads that are asked are thrown away afterwards.

    python train_vision.py RUN [--minutes 40]
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import checkpoint
import preprocess as pp
from learning import learn, start
from model import VISION, Vision
from scenes import COLORS, SHAPES, WORDS, draw, random_scene, random_sign, random_size

NONE = -100  # what cross entropy leaves out
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
COLOR_NAMES = tuple(COLORS)
WHOLE, CROPS, SHEETS = 26, 6, 7  # tiles in a process's batch
G = pp.GRID
LABELS = ("kind", "color", "box", "letter", "text")


class PatchLabels:
    """What lies under each patch of a tile: `kind` (none, shape, sign), `color`, `box` in tile sides, `letter`, and of a
    sign that is on the tile as a whole its `text`: the word, or that it is a number, and the digits of a number."""

    def __init__(self):
        self.kind = np.zeros((G, G), np.int64)
        self.color = np.full((G, G), NONE, np.int64)
        self.box = np.zeros((G, G, 4), np.float32)
        self.letter = np.full((G, G), NONE, np.int64)
        self.text = np.full((G, G, 3), NONE, np.int64)

    def mark(self, box, kind: int, color: int):
        """The patches whose centre lies in the box, given in tile sides, or at least the one under its middle."""
        clipped = np.clip(box, 0, 1)
        if clipped[2] - clipped[0] < 0.03 or clipped[3] - clipped[1] < 0.03:
            return None
        rows, columns = (self._span(clipped[k], clipped[k + 2]) for k in (1, 0))
        self.kind[rows, columns], self.color[rows, columns] = kind, color
        self.box[rows, columns] = clipped
        return rows, columns

    def write(self, letters, top: float, bottom: float):
        for letter, left, right in letters:
            if right > 0 and left < 1 and bottom > 0 and top < 1:
                rows, columns = self._span(max(top, 0), min(bottom, 1)), self._span(max(left, 0), min(right, 1))
                self.letter[rows, columns] = LETTERS.index(letter)

    @staticmethod
    def _span(low: float, high: float) -> slice:
        first, last = math.ceil(low * G - 0.5), math.ceil(high * G - 0.5)
        if last <= first:
            first = min(int((low + high) / 2 * G), G - 1)
            last = first + 1
        return slice(max(first, 0), last)


def patch_labels(scene, letters, view) -> PatchLabels:
    """view: x and y scale and offset from fractions of the picture to tile sides."""
    sx, sy, ox, oy = view
    labels = PatchLabels()

    def on_tile(box):
        return np.array([box[0] * sx + ox, box[1] * sy + oy, box[2] * sx + ox, box[3] * sy + oy])

    if scene.sign:
        box = on_tile(scene.sign.box)
        patches = labels.mark(box, 1 + len(SHAPES), NONE)
        if patches and box.min() > -0.02 and box.max() < 1.02:
            labels.text[patches] = sign_text(scene.sign)
        height = box[3] - box[1]
        labels.write([(c, a * sx + ox, b * sx + ox) for c, a, b in letters], box[1] + 0.2 * height, box[3] - 0.2 * height)
    for thing in scene.things:
        labels.mark(on_tile(thing.box), 1 + SHAPES.index(thing.shape), COLOR_NAMES.index(thing.color))
    return labels


def sign_text(sign) -> list:
    """The word's number, or one more for a number, then the digits of a number."""
    return [len(WORDS), *(int(c) for c in sign.text)] if sign.is_number else [WORDS.index(sign.text), NONE, NONE]


def sheet(rng) -> tuple:
    """A picture with a sign in each row, for reading practice; whole, as a tile."""
    size, labels = random_size(rng), PatchLabels()
    image = Image.new("RGB", size)
    for row in range(3):
        scene = replace(random_scene(rng, size=size, signs=0), things=(), sign=random_sign(rng, row))
        drawn, letters = draw(scene)
        top, bottom = round(row * size[1] / 3), round((row + 1) * size[1] / 3)
        image.paste(drawn.crop((0, top, size[0], bottom)), (0, top))
        own = patch_labels(scene, letters, (1, 1, 0, 0))
        for name in LABELS:
            there = own.kind > 0 if name != "letter" else own.letter != NONE
            getattr(labels, name)[there] = getattr(own, name)[there]
    return pp.whole_tile(image), labels


def scene_labels(scene) -> dict:
    """What the latents of the whole-picture tile are to know."""
    shape, color = np.zeros(9, np.int64), np.full(9, NONE, np.int64)
    tens, units = np.full((9, 4), NONE, np.int64), np.full((9, 4), NONE, np.int64)
    for thing in scene.things:
        shape[thing.cell], color[thing.cell] = 1 + SHAPES.index(thing.shape), COLOR_NAMES.index(thing.color)
        hundredths = np.clip(np.round(np.array(thing.box) * 100).astype(np.int64), 0, 99)
        tens[thing.cell], units[thing.cell] = hundredths // 10, hundredths % 10
    sign = scene.sign
    word, *digits = sign_text(sign) if sign else (-1, NONE, NONE)
    row = 3 if sign is None else sign.row
    return dict(
        shape=shape, color=color, tens=tens, units=units, word=np.int64(1 + word), digits=np.array(digits), row=np.int64(row)
    )


def batch(rng) -> tuple:
    tiles, patches, scenes, crops = [], [], [], []
    while len(tiles) < WHOLE:
        scene = random_scene(rng, signs=0.6)
        image, letters = draw(scene)
        tiles.append(pp.whole_tile(image))
        patches.append(patch_labels(scene, letters, (1, 1, 0, 0)))
        scenes.append(scene_labels(scene))
        if len(crops) < CROPS:
            cut, columns, rows, (nw, nh, px, py) = pp.cut_tiles(image)
            k = int(rng.integers(columns * rows))
            row, column = divmod(k, columns)
            view = (nw / pp.SIDE, nh / pp.SIDE, px / pp.SIDE - column, py / pp.SIDE - row)
            crops.append((cut[1 + k], patch_labels(scene, letters, view)))
    for tile, labels in crops + [sheet(rng) for _ in range(SHEETS)]:
        tiles.append(tile)
        patches.append(labels)
    stacked = {k: torch.from_numpy(np.stack([getattr(p, k).reshape(G * G, -1) for p in patches])) for k in LABELS}
    whole = {k: torch.from_numpy(np.stack([s[k] for s in scenes])) for k in scenes[0]}
    return torch.from_numpy(np.stack(tiles)), stacked, whole


PATCH_HEADS = [2 + len(SHAPES), len(COLORS), 4, len(LETTERS), 1 + len(WORDS), 10, 10]


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        width = VISION["width"]
        self.patch = nn.Linear(width, sum(PATCH_HEADS))
        self.cell = nn.Linear(width, 1 + len(SHAPES) + len(COLORS) + 80)
        self.word = nn.Linear(width, 2 + len(WORDS))
        self.digits = nn.Linear(width, 10)
        self.row = nn.Linear(width, 4)

    def shape_of(self, latents):
        return self.cell(latents)[..., : 1 + len(SHAPES)]


def classes(right: dict, name: str, logits, target):
    """Cross entropy; notes in `right` what share of the answers is right."""
    logits, target = logits.flatten(0, -2), target.flatten()
    known = target != NONE
    if not bool(known.any()):
        return logits.sum() * 0
    right[name] = (logits.argmax(-1) == target)[known].float().mean().item()
    return F.cross_entropy(logits, target, ignore_index=NONE)


def patch_losses(heads: Heads, features, patches) -> tuple:
    """-> total, and what share of the answers is right, by kind."""
    kind, color, box, letter, word, *digits = heads.patch(features).split(PATCH_HEADS, -1)
    text, right = patches["text"].unbind(-1), {}
    loss = classes(right, "patch kind", kind, patches["kind"]) + 0.5 * classes(right, "patch color", color, patches["color"])
    loss = loss + 0.5 * classes(right, "letter", letter, patches["letter"]) + 0.5 * classes(right, "patch word", word, text[0])
    loss = loss + 0.25 * sum(classes(right, f"patch digit {k}", digits[k], text[1 + k]) for k in (0, 1))
    on = (patches["kind"] > 0).float()
    return loss + (F.smooth_l1_loss(box, patches["box"], reduction="none", beta=0.02) * on).sum() / on.sum(), right


def latent_losses(heads: Heads, latents, whole) -> tuple:
    """The same for the latents of whole-picture tiles."""
    shape, color, digits = heads.cell(latents[:, :9]).split([1 + len(SHAPES), len(COLORS), 80], -1)
    (tens, units), right = digits.unflatten(-1, (2, 4, 10)).unbind(-3), {}
    loss = classes(right, "shape", shape, whole["shape"]) + classes(right, "color", color, whole["color"])
    loss = loss + 0.7 * classes(right, "tens", tens, whole["tens"]) + 0.3 * classes(right, "units", units, whole["units"])
    loss = loss + classes(right, "word", heads.word(latents[:, 9]), whole["word"])
    loss = loss + 0.3 * classes(right, "row", heads.row(latents[:, 9]), whole["row"])
    return loss + classes(right, "digits", heads.digits(latents[:, 10:12]), whole["digits"]), right


def losses(vision: Vision, heads: Heads, tiles, patches, whole) -> tuple:
    features = vision.vision_encoder(tiles)
    on_patches, right = patch_losses(heads, features, patches)
    on_latents, more = latent_losses(heads, vision.vision_tokenizer(features[: whole["word"].shape[0]]), whole)
    return on_patches + on_latents, right | more


def work(rank: int, args):
    torch.manual_seed(args.seed)
    vision, heads = Vision(), Heads()
    if args.start:
        vision = checkpoint.read(args.start)[0].train()
    parameters = [*vision.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW([dict(params=parameters, peak=args.rate)], weight_decay=0.02, betas=(0.9, 0.98))
    rng, seen = np.random.default_rng((args.seed, rank)), {}

    def save():
        torch.save(dict(vision=vision.state_dict(), heads=heads.state_dict()), os.path.join(args.run, "vision.pt"))

    def step_loss(step: int, seconds: float):
        loss, right = losses(vision, heads, *batch(rng))
        for name, share in {"loss": loss.item(), **right}.items():
            seen[name] = 0.98 * seen.get(name, share) + 0.02 * share
        if rank == 0 and step % 100 == 99:
            print(f"{seconds:6.0f} s, step {step + 1}: {', '.join(f'{k} {v:.3f}' for k, v in seen.items())}", flush=True)
            save()
        return loss

    learn(optimizer, args.minutes, step_loss)
    if rank == 0:
        save()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder for what is learnt")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--from", dest="start", help="goes on from this checkpoint")
    args = parser.parse_args()
    os.makedirs(args.run, exist_ok=True)
    start(work, args)


if __name__ == "__main__":
    main()
