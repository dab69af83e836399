"""Tiny vision-language models of the real classes, generated in seconds without a download: model, tokenizer, processor.

Their weights are random and their answers meaningless, but they load and run exactly as the real models do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rl.prompts.templates import prompts
from storage.folders.files import atomic_folder, hash8

_VERSION = 1
"""Raised when the code gives other models."""
_HIDDEN = 64
_VOCABULARY = 512
_RANGE = 0.1
"""Standard deviation of random weights, large enough for greedy decoding to give the same tokens on every machine."""
_QWEN_VISION: Mapping[str, Any] = {
    "depth": 2,
    "hidden_size": _HIDDEN,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": _HIDDEN,
    "initializer_range": _RANGE,
}
_QWEN_TOKENS = (
    *(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|object_ref_start|>",
        "<|object_ref_end|>",
        "<|box_start|>",
        "<|box_end|>",
    ),
    *(
        "<|quad_start|>",
        "<|quad_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ),
)
_INTERNVL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
_TEMPLATE = (
    "{%- for turn in messages -%}<|im_start|>{{ turn.role }}\n"
    "{%- if turn.content is string -%}{{ turn.content }}{%- else -%}"
    "{%- for part in turn.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}"
    "{%- elif part.type in ('video', 'video_url') -%}VIDEO"
    "{%- else -%}IMAGE{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{% endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{% endif -%}"
)
_QWEN_MEDIA = ("<|vision_start|><|video_pad|><|vision_end|>", "<|vision_start|><|image_pad|><|vision_end|>")
_INTERNVL_MEDIA = ("<video>\n", "<IMG_CONTEXT>\n")


@dataclass(frozen=True)
class _Family:
    tokens: tuple[str, ...]
    media: tuple[str, str]
    build: Callable[[Any, dict[str, int]], tuple[Any, Any]]


def make_tiny(folder: Path, family: str = "qwen2.5-vl", seed: int = 0) -> Path:
    """Generate a tiny model and save it, as a whole or not at all; the same seed gives the same bytes.

    Args:
        folder: Folder of the new model; a model that is there already is kept.
        family: `qwen2.5-vl`, `qwen3-vl` or `internvl3`.
        seed: Seed of the random weights.
    """
    import torch

    if (folder / "config.json").is_file():
        return folder
    chosen = _FAMILIES[family]
    tokenizer = _tokenizer(chosen)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in chosen.tokens}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = chosen.build(tokenizer, ids)
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    generation = import_module("transformers").GenerationConfig
    model.generation_config = generation(eos_token_id=ends, pad_token_id=ids["<|endoftext|>"])
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    return folder


def tiny_version() -> str:
    """Hash of everything that shapes generated models: this code's version, and the prompts that tokenizers are trained on."""
    return hash8([_VERSION, [prompt.text for prompt in prompts().values()]])


def _tokenizer(family: _Family) -> Any:
    """A byte-level BPE trained on the project's own prompts, with the family's special tokens."""
    t: Any = import_module("transformers")
    tokenizers: Any = import_module("tokenizers")
    splits = tokenizers.pre_tokenizers
    words = tokenizers.Tokenizer(tokenizers.models.BPE())
    words.pre_tokenizer = splits.Sequence([splits.Digits(individual_digits=True), splits.ByteLevel(add_prefix_space=False)])
    words.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(splits.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=_VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    words.train_from_iterator([prompt.text for prompt in prompts().values()], trainer)
    words.add_special_tokens(list(family.tokens))
    options = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "model_max_length": 32768, "padding_side": "left"}
    video, image = family.media
    template = _TEMPLATE.replace("VIDEO", "{{ " + repr(video) + " }}").replace("IMAGE", "{{ " + repr(image) + " }}")
    if "<video>" in family.tokens:
        named = {"start_image_token": "<img>", "end_image_token": "</img>"}
        named |= {"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
        tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=words, extra_special_tokens=named, **options)
    else:
        tokenizer = t.Qwen2TokenizerFast(tokenizer_object=words, unk_token=None, bos_token=None, **options)
    tokenizer.chat_template = template
    return tokenizer


def _text(ids: Mapping[str, int], sections: list[int]) -> dict[str, Any]:
    """Configuration of a decoder with two layers; `sections` are those of its rotary positions."""
    return {
        "vocab_size": -(-(_VOCABULARY + len(ids)) // 64) * 64,
        "hidden_size": _HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": _HIDDEN // 2,
        "max_position_embeddings": 32768,
        "initializer_range": _RANGE,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections},
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _qwen_ids(ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def _qwen25(tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    t: Any = import_module("transformers")

    text = {key: value for key, value in _text(ids, [4, 6, 6]).items() if key != "head_dim"}
    vision = {**_QWEN_VISION, "fullatt_block_indexes": [1], "tokens_per_second": 2}
    config = t.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_ids(ids))
    image, video = t.Qwen2VLImageProcessor(), t.Qwen2VLVideoProcessor()
    processor = t.Qwen2_5_VLProcessor(image, tokenizer, video, chat_template=tokenizer.chat_template)
    return t.Qwen2_5_VLForConditionalGeneration(config).eval(), processor


def _qwen3(tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    t: Any = import_module("transformers")

    text = _text(ids, [4, 6, 6])
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**_QWEN_VISION, "deepstack_visual_indexes": [0]}
    config = t.Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_ids(ids))
    image, video = t.Qwen2VLImageProcessor(patch_size=16), t.Qwen3VLVideoProcessor()
    processor = t.Qwen3VLProcessor(image, tokenizer, video, chat_template=tokenizer.chat_template)
    return t.Qwen3VLForConditionalGeneration(config).eval(), processor


def _internvl(tokenizer: Any, ids: dict[str, int]) -> tuple[Any, Any]:
    t: Any = import_module("transformers")

    text = _text(ids, [])
    del text["rope_parameters"]["mrope_section"], text["head_dim"]
    vision = {
        "hidden_size": _HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "image_size": [56, 56],
        "patch_size": [14, 14],
        "initializer_range": _RANGE,
    }
    config = t.InternVLConfig(
        text_config={"model_type": "qwen2", **text},
        vision_config=vision,
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    size = {"height": 56, "width": 56}
    image, video = t.GotOcr2ImageProcessor(size=size), t.InternVLVideoProcessor(size=size)
    processor = t.InternVLProcessor(image, tokenizer, video, image_seq_length=4, chat_template=tokenizer.chat_template)
    return t.InternVLForConditionalGeneration(config).eval(), processor


_FAMILIES = {
    "qwen2.5-vl": _Family(_QWEN_TOKENS, _QWEN_MEDIA, _qwen25),
    "qwen3-vl": _Family(_QWEN_TOKENS, _QWEN_MEDIA, _qwen3),
    "internvl3": _Family(_INTERNVL_TOKENS, _INTERNVL_MEDIA, _internvl),
}
FAMILIES = tuple(_FAMILIES)
