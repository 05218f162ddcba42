"""Stage 4: teaches the language model to talk about what tower and resampler see, which are frozen but for the last projection.

A training sequence is a chat about one or two pictures, with as many turns as fit, and each answer is learnt.

    python train_language.py RUN [--minutes 45]
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import fields

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
import questions
from align import align
from features import MAX_TILES, Bank
from gazes import Gazes
from learning import learn, start
from model import Language, load_vision
from sequences import KINDS, Sequence, sequence
from tokenizer import LENGTH, Tokenizer

SEQUENCES = 16  # of a process's batch
GAZE = 0.2  # how much it counts where the model looks
WHOLE_PICTURES = 0.5  # of the time, without the crops: chats are shorter, so more is learnt


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
