"""The benchmark's PyTorch: SigLIP so400m and xGen-MM's perceiver resampler in bf16, with random weights, one tile at a time.

python siglip.py --threads N [--passes N] prints {"version", "vision", "resample"} as JSON: milliseconds of each pass.
"""
import argparse
import json
import math
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, LAYERS, HEADS, MLP, SIDE, PATCH = 1152, 27, 16, 4304, 384, 14
GRID = SIDE // PATCH
DEPTH, LATENTS, RESAMPLER_HEADS, HEAD_SIZE, TEXT_WIDTH = 6, 128, 16, 96, 3072


def split(x, heads):
    """[batch, tokens, heads * size] to [batch, heads, tokens, size]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q, k, v, heads):
    return F.scaled_dot_product_attention(split(q, heads), split(k, heads), split(v, heads)).transpose(1, 2).flatten(2)


class TowerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-6), nn.LayerNorm(WIDTH, 1e-6)
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, MLP), nn.Linear(MLP, WIDTH)

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.out(attend(self.q(h), self.k(h), self.v(h), HEADS))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.positions = nn.Parameter(torch.empty(GRID * GRID, WIDTH))
        self.layers = nn.ModuleList(TowerLayer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, 1e-6)

    def forward(self, tile):
        x = self.patches(tile).flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class ResamplerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        inner = RESAMPLER_HEADS * HEAD_SIZE
        self.norm_media, self.norm_latents, self.norm = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.q = nn.Linear(WIDTH, inner, bias=False)
        self.kv = nn.Linear(WIDTH, 2 * inner, bias=False)
        self.out = nn.Linear(inner, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, media, z):
        latents = self.norm_latents(z)
        k, v = self.kv(torch.cat([self.norm_media(media), latents], 1)).chunk(2, -1)
        z = z + self.out(attend(self.q(latents), k, v, RESAMPLER_HEADS))
        return z + self.down(F.gelu(self.up(self.norm(z))))


class Resampler(nn.Module):
    def __init__(self):
        super().__init__()
        self.latents = nn.Parameter(torch.empty(1, LATENTS, WIDTH))
        self.layers = nn.ModuleList(ResamplerLayer() for _ in range(DEPTH))
        self.norm, self.projection = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TEXT_WIDTH)

    def forward(self, media):
        z = self.latents
        for layer in self.layers:
            z = layer(media, z)
        return self.projection(self.norm(z))


def make(module):
    """In bf16, with weights that keep the size of what they multiply."""
    with torch.device("meta"):
        built = module()
    built = built.to(torch.bfloat16).to_empty(device="cpu").eval()
    for name, values in built.named_parameters():
        if values.dim() == 1:
            values.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        else:
            values.normal_(0.0, 1 / math.sqrt(values[0].numel()))
    return built


def measure(passes, run):
    run()
    times = []
    for _ in range(passes):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="only print the version")
    options = parser.parse_args()
    result = {"version": torch.__version__}
    if not options.check:
        torch.manual_seed(1)
        torch.set_num_threads(options.threads)
        with torch.inference_mode():
            tower, resampler = make(Tower), make(Resampler)
            tile = torch.randn(1, 3, SIDE, SIDE).to(torch.bfloat16)
            media = tower(tile)
            result["vision"] = measure(options.passes, lambda: tower(tile))
            result["resample"] = measure(options.passes, lambda: resampler(media))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
