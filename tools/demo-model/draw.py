"""Draws held-out scenes with questions into a folder, for scoring.

python draw.py FOLDER [--count 500] [--seed 20261125]
"""

from __future__ import annotations

import argparse
import json
import os
import re

import numpy as np

import questions
from scenes import draw, random_scene

# One turn in so many is asked for; `pair` entries have two pictures.
SHOWN = ("color", "shape", "position", "count", "word", "box", "follow-up", "pair")
NAMES = {"color": "colour"}  # how scenes.json spells the kinds


def turn_dict(turn) -> dict:
    return dict(question=turn.question, answer=turn.answer)


def entry(rng: np.random.Generator, shows: str) -> tuple:
    """-> scenes and turns of an entry that shows this."""
    while True:
        if shows == "pair":
            first = random_scene(rng, distinct=True)
            if rng.random() < 0.5:
                second, text = questions.change(rng, first)
                return [first, second], [questions.ask_change(rng, text, first, second)]
            second = random_scene(rng, distinct=True)
            turn = questions.which_picture(rng, first, second)
            if turn:
                return [first, second], [turn]
            continue
        scene = random_scene(rng)
        if shows == "follow-up":
            kind = str(rng.choice(["color", "shape", "position"]))
            turn = questions.ask(rng, scene, kind)
            if turn:
                again = questions.follow_up(rng, turn.focus, kind)
                if again.kind == "follow-up":
                    return [scene], [turn, again]
            continue
        turn = questions.ask(rng, scene, shows)
        if turn and turn.kind == shows:
            return [scene], [turn]


def save(folder: str, name: str, image) -> str:
    os.makedirs(folder, exist_ok=True)
    options = dict(quality=92) if name.endswith((".jpg", ".webp")) else dict(optimize=True)
    image.save(os.path.join(folder, name), **options)
    return name


def write_list(folder: str, entries: list):
    """As biome formats it, which checks the list of the demo."""
    text = json.dumps(entries, indent=2)
    text = re.sub(r'(?<="pictures": )\[[^]]*]', lambda names: json.dumps(json.loads(names[0])), text)
    with open(os.path.join(folder, "scenes.json"), "w") as file:
        file.write(text + "\n")


def heldout(folder: str, count: int, seed: int):
    entries = []
    for k in range(count):
        rng = np.random.default_rng((seed, k))
        shows = SHOWN[k % len(SHOWN)]
        scenes, turns = entry(rng, shows)
        # Grain is large as PNG.
        names = [f"{k:03}{'ab'[n] if len(scenes) > 1 else ''}.{'jpg' if s.noise else 'png'}" for n, s in enumerate(scenes)]
        pictures = [save(folder, name, draw(scene)[0]) for name, scene in zip(names, scenes)]
        entries.append(dict(pictures=pictures, shows=NAMES.get(shows, shows), turns=[turn_dict(t) for t in turns]))
    write_list(folder, entries)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261125, help="no seed that anything was trained with")
    args = parser.parse_args()
    heldout(args.folder, args.count, args.seed)


if __name__ == "__main__":
    main()
