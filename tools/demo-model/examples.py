"""The example pictures of the demo, composed by hand and drawn by scenes.py, with their questions.

python examples.py FOLDER
"""

from __future__ import annotations

import sys

import numpy as np

from draw import save, write_list
from questions import box_text
from scenes import COLORS, POSITIONS, Scene, Sign, Thing, draw

LIGHT_SIGN, YELLOW_SIGN, BLUE_SIGN, RED_SIGN = (
    ((255, 255, 255), (20, 20, 20)), ((250, 214, 60), (20, 20, 20)), ((30, 70, 150), (255, 255, 255)), ((180, 30, 35), (255, 255, 255)),
)  # fmt: skip


def thing(size: tuple, position: str, name: str, rng) -> Thing:
    color, shape = name.split()
    cell, side = POSITIONS.index(position), rng.uniform(0.72, 0.9) * min(size) / 3
    cw, ch = size[0] / 3, size[1] / 3
    x = (cell % 3) * cw + rng.uniform(0.2, 0.8) * (cw - side)
    y = (cell // 3) * ch + rng.uniform(0.2, 0.8) * (ch - side)
    return Thing(shape, color, COLORS[color], cell, (x / size[0], y / size[1], (x + side) / size[0], (y + side) / size[1]))


def scene(size: tuple, background: tuple, things: dict, sign: tuple | None = None, seed: int = 0) -> Scene:
    """things: position -> name. sign: text, row and colours."""
    placed = tuple(thing(size, p, name, np.random.default_rng((seed, POSITIONS.index(p)))) for p, name in things.items())
    board = None
    if sign:
        text, row, (plate, ink) = sign
        width = 0.62 if len(text) < 4 else 0.8
        board = Sign(text, row, plate, ink, (0.5 - width / 2, row / 3 + 0.025, 0.5 + width / 2, row / 3 + 0.305), 0.02)
    return Scene(*size, background, tuple(sorted(placed, key=lambda t: t.cell)), board)


def examples() -> list:
    """-> (what it shows, {file: scene}, [(question, answer)])"""
    white, cream, mint, sky, grey = (255, 255, 255), (246, 242, 232), (228, 240, 226), (224, 234, 244), (236, 236, 238)
    box = scene((2400, 3200), sky, {"top": "purple ring", "left": "orange diamond", "bottom right": "green heart"}, seed=4)
    table = {"top left": "green circle", "top right": "black square", "center": "red star", "bottom left": "yellow triangle"}
    return [
        ("colour", {"picnic.png": scene((640, 480), mint, {"top left": "yellow circle", "center": "red heart", "bottom right": "blue square"}, seed=1)},
         [("What color is the heart?", "red"), ("Where is it?", "center")]),
        ("shape", {"kite.webp": scene((900, 600), sky, {"top right": "orange diamond", "left": "purple cross", "bottom": "green triangle"}, seed=2)},
         [("What shape is at the top right?", "diamond"), ("And what color is it?", "orange")]),
        ("position", {"bookmark.png": scene((420, 760), cream, {"top": "blue star", "center": "pink circle", "bottom left": "black ring"}, seed=3)},
         [("Where is the black ring?", "bottom left")]),
        ("count", {"confetti.jpg": scene((1200, 900), white, {
            "top left": "red star", "top": "blue circle", "right": "red star", "left": "green square", "bottom": "red star",
            "bottom right": "yellow heart"}, seed=5)},
         [("How many stars are there?", "3"), ("How many shapes are there?", "6")]),
        ("word", {"billboard.png": scene((3200, 2000), cream, {"left": "blue circle", "bottom right": "pink heart"}, ("HOTEL", 0, RED_SIGN), seed=6)},
         [("What does the sign say?", "HOTEL"), ("What color is the heart?", "pink")]),
        ("word", {"door.jpg": scene((480, 640), grey, {"center": "orange star"}, ("42", 0, YELLOW_SIGN), seed=7)},
         [("What number is printed?", "42")]),
        ("box", {"tower.png": box},
         [("Give the bounding box of the diamond.", box_text(next(t for t in box.things if t.shape == "diamond").box))]),
        ("position", {"banner.webp": scene((1600, 900), cream, {"top left": "green cross", "bottom": "purple heart"}, ("OPEN", 1, BLUE_SIGN), seed=8)},
         [("Describe the picture.", "a green cross at the top left, a purple heart at the bottom and a sign that says OPEN")]),
        ("pair", {"shelf-before.png": scene((800, 600), white, table, seed=9),
                  "shelf-after.png": scene((800, 600), white, {k: v for k, v in table.items() if v != "black square"}, seed=9)},
         [("What has changed?", "the black square is gone")]),
        ("pair", {"card-1.webp": scene((500, 500), mint, {"top left": "red ring", "bottom right": "blue diamond"}, seed=10),
                  "card-2.webp": scene((500, 500), sky, {"top right": "yellow cross", "left": "blue diamond"}, seed=11)},
         [("Which picture has a yellow cross?", "the second")]),
    ]  # fmt: skip


def main(folder: str):
    entries = []
    for shows, pictures, turns in examples():
        for name, shown in pictures.items():
            save(folder, name, draw(shown)[0])
        entries.append(dict(pictures=list(pictures), shows=shows, turns=[dict(question=q, answer=a) for q, a in turns]))
    write_list(folder, entries)


if __name__ == "__main__":
    main(*sys.argv[1:])
