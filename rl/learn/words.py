"""What is asked and answered, and its tokens: whole phrases of the answer's format, one token a number."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from rl.learn.scenes import COLOURS, FPS, IDS, PAIRS, SHAPES, SIDE, Figure

END, VIDEO = "<|im_end|>", "<|video_pad|>"
_SPECIAL = ("<|endoftext|>", "<|im_start|>", END, "<|vision_start|>", "<|vision_end|>", VIDEO, "<|image_pad|>")
_PHRASES = ("user\n", "assistant\n", "the ", " ", "<think>", "</think>", "<answer>", "</answer>")
_FIELDS = ("Target ID: ", "Box: [", "] to [", "], ", ", ", "Time range: ", " to ")
_TIMES = tuple(f"{n / FPS:.1f}" for n in range(2 * PAIRS + 1))
TOKENS = (*_SPECIAL, *_PHRASES, *_FIELDS, *COLOURS, *SHAPES, *_TIMES, *map(str, range(max(SIDE, IDS) + 1)))
NUMBER = {token: number for number, token in enumerate(TOKENS)}
TOKENS_A_PAIR = (SIDE // 28) ** 2


def tokenizer() -> Any:
    """Hugging Face's tokenizer of these tokens; what it decodes is what was encoded."""
    t: Any = import_module("tokenizers")
    tokenizer = t.Tokenizer(t.models.WordLevel(NUMBER, unk_token=_SPECIAL[0]))
    longest_first = "|".join(re.escape(token) for token in sorted(TOKENS, key=len, reverse=True))
    tokenizer.pre_tokenizer = t.pre_tokenizers.Split(t.Regex(longest_first), "isolated")
    tokenizer.decoder = t.decoders.Fuse()
    return tokenizer


def prompt(figure: Figure, pairs: int) -> str:
    """A sentence and the clip, as figure 5 has the order, without its instructions: this model knows but one task."""
    video = f"<|vision_start|>{VIDEO * (TOKENS_A_PAIR * pairs)}<|vision_end|>"
    return f"<|im_start|>user\nthe {figure.colour} {figure.shape}{video}{END}<|im_start|>assistant\n"


def follow_up(figure: Figure) -> str:
    """A further sentence about the same clip."""
    return f"<|im_start|>user\nthe {figure.colour} {figure.shape}{END}<|im_start|>assistant\n"


def with_id(object_id: int, span_s: tuple[float, float]) -> str:
    """The paper's answer, with an empty thought."""
    return f"<think></think><answer>Target ID: {object_id}, {_time(span_s)}</answer>"


def with_boxes(first: tuple[float, ...], last: tuple[float, ...], span_s: tuple[float, float]) -> str:
    """The same in coordinates: the box on the first and on the last frame of the span, pixels."""
    corners = " to ".join("[" + ", ".join(str(round(side)) for side in box) + "]" for box in (first, last))
    return f"<think></think><answer>Box: {corners}, {_time(span_s)}</answer>"


def _time(span_s: tuple[float, float]) -> str:
    return f"Time range: {span_s[0]:.1f} to {span_s[1]:.1f}"
