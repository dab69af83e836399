"""The same frames, sizes and times for every engine: what goes into a model's processor.

Stored frames have the size that the processor would give them, so its resize is switched off. Times are told on a clock of
milliseconds: frame indices are the frames' times, so that they hold for any rate, also a variable one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl.engines.base import Request, Shown
from rl.engines.positions import add_positions
from rl.models.families import Family, Model
from rl.prompts.templates import Message

_CLOCK_HZ = 1000
_THREADS = min(len(os.sched_getaffinity(0)), 8)
"""Requests of a batch prepared at once: decoding JPEGs and cutting patches leave Python's lock alone."""
_RAW = {"do_rescale": False, "do_normalize": False}
_SEQUENCES = frozenset({"input_ids", "attention_mask", "mm_token_type_ids"})
_TAGGED_VIDEO = ("<|vision_start|>", "<|video_pad|>", "<|vision_end|>")


def pixels(shown: Shown, factor: int | None = None) -> NDArray[np.uint8]:
    """Frames as uint8 (count, height, width, 3), RGB.

    Args:
        shown: the frames.
        factor: sides must be multiples of it; frames of other sides are resized to the nearest. None leaves them.
    """
    from PIL import Image

    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in shown.frames]
    size = fitting(shown.size, factor)
    if size != shown.size:
        images = [image.resize(size, Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image) for image in images])


def fitting(size: tuple[int, int], factor: int | None) -> tuple[int, int]:
    """The size (width, height) whose sides are the multiples of `factor` nearest to `size`."""
    if factor is None:
        return size
    width, height = (max(factor, round(side / factor) * factor) for side in size)
    return width, height


def metadata(shown: Shown) -> dict[str, Any]:
    """Times as transformers' `VideoMetadata` takes them; frames sampled at `shown.fps` of a clip that lasts as long."""
    times = shown.times_s or tuple(n / shown.fps for n in range(len(shown.frames)))
    return {
        "total_num_frames": max(round(_CLOCK_HZ * len(shown.frames) / shown.fps), len(shown.frames)),
        "fps": float(_CLOCK_HZ),
        "frames_indices": [round(_CLOCK_HZ * time) for time in times],
        "duration": len(shown.frames) / shown.fps,
        "width": shown.size[0],
        "height": shown.size[1],
        "video_backend": "stored",
    }


def load_processor(model: Model) -> Any:
    """A model's own tokenizer and processor, from its folder; nothing is downloaded, no code of the folder is run."""
    library: Any = import_module("transformers")
    assert model.weights is not None
    return library.AutoProcessor.from_pretrained(model.weights.path, local_files_only=True, trust_remote_code=False)


def processor_kwargs(family: Family) -> dict[str, Any]:
    """What keeps a processor from touching frames: no sampling, and no resize where stored sizes are the model's own."""
    return {"do_sample_frames": False} | ({"do_resize": False} if family.factor else {})


def vllm_kwargs(family: Family, shown: Shown) -> dict[str, Any]:
    """The same for vLLM 0.28, which hands on a video's times to models that write them, and drops them for Qwen2.5-VL."""
    timed = family.times == "positions" and shown.medium == "video"
    return processor_kwargs(family) | ({"video_metadata": [metadata(shown)]} if timed else {})


def chat_text(processor: Any, family: Family, messages: Sequence[Message]) -> str:
    """The prompt as text, with the model's own chat template and one placeholder for the video.

    A Qwen3-VL video goes without the template's tags around it: its processor writes a pair around each frame pair. Since
    transformers 5.10 it leaves the outer pair standing too, which the model was not trained with.
    """
    text: str = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text.replace("".join(_TAGGED_VIDEO), _TAGGED_VIDEO[1]) if family.times == "timestamps" else text


def prepare_one(processor: Any, family: Family, request: Request) -> dict[str, Any]:
    """Tensors of one request, a batch of one; pixels of a video of patches are still bytes, for `_normalised`."""
    frames = pixels(request.shown, family.factor)
    if request.shown.medium == "video":
        media: dict[str, Any] = {"videos": [frames], "video_metadata": [metadata(request.shown)], **processor_kwargs(family)}
        media |= _RAW if family.factor else {}
    else:
        media = {"images": [frames[0]]} | ({"do_resize": False} if family.factor else {})
    made = dict(processor(text=[chat_text(processor, family, request.messages)], return_tensors="pt", **media))
    made.pop("video_metadata", None)
    return made


def prepare(processor: Any, family: Family, config: Any, requests: Sequence[Request]) -> Mapping[str, Any]:
    """Tensors of a batch of requests of one medium, as `together` makes them of `prepare_each`."""
    return together(processor, family, config, prepare_each(processor, family, requests))


def prepare_each(processor: Any, family: Family, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """`prepare_one` of each request, several at once."""
    with ThreadPoolExecutor(min(len(requests), _THREADS)) as threads:
        return list(threads.map(partial(prepare_one, processor, family), requests))


def together(processor: Any, family: Family, config: Any, made: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One batch of several requests of one medium, padded on the left, for `model.generate`.

    Returns:
        `input_ids`, `attention_mask`, pixels and grids; for Qwen2.5-VL also `position_ids` (4, batch, length).
    """
    batch = _normalised(_padded(made, processor.tokenizer.pad_token_id), processor)
    return add_positions(batch, config) if family.times == "positions" else batch


def answered(asked: Mapping[str, Any], answer: Any, config: Any) -> dict[str, Any]:
    """A batch of one of Qwen2.5-VL with an answer's tokens, int64 (1, length), after its prompt."""
    import torch

    ids = torch.cat([asked["input_ids"], answer], dim=1)
    return add_positions({**asked, "input_ids": ids, "attention_mask": torch.ones_like(ids)}, config)


def _normalised(batch: dict[str, Any], processor: Any) -> dict[str, Any]:
    """A batch whose video patches are normalised as its processor would have done, on its way through four times the bytes."""
    import torch

    patches = batch.get("pixel_values_videos")
    if patches is None or patches.dtype != torch.uint8:
        return batch
    how = processor.video_processor
    mean, std = (torch.tensor(value) * (1.0 / how.rescale_factor) for value in (how.image_mean, how.image_std))
    channels = patches.view(len(patches), len(mean), -1).to(torch.float32)
    channels.sub_(mean[:, None]).div_(std[:, None])
    return {**batch, "pixel_values_videos": channels.view(patches.shape)}


def _padded(made: Sequence[Mapping[str, Any]], pad_token_id: int) -> dict[str, Any]:
    """Sequences padded on the left to one length, pixels and grids in a row."""
    import torch

    length = max(one["input_ids"].shape[1] for one in made)
    batch: dict[str, Any] = {}
    for name in made[0]:
        values = [torch.as_tensor(one[name]) for one in made]
        if name in _SEQUENCES:
            fill = pad_token_id if name == "input_ids" else 0
            values = [torch.nn.functional.pad(value, (length - value.shape[1], 0), value=fill) for value in values]
        batch[name] = torch.cat(values) if len(values) > 1 else values[0]
    return batch
