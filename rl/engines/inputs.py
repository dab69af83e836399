"""Inputs of a model's processor: the same frames, sizes and times for every engine.

Stored frames already have the size that the processor would resize them to, so its resize is switched off. Times are passed
on a clock of milliseconds: frame indices are the times of the frames, so that they hold for any rate, also a variable one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from rl.engines.base import Request, VisualInput
from rl.engines.positions import add_positions
from rl.models.families import Family, Model
from rl.prompts.templates import Message

if TYPE_CHECKING:
    from torch import Tensor

_CLOCK_HZ = 1000
_THREADS = min(len(os.sched_getaffinity(0)), 8)
"""Requests of a batch prepared in parallel: decoding JPEGs and cutting patches release the interpreter lock."""
_NO_PIXEL_SCALING = {"do_rescale": False, "do_normalize": False}
_SEQUENCES = frozenset({"input_ids", "attention_mask", "mm_token_type_ids"})
_VIDEO_TAGS = ("<|vision_start|>", "<|video_pad|>", "<|vision_end|>")

Tensors = Mapping[str, "Tensor"]
"""Inputs of `model.generate` by name: `input_ids`, `attention_mask`, pixels and grids."""


def decode_frames(visual: VisualInput, factor: int | None = None) -> NDArray[np.uint8]:
    """Decode frames into an array (count, height, width, 3), RGB, uint8.

    Args:
        visual: JPEG frames.
        factor: Both sides must be multiples of this many pixels; frames of another size are resized to the nearest multiples.
            None keeps the stored size.
    """
    from PIL import Image

    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in visual.frames]
    size = round_to_factor(visual.size, factor)
    if size != visual.size:
        images = [image.resize(size, Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image) for image in images])


def round_to_factor(size: tuple[int, int], factor: int | None) -> tuple[int, int]:
    """The size whose sides are the multiples of `factor` nearest to those of `size`.

    Args:
        size: (width, height), pixels.
        factor: Pixels; None returns the size unchanged.
    """
    if factor is None:
        return size
    width, height = (max(factor, round(side / factor) * factor) for side in size)
    return width, height


def video_metadata(visual: VisualInput) -> dict[str, JsonValue]:
    """Frame times as transformers' `VideoMetadata` takes them, for a clip that lasts as long as its frames at `visual.fps`."""
    return {
        "total_num_frames": max(round(_CLOCK_HZ * len(visual.frames) / visual.fps), len(visual.frames)),
        "fps": float(_CLOCK_HZ),
        "frames_indices": [round(_CLOCK_HZ * time_s) for time_s in visual.frame_times_s],
        "duration": len(visual.frames) / visual.fps,
        "width": visual.size[0],
        "height": visual.size[1],
        "video_backend": "stored",
    }


def load_processor(model: Model) -> Any:
    """Load the tokenizer and processor of a model from its folder; nothing is downloaded and no code of the folder runs."""
    library: Any = import_module("transformers")
    assert model.weights is not None
    return library.AutoProcessor.from_pretrained(model.weights.path, local_files_only=True, trust_remote_code=False)


def processor_options(family: Family) -> dict[str, JsonValue]:
    """Options that keep a processor from changing frames: no sampling, and no resize where stored sizes are the model's own."""
    options: dict[str, JsonValue] = {"do_sample_frames": False}
    return options | ({"do_resize": False} if family.factor else {})


def vllm_options(family: Family, visual: VisualInput) -> dict[str, JsonValue]:
    """The same options for vLLM 0.28, which passes times on to models that write them, and drops them for Qwen2.5-VL.

    Args:
        family: Family of the model.
        visual: Its times are passed in the options where vLLM would drop them.
    """
    timed = family.times == "positions" and visual.medium == "video"
    return processor_options(family) | ({"video_metadata": [video_metadata(visual)]} if timed else {})


def chat_text(processor: Any, family: Family, messages: Sequence[Message]) -> str:
    """Format messages with the model's own chat template; the text has one placeholder for the video.

    The template's tags around a Qwen3-VL video are removed, because its processor writes a pair around each pair of frames.
    Since transformers 5.10 the outer pair would remain as well, which the model was not trained with.

    Args:
        processor: Processor of the model, as `load_processor` returns it.
        family: Family of the model.
        messages: Chat messages.
    """
    text: str = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text.replace("".join(_VIDEO_TAGS), _VIDEO_TAGS[1]) if family.times == "timestamps" else text


