"""From a picture to tiles, masks and the order in which the resampler reads patches: as the original does it, with Pillow."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

SIDE, PATCH = 112, 14
GRID = SIDE // PATCH
CANVASES = ((SIDE, 2 * SIDE), (2 * SIDE, SIDE), (2 * SIDE, 2 * SIDE), (3 * SIDE, SIDE), (SIDE, 3 * SIDE))


def choose_canvas(width: int, height: int) -> tuple:
    best, best_kept, best_waste = None, 0, math.inf
    for cw, ch in CANVASES:
        s = min(cw / width, ch / height)
        kept = min(int(width * s) * int(height * s), width * height)
        waste = cw * ch - kept
        if kept > best_kept or (kept == best_kept and waste < best_waste):
            best, best_kept, best_waste = (cw, ch), kept, waste
    return best


def fit_inside(width: int, height: int, cw: int, ch: int) -> tuple:
    """Width, height and offsets of the picture on its canvas."""
    sw, sh = cw / width, ch / height
    if sw < sh:
        nw, nh = cw, min(math.ceil(height * sw), ch)
    else:
        nw, nh = min(math.ceil(width * sh), cw), ch
    return nw, nh, (cw - nw) // 2, (ch - nh) // 2


def whole_tile(image: Image.Image) -> np.ndarray:
    """[S, S, 3] u8: the whole picture, squashed."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def cut_tiles(image: Image.Image) -> tuple:
    """-> tiles [n, S, S, 3] u8, the whole picture first; columns; rows; where the picture lies on the canvas."""
    cw, ch = choose_canvas(*image.size)
    fitted = fit_inside(*image.size, cw, ch)
    canvas = Image.new("RGB", (cw, ch))
    canvas.paste(image.resize(fitted[:2], Image.Resampling.BICUBIC), fitted[2:])
    pixels, columns, rows = np.asarray(canvas), cw // SIDE, ch // SIDE
    crops = [pixels[r * SIDE : (r + 1) * SIDE, c * SIDE : (c + 1) * SIDE] for r in range(rows) for c in range(columns)]
    return np.stack([whole_tile(image), *crops]), columns, rows, fitted


def patch_order(columns: int, rows: int) -> np.ndarray:
    """[n * g * g]: for every entry that the resampler reads, which patch of the tiles in their natural order it is."""
    width = columns * GRID
    i = np.arange(rows * columns * GRID * GRID)
    y, x = i // width, i % width
    crop, patch = (y // GRID) * columns + x // GRID, (y % GRID) * GRID + x % GRID
    return np.concatenate([np.arange(GRID * GRID), GRID * GRID * (1 + crop) + patch])


def patch_mask(width: int, height: int, columns: int, rows: int) -> np.ndarray:
    """[n, g * g] bool: which entries lie on the picture, from its original size; the whole picture's always do."""
    mw, mh = columns * GRID, rows * GRID
    mask = np.ones((mh, mw), dtype=bool)
    if width / height > mw / mh:
        bar = (mh - int(height * (mw / width))) // 2
        mask[:bar] = mask[mh - bar :] = False
    else:
        bar = (mw - int(width * (mh / height))) // 2
        mask[:, :bar] = mask[:, mw - bar :] = False
    runs = mask.reshape(rows * columns, GRID * GRID)
    return np.concatenate([np.ones((1, GRID * GRID), dtype=bool), runs])
