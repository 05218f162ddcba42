"""Stage 4: teaches the language model to talk about what tower and resampler see, which are frozen but for the last projection.

A training sequence is a chat about one or two pictures, with as many turns as fit, and each answer is learnt.

    python train_language.py RUN [--minutes 45]
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
import questions
from align import align
from features import MAX_TILES, Bank
from learning import learn, start
from model import RESAMPLER, TEXT, Language, angles, load_vision, rotate
from scenes import COLORS, POSITIONS, SHAPES
from tokenizer import LENGTH, Tokenizer

LONGEST, SEQUENCES = 304, 16  # of a process's batch
EMPHASIS = {"count": 4, "change": 3, "box": 0.6, "follow-up box": 0.6}  # of what is short and hard, over what is long
GAZE = 0.2  # how much it counts where the model looks
WHOLE_PICTURES = 0.5  # of the time, without the crops: chats are shorter, so more is learnt
NAMING = {word for name in (*COLORS, *SHAPES, *POSITIONS, *map(questions.plural, SHAPES), "shapes") for word in name.split()}
KINDS = (*questions.WEIGHTS, "no sign", "follow-up", "follow-up box", "which picture", "change")


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


class Gazes:
    """Teaches some heads where to look. Left to itself the model finds that out, but it takes longer than all the rest.

    In layer 0 the cells of a second picture look at those of the first, in layer 1 the end of a question at what it names, in layer 2
    one head of all of an answer at the latent that it is about, another at all that is to be counted and, the less there is, at itself.
    """

    def __init__(self, decoder: torch.nn.Module):
        self.seen = {}
        for layer in range(3):
            decoder.model["layers"][layer].self_attn["qkv_proj"].register_forward_hook(
                lambda _, __, output, layer=layer: self.seen.__setitem__(layer, output)
            )

    def _weights(self, layer: int, head: int) -> torch.Tensor:
        """[sequences, positions, positions]"""
        size, width = TEXT["width"] // TEXT["heads"], TEXT["width"]
        cos, sin = angles(LONGEST)
        q, k = (rotate(self.seen[layer][..., at : at + size], cos, sin) for at in (head * size, width + head * size))
        hidden = torch.ones(LONGEST, LONGEST, dtype=torch.bool).triu(1)
        return (q @ k.transpose(-1, -2) / size**0.5).masked_fill(hidden, -torch.inf).softmax(-1)

    def loss(self, batch: Sequence) -> torch.Tensor:
        return (
            self._at_one(self._weights(2, 0), batch.cells)
            + self._at_one(self._weights(0, 2), batch.twins)
            + self._at_names(self._weights(1, 0), batch.names)
            + self._at_counted(self._weights(2, 1), batch.cells_at, batch.counted)
        )

    @staticmethod
    def _at_one(weights: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        sequences, positions = torch.nonzero(wanted >= 0, as_tuple=True)
        if len(sequences) == 0:
            return weights.sum() * 0
        return -(weights[sequences, positions, wanted[sequences, positions]] + 1e-6).log().mean()

    @staticmethod
    def _at_names(weights: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
        sequences, positions = torch.nonzero(names[..., 0] >= 0, as_tuple=True)
        spans, at = names[sequences, positions], torch.arange(LONGEST)
        inside = (at >= spans[:, :1]) & (at < spans[:, 1:])
        return -((weights[sequences, positions] * inside).sum(-1) + 1e-6).log().mean()

    @staticmethod
    def _at_counted(weights: torch.Tensor, cells_at: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        """What counts weighs 1, the position itself 3: so what is seen tells how many there are."""
        sequences, positions = torch.nonzero(cells_at >= 0, as_tuple=True)
        if len(sequences) == 0:
            return weights.sum() * 0
        rows, wanted = weights[sequences, positions], counted[sequences, positions].float()
        cells = rows.gather(1, cells_at[sequences, positions][:, None] + torch.arange(9))
        itself = rows.gather(1, positions[:, None])
        wanted = torch.cat([wanted, torch.full((len(rows), 1), 3.0)], 1)
        wanted = wanted / wanted.sum(1, keepdim=True)
        seen = torch.cat([cells, itself], 1)
        return -(wanted * ((seen + 1e-6) / (wanted + 1e-6)).log()).sum(1).mean()


class Chats:
    def __init__(self, bank: Bank, tokenizer: Tokenizer, rng: np.random.Generator):
        self.bank, self.tokenizer, self.rng = bank, tokenizer, rng

    def one(self, most: int) -> tuple:
        bank, rng = self.bank, self.rng
        if rng.random() < 0.62:
            shown, changed = [int(rng.integers(len(bank.scenes)))], None
            turns = questions.chat(rng, bank.scenes[shown[0]], 18)
        else:
            first = bank.pairs[rng.integers(len(bank.pairs))]
            shown, changed = [first, first + 1], bank.changes[first]
            if rng.random() < 0.25:
                shown, changed = [first, int(rng.integers(len(bank.scenes)))], None
            turns = questions.pair_chat(rng, bank.scenes[shown[0]], bank.scenes[shown[1]], changed, 6)
        scenes, counts = [bank.scenes[k] for k in shown], [min(bank.counts[k], most) for k in shown]
        return shown, sequence(self.tokenizer, turns, scenes, counts)

    def batch(self, most: int) -> tuple:
        """Of each picture `most` tiles at most."""
        chats = [self.one(most) for _ in range(SEQUENCES)]
        columns = {f.name: torch.from_numpy(np.stack([getattr(c, f.name) for _, c in chats])) for f in fields(Sequence)}
        return [k for shown, _ in chats for k in shown], Sequence(**columns)


def work(rank: int, args):
    torch.manual_seed(args.seed)
    bank, tokenizer = Bank(args.run), Tokenizer(os.path.join(args.run, "tokenizer"))
    language = Language(load_vision(args.run).vision_tokenizer, LENGTH)
    if args.start:
        language = checkpoint.read(args.start)[1]
    else:
        align(language, bank, tokenizer)
    for name, parameter in language.resampler.named_parameters():
        parameter.requires_grad_(name.startswith("projection"))
    learnt = [p for p in language.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([dict(params=learnt, peak=args.rate)], weight_decay=0.02, betas=(0.9, 0.98))
    chats = Chats(bank, tokenizer, np.random.default_rng((args.seed, rank)))
    right, losses, looks = np.full(len(KINDS), math.nan), [], []
    gazes = Gazes(language.decoder)

    def save():
        torch.save(language.state_dict(), os.path.join(args.run, "language.pt"))

    def step_loss(step: int, seconds: float):
        most = 1 if seconds < 60 * args.minutes * WHOLE_PICTURES else MAX_TILES
        shown, batch = chats.batch(most)
        targets, weights = batch.targets, batch.weights
        learnt = targets != -100
        logits = language.decoder.lm_head(language(batch.ids, *bank.look(shown, most))[learnt])
        loss = (F.cross_entropy(logits, targets[learnt], reduction="none") * weights[learnt]).sum() / weights.sum()
        losses.append(loss.item())
        tally(right, logits.argmax(-1) == targets[learnt], learnt, batch.kinds, batch.numbers)
        gaze = gazes.loss(batch)
        looks.append(gaze.item())
        if rank == 0 and step % 50 == 49:
            shares = ", ".join(f"{k} {v:.3f}" for k, v in zip(KINDS, right))
            print(
                f"{seconds:6.0f} s, step {step + 1}: loss {np.mean(losses[-50:]):.4f}, gaze {np.mean(looks[-50:]):.4f}; right: {shares}",
                flush=True,
            )
            save()
        return loss + GAZE * gaze

    learn(optimizer, args.minutes, step_loss)
    if rank == 0:
        save()


def tally(right: np.ndarray, hits, learnt, kinds, numbers):
    """Keeps running shares of the answers all of whose tokens are right."""
    rows = torch.nonzero(learnt)[:, 0].numpy()
    answers = {}
    for hit, row, kind, number in zip(hits.numpy(), rows, kinds[learnt].numpy(), numbers[learnt].numpy()):
        answers[row, number, kind] = answers.get((row, number, kind), True) and bool(hit)
    for kind in range(len(right)):
        own = [ok for (_, _, k), ok in answers.items() if k == kind]
        if own:
            share = sum(own) / len(own)
            right[kind] = share if math.isnan(right[kind]) else 0.95 * right[kind] + 0.05 * share


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder in which vision.pt, the bank of features and the tokenizer lie")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--from", dest="start", help="goes on from this checkpoint")
    start(work, parser.parse_args())


if __name__ == "__main__":
    main()