def prepare_request(processor: Any, family: Family, request: Request) -> Tensors:
    """Convert one request to tensors, a batch of one; video patches are still bytes, which `collate` normalizes.

    Args:
        processor: Processor of the model, as `load_processor` returns it.
        family: Family of the model.
        request: Prompt and frames.
    """
    visual, resize = request.visual, {"do_resize": False} if family.factor else {}
    frames = decode_frames(visual, family.factor)
    if visual.medium == "video":
        media = {"videos": [frames], "video_metadata": [video_metadata(visual)], **processor_options(family)}
        media |= _NO_PIXEL_SCALING if family.factor else {}
    else:
        media = {"images": [frames[0]], **resize}
    tensors = dict(processor(text=[chat_text(processor, family, request.messages)], return_tensors="pt", **media))
    tensors.pop("video_metadata", None)
    return tensors


def prepare_batch(processor: Any, family: Family, config: Any, requests: Sequence[Request]) -> Tensors:
    """Convert requests of one medium to one padded batch: `prepare_requests`, then `collate`.

    Args:
        processor: Processor of the model, as `load_processor` returns it.
        family: Family of the model.
        config: Configuration of the model, as transformers loads it.
        requests: Requests that are all videos or all images.
    """
    return collate(processor, family, config, prepare_requests(processor, family, requests))


def prepare_requests(processor: Any, family: Family, requests: Sequence[Request]) -> list[Tensors]:
    """Apply `prepare_request` to each request, several in parallel.

    Args:
        processor: Processor of the model, as `load_processor` returns it.
        family: Family of the model.
        requests: Prompts and frames.
    """
    with ThreadPoolExecutor(min(len(requests), _THREADS)) as threads:
        return list(threads.map(partial(prepare_request, processor, family), requests))


def collate(processor: Any, family: Family, config: Any, prepared: Sequence[Tensors]) -> Tensors:
    """Combine prepared requests of one medium into one batch for `model.generate`, padded on the left.

    Args:
        processor: Processor of the model.
        family: Family of the model.
        config: Configuration of the model, as transformers loads it.
        prepared: Tensors of each request, a batch of one each.

    Returns:
        `input_ids`, `attention_mask`, pixels and grids; for Qwen2.5-VL also `position_ids` (4, batch, length).
    """
    batch = _normalize_patches(_pad_left(prepared, processor.tokenizer.pad_token_id), processor)
    return add_positions(batch, config) if family.times == "positions" else batch


def append_answer(prompt: Tensors, answer: Tensor, config: Any) -> Tensors:
    """Append the tokens of an answer to a prompt of Qwen2.5-VL and compute the positions anew.

    Args:
        prompt: A batch of one, as `prepare_batch` returns it.
        answer: int64 (1, length).
        config: Configuration of the model, as transformers loads it.
    """
    import torch

    ids = torch.cat([prompt["input_ids"], answer], dim=1)
    return add_positions({**prompt, "input_ids": ids, "attention_mask": torch.ones_like(ids)}, config)


def _normalize_patches(batch: Tensors, processor: Any) -> Tensors:
    """Normalize uint8 video patches as the processor would have done with four times the bytes."""
    import torch

    patches = batch.get("pixel_values_videos")
    if patches is None or patches.dtype != torch.uint8:
        return batch
    options = processor.video_processor
    mean, std = (torch.tensor(value) * (1.0 / options.rescale_factor) for value in (options.image_mean, options.image_std))
    channels = patches.view(len(patches), len(mean), -1).to(torch.float32)
    channels.sub_(mean[:, None]).div_(std[:, None])
    return {**batch, "pixel_values_videos": channels.view(patches.shape)}


def _pad_left(prepared: Sequence[Tensors], pad_token_id: int) -> Tensors:
    """Pad sequences on the left to one length; concatenate pixels and grids."""
    import torch

    length = max(tensors["input_ids"].shape[1] for tensors in prepared)
    batch: dict[str, Tensor] = {}
    for name in prepared[0]:
        values = [torch.as_tensor(tensors[name]) for tensors in prepared]
        if name in _SEQUENCES:
            fill = pad_token_id if name == "input_ids" else 0
            values = [torch.nn.functional.pad(value, (length - value.shape[1], 0), value=fill) for value in values]
        batch[name] = torch.cat(values) if len(values) > 1 else values[0]
    return batch
