"""Teaches some of the language model's heads where to look. Left to itself it finds that out, but it takes longer than all the rest."""

from __future__ import annotations

import torch

from model import TEXT, angles, rotate
from sequences import KINDS, LONGEST, Sequence

BOXES = torch.tensor([k for k, kind in enumerate(KINDS) if kind.endswith("box")])


class Gazes:
    """In layer 0 the cells of a second picture look at those of the first, in layer 1 the end of a question at what it names, in layer 2
    one head of all of an answer at the latent that it is about, another at all that is to be counted and, the less there is, at itself;
    in layer 3 two heads of a bounding box at that latent once more: half of what one head carries is taken up by shape and colour.
    """

    def __init__(self, decoder: torch.nn.Module):
        self.seen = {}
        for layer in range(4):
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
        boxes = torch.where(torch.isin(batch.kinds, BOXES), batch.cells, -1)
        return (
            self._at_one(self._weights(2, 0), batch.cells)
            + self._at_one(self._weights(3, 0), boxes)
            + self._at_one(self._weights(3, 1), boxes)
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
