"""The vocabulary, trained on the demo's own questions and answers, and prompts as ids: as the slow Llama tokenizer makes them."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import sentencepiece

import questions
from scenes import random_scene

PIECES = 600
PHI_TOKENS = (  # text, whether it swallows the whitespace after it
    ("<|endoftext|>", False), ("<|assistant|>", True), ("<|placeholder1|>", True), ("<|placeholder2|>", True),
    ("<|placeholder3|>", True), ("<|placeholder4|>", True), ("<|system|>", True), ("<|end|>", True),
    ("<|placeholder5|>", True), ("<|placeholder6|>", True), ("<|user|>", True), ("<pad>", False),
)  # fmt: skip
LENGTH = PIECES + len(PHI_TOKENS)  # `initial_tokenizer_len`
IMAGE = LENGTH  # <image>; <image placeholder> and <|endofchunk|> follow


def corpus(count: int):
    rng = np.random.default_rng(0)
    yield "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789 .,?!<>/"  # so that each has a piece
    for _ in range(count):
        scene = random_scene(rng, distinct=True)
        changed, text = questions.change(rng, scene)
        yield questions.SYSTEM
        for turn in questions.chat(rng, scene, 8) + questions.pair_chat(rng, scene, changed, text, 3):
            yield turn.question
            yield turn.answer


def train(folder: str):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(3000), model_writer=model, model_type="bpe", vocab_size=PIECES, byte_fallback=True,
        character_coverage=1.0, split_digits=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, minloglevel=2,
    )  # fmt: skip
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
        file.write(model.getvalue())

    def entry(text: str, rstrip: bool, special: bool = True) -> dict:
        return dict(content=text, lstrip=False, normalized=False, rstrip=rstrip, single_word=False, special=special)

    def write(name: str, value: dict):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")

    decoder = {"0": entry("<unk>", False), "1": entry("<s>", False), "2": entry("</s>", True, False)}
    decoder |= {str(PIECES + k): entry(*token) for k, token in enumerate(PHI_TOKENS)}
    named = dict(bos_token="<s>", eos_token="<|endoftext|>", pad_token="<pad>", unk_token="<unk>")
    write("added_tokens.json", {text: PIECES + k for k, (text, _) in enumerate(PHI_TOKENS)})
    write("special_tokens_map.json", named)
    write("tokenizer_config.json", dict(
        add_bos_token=False, add_eos_token=False, added_tokens_decoder=decoder, **named, clean_up_tokenization_spaces=False,
        legacy=False, model_max_length=2048, tokenizer_class="LlamaTokenizer", use_default_system_prompt=False,
    ))  # fmt: skip


class Tokenizer:
    def __init__(self, folder: str):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer.model"))
        self.special = {text: PIECES + k for k, (text, _) in enumerate(PHI_TOKENS)}
        self.end = self.special["<|end|>"]

    def text(self, text: str) -> list:
        return self.pieces.encode(text)

    def piece(self, token: int) -> str:
        """Empty for added tokens."""
        return self.pieces.id_to_piece(token) if token < PIECES else ""

    def opening(self) -> list:
        """What every chat begins with; newlines after chat tokens are swallowed."""
        return [*self.text("\u2581"), self.special["<|system|>"], *self.text(questions.SYSTEM), self.end]

    def question(self, text: str, image_lengths: list) -> list:
        """`<image>` once per embedding; a newline follows each picture."""
        ids = [self.special["<|user|>"]]
        for length in image_lengths:
            ids += [IMAGE] * length + self.text("\n")
        if image_lengths:  # the newline and the question are one text to the tokenizer
            ids = ids[: -len(self.text("\n"))] + self.text("\n" + text)
        else:
            ids += self.text(text)
        return [*ids, self.end, self.special["<|assistant|>"]]

    def decode(self, ids: list) -> str:
        return self.pieces.decode([i for i in ids if i < PIECES])


if __name__ == "__main__":
    import sys

    train(sys.argv[1])
