"""xGen-MM's three parts at toy size. Parameters have the official checkpoints' names; shapes are [batch, tokens, width]."""

from __future__ import annotations

import os

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preprocess import GRID, PATCH

VISION = dict(width=128, heads=4, mlp=256, layers=4)
RESAMPLER = dict(latents=16, heads=4, head_size=32, layers=2)
TEXT = dict(width=256, heads=4, mlp=512, layers=4, window=511, theta=10000.0)


def split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def join(x: Tensor) -> Tensor:
    return x.transpose(-3, -2).flatten(-2)


class TowerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        width, mlp = VISION["width"], VISION["mlp"]
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.self_attn = nn.ModuleDict({n: nn.Linear(width, width) for n in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, mlp), "fc2": nn.Linear(mlp, width)})

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer_norm1(x)
        q, k, v = (split(self.self_attn[n](h), VISION["heads"]) for n in ("q_proj", "k_proj", "v_proj"))
        x = x + self.self_attn["out_proj"](join(F.scaled_dot_product_attention(q, k, v)))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](F.gelu(h, approximate="tanh"))


class Tower(nn.Module):
    """SigLIP's vision tower: pixels [n, S, S, 3] u8 -> [n, g * g, width]."""

    def __init__(self):
        super().__init__()
        width = VISION["width"]
        self.embeddings = nn.ModuleDict(
            {"patch_embedding": nn.Conv2d(3, width, PATCH, PATCH), "position_embedding": nn.Embedding(GRID * GRID, width)}
        )
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(TowerLayer() for _ in range(VISION["layers"]))})
        self.post_layernorm = nn.LayerNorm(width, 1e-6)

    def forward(self, pixels: Tensor) -> Tensor:
        n, kernel = pixels.shape[0], self.embeddings["patch_embedding"]
        x = pixels.float() / 255.0
        x = ((x - 0.5) / 0.5).reshape(n, GRID, PATCH, GRID, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, GRID * GRID, -1)
        x = F.linear(x, kernel.weight.flatten(1), kernel.bias) + self.embeddings["position_embedding"].weight
        for layer in self.encoder["layers"]:
            x = layer(x)
        return self.post_layernorm(x)


class PerceiverAttention(nn.Module):
    def __init__(self):
        super().__init__()
        width, inner = VISION["width"], RESAMPLER["heads"] * RESAMPLER["head_size"]
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, media: Tensor, latents: Tensor, visible: Tensor | None) -> Tensor:
        heads = RESAMPLER["heads"]
        latents = self.norm_latents(latents)
        k, v = self.to_kv(torch.cat([self.norm_media(media), latents], 1)).chunk(2, -1)
        q, k, v = (split(t, heads) for t in (self.to_q(latents), k, v))
        return self.to_out(join(F.scaled_dot_product_attention(q, k, v, attn_mask=visible)))


class Resampler(nn.Module):
    """Perceiver resampler: features [n, g * g, width] and which of them count [n, g * g] -> latents [n, latents, vision width]."""

    def __init__(self):
        super().__init__()
        width = VISION["width"]
        self.latents = nn.Parameter(torch.randn(RESAMPLER["latents"], width) * 0.5)

        def mlp():
            return nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
            )

        self.layers = nn.ModuleList(nn.ModuleList([PerceiverAttention(), mlp()]) for _ in range(RESAMPLER["layers"]))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, TEXT["width"])

    def forward(self, media: Tensor, mask: Tensor | None = None) -> Tensor:
        """What `projection` takes to the language model's width."""
        x, visible = self.latents.expand(media.shape[0], -1, -1), None
        if mask is not None:
            visible = F.pad(mask, (0, x.shape[1]), value=True)[:, None, None]
        for attention, mlp in self.layers:
            x = x + attention(media, x, visible)
            x = x + mlp(x)
        return self.norm(x)


class RMSNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)


class DecoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        width, mlp = TEXT["width"], TEXT["mlp"]
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(width), RMSNorm(width)
        self.self_attn = nn.ModuleDict(
            {"qkv_proj": nn.Linear(width, 3 * width, bias=False), "o_proj": nn.Linear(width, width, bias=False)}
        )
        self.mlp = nn.ModuleDict(
            {"gate_up_proj": nn.Linear(width, 2 * mlp, bias=False), "down_proj": nn.Linear(mlp, width, bias=False)}
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (split(t, TEXT["heads"]) for t in self.self_attn["qkv_proj"](self.input_layernorm(x)).chunk(3, -1))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        x = x + self.self_attn["o_proj"](join(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        gate, up = self.mlp["gate_up_proj"](self.post_attention_layernorm(x)).chunk(2, -1)
        return x + self.mlp["down_proj"](up * F.silu(gate))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def angles(positions: int) -> tuple:
    size = TEXT["width"] // TEXT["heads"]
    inverse = 1.0 / TEXT["theta"] ** (torch.arange(0, size, 2).float() / size)
    angle = torch.arange(positions).float()[:, None] * inverse
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


class Decoder(nn.Module):
    """phi-3: ids or embeddings -> hidden states. Only for sequences that fit the window, so that the mask is causal and no more."""

    def __init__(self, vocabulary: int):
        super().__init__()
        width = TEXT["width"]
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(vocabulary, width),
                "layers": nn.ModuleList(DecoderLayer() for _ in range(TEXT["layers"])),
                "norm": RMSNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary)

    def embed(self, ids: Tensor) -> Tensor:
        return self.model["embed_tokens"](ids)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] > TEXT["window"]:
            raise ValueError(f"{x.shape[1]} positions are more than the window's {TEXT['window']}")
        cos, sin = angles(x.shape[1])
        for layer in self.model["layers"]:
            x = layer(x, cos, sin)
        return self.model["norm"](x)


def initialise(module: nn.Module):
    for m in module.modules():
        if isinstance(m, (nn.Linear, nn.Embedding, nn.Conv2d)):
            nn.init.normal_(m.weight, std=0.02 if isinstance(m, nn.Embedding) else 0.7 / m.weight[0].numel() ** 0.5)
            if getattr(m, "bias", None) is not None:
                nn.init.zeros_(m.bias)


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision_encoder, self.vision_tokenizer = Tower(), Resampler()
        initialise(self)


def load_vision(run: str) -> Vision:
    vision = Vision()
    vision.load_state_dict(torch.load(os.path.join(run, "vision.pt"))["vision"])
    return vision.eval()


class Language(nn.Module):
    """The resampler and what follows it. `length`: the tokenizer's, the id of <image>; the three tokens of pictures come on top."""

    def __init__(self, resampler: Resampler, length: int):
        super().__init__()
        self.resampler, self.decoder, self.image = resampler, Decoder(length + 3), length
        initialise(self.decoder)

    def forward(self, ids: Tensor, features: Tensor, masks: Tensor) -> Tensor:
        """-> hidden states; the pictures' embeddings stand where `ids` is <image>."""
        shown = self.resampler.projection(self.resampler(features, masks))
        x = self.decoder.embed(ids)
        x = x.masked_scatter((ids == self.image)[..., None], shown.flatten(0, 1))
        return self.decoder(x)
