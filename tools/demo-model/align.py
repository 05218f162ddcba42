"""How the language model begins: its embeddings of pictures and of words share one space, and some of its heads look for their like.

A token "star" and the latent of a cell that holds a star would otherwise be strangers, and to learn that they belong together takes longer
than all the rest. So the projection begins as the linear map that turns a latent best into the sum of the embeddings of what its cell
holds, and half of the first two layers' heads begin with equal queries and keys.
"""

from __future__ import annotations

import torch

from features import Bank
from model import RESAMPLER, TEXT, Language
from scenes import POSITIONS
from tokenizer import Tokenizer

SCENES = 1500
EMBEDDING, HEAD, MATCH = 0.5, 0.1, 1.6


def align(language: Language, bank: Bank, tokenizer: Tokenizer):
    with torch.no_grad():
        decoder = language.decoder
        embedding = decoder.model["embed_tokens"].weight.normal_(std=EMBEDDING)
        decoder.lm_head.weight.copy_(HEAD * embedding)
        for layer in decoder.model["layers"]:
            for out in (layer.self_attn["o_proj"], layer.mlp["down_proj"]):
                out.weight.mul_((2 * TEXT["layers"]) ** -0.5)
        for layer in decoder.model["layers"][:2]:
            match_heads(layer.self_attn["qkv_proj"].weight)
        latents, wanted = [], []
        for k in range(SCENES):
            features, masks = bank.look([k])
            latents.append(language.resampler(features[:2], masks[:2]).flatten(0, 1))
            wanted.append(meaning(bank.scenes[k], embedding, tokenizer))
        x = torch.cat([torch.cat(latents), torch.ones(2 * RESAMPLER["latents"] * SCENES, 1)], 1).double()
        y = torch.cat(wanted).double()
        solution = torch.linalg.solve(x.T @ x + 1e-2 * len(x) * torch.eye(x.shape[1]), x.T @ y).float()
        projection = language.resampler.projection
        projection.weight.mul_(0.5).add_(solution[:-1].T)
        projection.bias.copy_(solution[-1])


def match_heads(qkv: torch.Tensor):
    """Equal queries and keys in two heads, where the rotation is slow enough not to part them."""
    width, size = TEXT["width"], TEXT["width"] // TEXT["heads"]
    for head in range(2):
        for half in range(2):
            rows = torch.arange(18, size // 2) + head * size + half * size // 2
            qkv[rows] *= MATCH
            qkv[width + rows] = qkv[rows]


def meaning(scene, embedding: torch.Tensor, tokenizer: Tokenizer) -> torch.Tensor:
    """What the latents of the whole-picture tile and of one run are to become: [2 * latents, width]."""
    rows = torch.zeros(2 * RESAMPLER["latents"], embedding.shape[1])

    def words(row: int, *texts: str):
        for text in texts:
            for form in (text, "\u2581" + text):
                rows[row] += embedding[tokenizer.text(form)].mean(0) / 2

    for cell, position in enumerate(POSITIONS):
        words(cell, position)
    for thing in scene.things:
        words(thing.cell, thing.color, thing.shape)
    if scene.sign:
        words(9, scene.sign.text, "sign")
        for k, digit in enumerate(scene.sign.text if scene.sign.is_number else ""):
            words(10 + k, digit)
    return rows
