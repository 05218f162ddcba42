"""What is learnt, in the official repositories' layout (f16), and back.

python checkpoint.py RUN FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

import preprocess as pp
import tokenizer
from model import RESAMPLER, TEXT, VISION, Language, Vision, load_vision

FILE = "model.safetensors"
TABLES = {  # ours: the official pair; the last three rows are kept apart there
    "lang_model.model.embed_tokens.weight": ("weight", "additional_embedding.weight"),
    "lang_model.lm_head.weight": ("weight", "additional_fc.weight"),
    "lang_model.lm_head.bias": ("bias", "additional_fc.bias"),
}


def config() -> dict:
    grids = [list(canvas) for canvas in pp.CANVASES]
    return {
        "architectures": ["XGenMMModelForConditionalGeneration"],
        "model_type": "xgenmm",
        "torch_dtype": "float16",
        "text_config": {
            "model_type": "phi3", "torch_dtype": "float16", "initial_tokenizer_len": tokenizer.LENGTH, "vocab_size": tokenizer.LENGTH,
            "hidden_size": TEXT["width"], "intermediate_size": TEXT["mlp"], "num_hidden_layers": TEXT["layers"],
            "num_attention_heads": TEXT["heads"], "num_key_value_heads": TEXT["heads"], "sliding_window": TEXT["window"],
            "max_position_embeddings": 2048, "original_max_position_embeddings": 2048, "rope_theta": TEXT["theta"], "rope_scaling": None,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False,
            "bos_token_id": 1, "eos_token_id": tokenizer.PIECES, "pad_token_id": tokenizer.LENGTH - 1,
        },
        "vision_encoder_config": {
            "model_type": "xgenmm_vision_encoder", "anyres_patch_sampling": True, "image_aspect_ratio": "anyres", "anyres_grids": grids,
            "hidden_act": "gelu_pytorch_tanh", "num_channels": 3, "hidden_size": VISION["width"], "num_hidden_layers": VISION["layers"],
            "num_attention_heads": VISION["heads"], "intermediate_size": VISION["mlp"], "image_size": pp.SIDE, "patch_size": pp.PATCH,
            "layer_norm_eps": 1e-6,
        },
        "vision_tokenizer_config": {
            "model_type": "xgenmm_vision_tokenizer", "vis_feature_dim": VISION["width"], "lang_embedding_dim": TEXT["width"],
            "image_aspect_ratio": "anyres", "num_vis_tokens": RESAMPLER["latents"], "depth": RESAMPLER["layers"],
            "num_heads": RESAMPLER["heads"], "dim_head": RESAMPLER["head_size"],
        },
    }  # fmt: skip


def official(vision, language) -> dict:
    tensors = {f"vision_encoder.{k}": v for k, v in vision.vision_encoder.state_dict().items()}
    tensors |= {f"vision_tokenizer.{k}": v for k, v in language.resampler.state_dict().items()}
    tensors |= {f"lang_model.{k}": v for k, v in language.decoder.state_dict().items()}
    for name, (main, extra) in TABLES.items():
        table, stem = tensors.pop(name), name[: name.rindex(".") + 1]
        tensors[stem + main], tensors[stem + extra] = table[: tokenizer.LENGTH], table[tokenizer.LENGTH :]
    return {f"vlm.{k}": v.half().contiguous().clone() for k, v in tensors.items()}


def write(run: str, folder: str):
    vision = load_vision(run)
    language = Language(vision.vision_tokenizer, tokenizer.LENGTH)
    language.load_state_dict(torch.load(os.path.join(run, "language.pt")))
    tensors = official(vision, language)
    os.makedirs(folder, exist_ok=True)
    shutil.copytree(os.path.join(run, "tokenizer"), folder, dirs_exist_ok=True)
    save_file(tensors, os.path.join(folder, FILE), metadata={"format": "pt"})
    os.chmod(os.path.join(folder, FILE), 0o644)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    grids = config()["vision_encoder_config"]["anyres_grids"]
    files = {
        "config.json": config(),
        "generation_config.json": dict(bos_token_id=1, eos_token_id=tokenizer.PIECES, pad_token_id=tokenizer.LENGTH - 1),
        "preprocessor_config.json": dict(
            image_processor_type="Blip3ImageProcessor", do_resize=True, resize_mode="squash", interpolation_mode="bicubic",
            size=[pp.SIDE, pp.SIDE], grids=grids, image_mean=[0.5] * 3, image_std=[0.5] * 3,
        ),
        "model.safetensors.index.json": dict(metadata=dict(total_size=size), weight_map={k: FILE for k in sorted(tensors)}),
    }  # fmt: skip
    for name, value in files.items():
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
    print(f"{len(tensors)} tensors, {size // 2} parameters, {size} bytes in {folder}")


def read(folder: str) -> tuple:
    """-> tower, and the resampler with the language model; f32, with the checkpoint's f16 values."""
    tensors = {k.removeprefix("vlm."): v.float() for k, v in load_file(os.path.join(folder, FILE)).items()}
    for name, (main, extra) in TABLES.items():
        stem = name[: name.rindex(".") + 1]
        tensors[name] = torch.cat([tensors.pop(stem + main), tensors.pop(stem + extra)])
    vision = Vision()
    language = Language(vision.vision_tokenizer, tokenizer.LENGTH)

    def part(prefix: str) -> dict:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    vision.vision_encoder.load_state_dict(part("vision_encoder."))
    language.resampler.load_state_dict(part("vision_tokenizer."))
    language.decoder.load_state_dict(part("lang_model."))
    return vision.eval(), language.eval()


if __name__ == "__main__":
    write(*sys.argv[1:])
