"""A chat as the language model learns it: ids, what is to be said, and where it should look meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import questions
from model import RESAMPLER
from scenes import COLORS, POSITIONS, SHAPES
from tokenizer import Tokenizer

LONGEST = 304  # positions
EMPHASIS = {"count": 4, "change": 3, "box": 4, "follow-up box": 4}  # of what is short or hard, over what is easy
KINDS = (*questions.WEIGHTS, "no sign", "follow-up", "follow-up box", "which picture", "change")
NAMING = {word for name in (*COLORS, *SHAPES, *POSITIONS, *map(questions.plural, SHAPES), "shapes") for word in name.split()}


@dataclass
class Sequence:
    """What a position is, what is learnt there and where it should look; -1 or -100 where there is nothing."""

    ids: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    kinds: np.ndarray  # of the answer
    numbers: np.ndarray  # of the turn
    cells: np.ndarray  # the position of the latent that the answer is about
    names: np.ndarray  # [LONGEST, 2] where the question says what it is about, from and to
    cells_at: np.ndarray  # where something is to be counted, the position of the first cell's latent
    counted: np.ndarray  # [LONGEST, 9] which cells count
    twins: np.ndarray  # of a second picture's cells, the positions of the first one's


def sequence(tokenizer: Tokenizer, turns: list, scenes: list, counts: list) -> Sequence:
    lengths = [int(n) * RESAMPLER["latents"] for n in counts]
    ids = tokenizer.opening()
    pictures = [len(ids) + 1 + sum(n + 1 for n in lengths[:k]) for k in range(len(lengths))]
    none = np.full(LONGEST, -1)
    out = Sequence(
        none, np.full(LONGEST, -100), np.zeros(LONGEST, np.float32), none.copy(), none.copy(), none.copy(),
        np.full((LONGEST, 2), -1), none.copy(), np.zeros((LONGEST, 9), bool), none.copy(),
    )  # fmt: skip
    if len(pictures) == 2:
        out.twins[pictures[1] : pictures[1] + 9] = np.arange(9) + pictures[0]
    for number, turn in enumerate(turns):
        asked = tokenizer.question(turn.question, lengths if number == 0 else [])
        answer = [*tokenizer.text(turn.answer), tokenizer.end]
        if len(ids) + len(asked) + len(answer) > LONGEST:
            break
        ids += asked
        here = slice(len(ids) - 1, len(ids) - 1 + len(answer))
        if turn.focus or turn.counted is not None:
            out.names[here.start] = named(tokenizer, asked, len(ids) - len(asked))
        if turn.counted is not None:
            out.cells_at[here.start] = pictures[0]
            out.counted[here.start, list(turn.counted)] = True
        out.targets[here], out.weights[here] = answer, EMPHASIS.get(turn.kind, 1) * len(answer) ** -0.5
        out.kinds[here], out.numbers[here] = KINDS.index(turn.kind), number
        if turn.kind == "describe":
            for start, end, cell in described(tokenizer, scenes[0], turn.answer):
                out.cells[here.start + start : here.start + end] = pictures[0] + cell
        elif turn.focus:
            out.cells[here] = pictures[turn.picture] + turn.focus.cell
        ids += answer
    out.ids = np.array(ids + [0] * (LONGEST - len(ids)))
    return out


def described(tokenizer: Tokenizer, scene, text: str) -> list:
    """-> from which token to which the answer is about which cell."""
    spans, at = [], 0
    for thing in scene.things:
        end = text.index(f"at the {thing.position}", at) + len(f"at the {thing.position}")
        spans.append((len(tokenizer.text(text[:at])), len(tokenizer.text(text[:end])), thing.cell))
        at = end
    return spans


def named(tokenizer: Tokenizer, asked: list, start: int) -> tuple:
    """-> the positions from the first to behind the last word that names a colour, a shape or a place."""
    where = [k for k, i in enumerate(asked) if tokenizer.piece(i).lstrip("\u2581") in NAMING]
    return (start + where[0], start + where[-1] + 1) if where else (-1, -1)
