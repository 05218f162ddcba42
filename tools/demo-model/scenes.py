"""What a picture of the demo model's world shows, and how it is drawn.

A scene has up to six shapes, each in a cell of its own of a 3 x 3 grid, and perhaps a sign with a word or a number that fills one
row of that grid. All coordinates are fractions of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
COLORS = {
    "red": (214, 40, 40),
    "orange": (245, 130, 20),
    "yellow": (247, 208, 30),
    "green": (40, 150, 60),
    "blue": (35, 90, 210),
    "purple": (125, 50, 165),
    "pink": (245, 130, 190),
    "black": (25, 25, 28),
}
POSITIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
WORDS = (
    "STOP", "OPEN", "EXIT", "TAXI", "HOTEL", "BANK", "SALE", "MILK", "BUS", "PARK", "ZOO", "SHOP", "POST", "FIRE", "ROAD", "LEFT",
    "SLOW", "EAST", "NORTH", "HELP", "INFO", "PUSH", "HOME", "FREE", "MENU", "CAKE", "FISH", "BOOK", "TOYS", "GATE", "LIFT", "TEA",
)  # fmt: skip
BACKGROUNDS = (
    (255, 255, 255), (246, 242, 232), (236, 236, 238), (224, 234, 244), (228, 240, 226), (248, 232, 226), (212, 214, 218), (250, 246, 214),
)  # fmt: skip
SIGNS = (
    ((255, 255, 255), (20, 20, 20)), ((250, 214, 60), (20, 20, 20)), ((30, 70, 150), (255, 255, 255)),
    ((180, 30, 35), (255, 255, 255)), ((20, 110, 60), (255, 255, 255)), ((40, 40, 44), (255, 255, 255)),
)  # fmt: skip


@dataclass(frozen=True)
class Thing:
    shape: str
    color: str
    rgb: tuple
    cell: int
    box: tuple  # x1, y1, x2, y2

    @property
    def name(self) -> str:
        return f"{self.color} {self.shape}"

    @property
    def position(self) -> str:
        return POSITIONS[self.cell]


@dataclass(frozen=True)
class Sign:
    text: str
    row: int
    plate: tuple
    ink: tuple
    box: tuple  # of the plate
    stroke: float  # of a letter's height, added to each line's width

    @property
    def is_number(self) -> bool:
        return self.text.isdigit()

    @property
    def position(self) -> str:
        return POSITIONS[3 * self.row + 1]


@dataclass(frozen=True)
class Scene:
    width: int  # pixels
    height: int
    background: tuple
    things: tuple = ()  # in the order of their cells
    sign: Sign | None = None
    noise: float = 0.0
    seed: int = 0  # of the noise
    smooth: int = 2  # how many times finer than its pixels the picture is drawn


def random_size(rng: np.random.Generator) -> tuple:
    aspect = math.exp(rng.normal(0, 0.28))
    aspect = min(max(aspect, 0.5), 2.0)
    area = math.exp(rng.uniform(math.log(110), math.log(400)))
    return max(round(area * math.sqrt(aspect)), 64), max(round(area / math.sqrt(aspect)), 64)


def random_thing(rng: np.random.Generator, size: tuple, cell: int, shape: str, color: str) -> Thing:
    cw, ch = size[0] / 3, size[1] / 3
    side = rng.uniform(0.62, 0.94) * min(cw, ch)
    x = (cell % 3) * cw + rng.uniform(0.03, 0.97) * (cw - side)
    y = (cell // 3) * ch + rng.uniform(0.03, 0.97) * (ch - side)
    rgb = tuple(int(np.clip(v + rng.integers(-14, 15), 0, 255)) for v in COLORS[color])
    return Thing(shape, color, rgb, cell, (x / size[0], y / size[1], (x + side) / size[0], (y + side) / size[1]))


def random_sign(rng: np.random.Generator, row: int) -> Sign:
    text = str(rng.integers(10, 100)) if rng.random() < 0.4 else WORDS[rng.integers(len(WORDS))]
    width, height = rng.uniform(0.55, 0.94), rng.uniform(0.24, 0.31)
    x, y = rng.uniform(0.02, 0.98 - width), row / 3 + rng.uniform(0.005, 0.33 - height)
    plate, ink = SIGNS[rng.integers(len(SIGNS))]
    return Sign(text, row, plate, ink, (x, y, x + width, y + height), rng.choice([0.0, 0.02, 0.04]))


def random_scene(rng: np.random.Generator, distinct: bool = False, size: tuple | None = None, signs: float = 0.42) -> Scene:
    """`distinct`: no two shapes of the same name, at least one and at most five of them. `signs`: how often there is a sign."""
    size = size or random_size(rng)
    sign = random_sign(rng, int(rng.integers(3))) if rng.random() < signs else None
    cells = [c for c in range(9) if sign is None or c // 3 != sign.row]
    low, high = (1, 5) if distinct else (0 if sign else 1, 6)
    count = int(rng.integers(low, min(high, len(cells) - 1 if distinct else len(cells)) + 1))
    shapes = rng.choice(SHAPES, rng.integers(2, len(SHAPES) + 1), replace=False)
    colors = rng.choice(list(COLORS), rng.integers(2, len(COLORS) + 1), replace=False)
    things, names = [], set()
    for cell in sorted(rng.choice(cells, count, replace=False)):
        shape, color = str(rng.choice(shapes)), str(rng.choice(colors))
        while distinct and (shape, color) in names:
            shape, color = str(rng.choice(SHAPES)), str(rng.choice(list(COLORS)))
        names.add((shape, color))
        things.append(random_thing(rng, size, int(cell), shape, color))
    return Scene(
        *size, BACKGROUNDS[rng.integers(len(BACKGROUNDS))], tuple(things), sign,
        noise=float(rng.choice([0, 0, 0, 0, 4, 8])), seed=int(rng.integers(1 << 31)), smooth=int(rng.choice([1, 1, 2])),
    )  # fmt: skip


def free_cells(scene: Scene) -> list:
    taken = {t.cell for t in scene.things}
    return [c for c in range(9) if c not in taken and (scene.sign is None or c // 3 != scene.sign.row)]


def with_things(scene: Scene, things: list, rng: np.random.Generator) -> Scene:
    return replace(scene, things=tuple(sorted(things, key=lambda t: t.cell)), seed=int(rng.integers(1 << 31)))


# ---------------------------------------------------------------- drawing


def _polygons() -> dict:
    star = [
        (math.sin(k * math.pi / 5) * (1 if k % 2 == 0 else 0.42), -math.cos(k * math.pi / 5) * (1 if k % 2 == 0 else 0.42))
        for k in range(10)
    ]
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    heart = [
        (16 * math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a))) for a in angles
    ]
    third = 0.31
    cross = [
        (third, 0), (1 - third, 0), (1 - third, third), (1, third), (1, 1 - third), (1 - third, 1 - third),
        (1 - third, 1), (third, 1), (third, 1 - third), (0, 1 - third), (0, third), (third, third),
    ]  # fmt: skip
    outlines = {
        "triangle": [(0.5, 0), (1, 1), (0, 1)],
        "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
        "diamond": [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)],
        "star": star,
        "heart": heart,
        "cross": cross,
    }
    for name, points in outlines.items():
        p = np.array(points, dtype=np.float64)
        outlines[name] = (p - p.min(0)) / (p.max(0) - p.min(0))
    return outlines


_OUTLINES = _polygons()
_FONTS: dict = {}


def _font(size: int):
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Thing, width: int, height: int, background: tuple):
    x1, y1, x2, y2 = (v * s for v, s in zip(thing.box, (width, height, width, height)))
    if thing.shape in _OUTLINES:
        points = _OUTLINES[thing.shape] * (x2 - x1, y2 - y1) + (x1, y1)
        draw.polygon([tuple(p) for p in points], fill=thing.rgb)
        return
    draw.ellipse((x1, y1, x2, y2), fill=thing.rgb)
    if thing.shape == "ring":
        dx, dy = 0.26 * (x2 - x1), 0.26 * (y2 - y1)
        draw.ellipse((x1 + dx, y1 + dy, x2 - dx, y2 - dy), fill=background)


def _draw_sign(draw: ImageDraw.ImageDraw, sign: Sign, width: int, height: int) -> list:
    """Returns where each letter stands: (letter, x1, x2), fractions of the picture."""
    x1, y1, x2, y2 = (v * s for v, s in zip(sign.box, (width, height, width, height)))
    draw.rectangle((x1, y1, x2, y2), fill=sign.plate)
    probe = _font(100).getbbox(sign.text)
    size = max(int(100 * min(0.86 * (x2 - x1) / (probe[2] - probe[0]), 0.74 * (y2 - y1) / (probe[3] - probe[1]))), 4)
    font, stroke = _font(size), int(sign.stroke * size)
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    left, top, right, bottom = font.getbbox(sign.text)
    start = (middle[0] - (left + right) / 2, middle[1] - (top + bottom) / 2)
    draw.text(start, sign.text, font=font, fill=sign.ink, stroke_width=stroke, stroke_fill=sign.ink)
    edges = [start[0] + font.getlength(sign.text[:k]) for k in range(len(sign.text) + 1)]
    return [(c, edges[k] / width, edges[k + 1] / width) for k, c in enumerate(sign.text)]


def draw(scene: Scene) -> tuple:
    """-> the picture and where the letters of its sign stand."""
    width, height = scene.width * scene.smooth, scene.height * scene.smooth
    image = Image.new("RGB", (width, height), scene.background)
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw_thing(pen, thing, width, height, scene.background)
    letters = _draw_sign(pen, scene.sign, width, height) if scene.sign else []
    if scene.smooth > 1:
        image = image.reduce(scene.smooth)
    if scene.noise:
        pixels = np.asarray(image, dtype=np.int16)
        grain = np.random.default_rng(scene.seed).normal(0, scene.noise, pixels.shape[:2]).astype(np.int16)
        image = Image.fromarray(np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8))
    return image, letters
