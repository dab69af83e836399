"""JSON bodies of chat completions, for vLLM's server and for any other OpenAI-compatible one."""

from __future__ import annotations

import base64

from pydantic import JsonValue

from rl.engines.base import Request, VisualInput
from rl.engines.config import DecodingConfig, Wire
from rl.engines.inputs import video_metadata, vllm_options
from rl.models.families import Model
from rl.prompts.templates import Message
from storage.folders.files import json_digest

Json = dict[str, JsonValue]
_VIDEO_TIMES = ("fps", "frames_indices", "total_num_frames", "duration")


def payload(request: Request, model: Model, decoding: DecodingConfig, wire: Wire = "video") -> Json:
    """JSON body of the chat completion for a request.

    Args:
        request: Prompt and frames.
        model: Model under the name that the server knows.
        decoding: Sampling settings; the key of the request and their seed give the seed that is sent. With a preset, the server
            has the generation settings of the model's folder.
        wire: How frames are sent.
    """
    visual = request.visual
    body: Json = {
        "model": model.name,
        "max_tokens": decoding.token_limit,
        **({"temperature": decoding.temperature, "top_p": decoding.top_p} if decoding.preset == "none" else {}),
        "seed": int(json_digest([decoding.seed, request.key])[:7], 16),
        "messages": [_message(message, visual, wire) for message in request.messages],
    }
    if wire == "video":
        body["mm_processor_kwargs"] = vllm_options(model.family, visual)
        if visual.medium == "video":
            body["media_io_kwargs"] = {"video": _vllm_reading(visual)}
    return body


def _vllm_reading(visual: VisualInput) -> Json:
    """How vLLM reads a video of JPEGs; without it, it takes at most 32 frames at one a second."""
    metadata = video_metadata(visual)
    return {"num_frames": -1, **{name: metadata[name] for name in _VIDEO_TIMES}, "do_sample_frames": False}


def _message(message: Message, visual: VisualInput, wire: Wire) -> Json:
    parts: list[Json] = []
    for part in message["content"]:
        parts += [part] if part["type"] == "text" else _media(visual, wire)
    return {"role": message["role"], "content": parts}


def _media(visual: VisualInput, wire: Wire) -> list[Json]:
    jpegs = [base64.b64encode(frame).decode() for frame in visual.frames]
    if visual.medium == "image":
        return [_image(jpegs[0])]
    if wire == "video":
        return [{"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(jpegs)}"}}]
    parts: list[Json] = []
    for time_s, jpeg in zip(visual.frame_times_s, jpegs, strict=True):
        parts += [{"type": "text", "text": f"{time_s:.2f} s:"}, _image(jpeg)]
    return parts


def _image(jpeg: str) -> Json:
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{jpeg}"}}
