"""The same tokens, positions and pixels reach a model through every engine, and as qwen-vl-utils would make them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl.engines.base import Request, VisualInput
from rl.engines.config import DecodingConfig
from rl.engines.inputs import chat_text, decode_frames, prepare_batch, round_to_factor, video_metadata
from rl.engines.payload import payload
from rl.engines.vllm import vllm_prompt
from rl.models.families import Model
from rl.models.tiny import FAMILIES
from rl.prompts.templates import prompt_named

QWEN25 = "tiny"
RATES = [2.0, 1.0, 1.902, 4.0, 29.97]

Make = Callable[..., VisualInput]


def loaded(model: Model) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoProcessor

    assert model.weights is not None
    return AutoProcessor.from_pretrained(model.weights.path), AutoConfig.from_pretrained(model.weights.path)


def request(visual: VisualInput, prompt: str = "figure-5", key: str = "a") -> Request:
    return Request(key, prompt_named(prompt).messages("A man.", size=visual.size, medium=visual.medium), visual)


@pytest.fixture(scope="module", params=["tiny", "tiny-qwen3-vl", "tiny-internvl3"])
def model(request: pytest.FixtureRequest, tiny: Callable[[str], Model]) -> Model:
    return tiny(request.param)


@pytest.mark.parametrize("fps", RATES)
def test_vllm_is_given_what_transformers_is_given(model: Model, visual: Make, fps: float) -> None:
    """vLLM calls the model's own processor with the prompt, the frames, their metadata and these arguments."""
    processor, config = loaded(model)
    asked = request(visual(fps=fps))
    ours = prepare_batch(processor, model.family, config, [asked])
    told = vllm_prompt(processor, model.family, asked)
    [(frames, about)] = told["multi_modal_data"]["video"]
    arguments = {"video_metadata": [about], **told["mm_processor_kwargs"]}
    theirs = processor(text=[told["prompt"]], videos=[frames], return_tensors="pt", **arguments)
    assert set(ours) - {"position_ids"} == set(theirs) - {"video_metadata"}
    for name in set(ours) - {"position_ids"}:
        assert np.array_equal(np.asarray(ours[name]), np.asarray(theirs[name])), name


@pytest.mark.parametrize("fps", RATES)
def test_a_server_is_given_the_same_frames_and_times(model: Model, visual: Make, fps: float) -> None:
    """vLLM's server cuts a video of JPEGs at commas, decodes each with Pillow, and takes times from `media_io_kwargs`."""
    asked = request(visual(fps=fps))
    body = payload(asked, model, DecodingConfig())
    [url] = [part["video_url"]["url"] for turn in body["messages"] for part in turn["content"] if part["type"] == "video_url"]
    kind, _, codes = url.partition(";base64,")
    assert kind == "data:video/jpeg"
    frames = np.stack([np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in codes.split(",")])
    assert np.array_equal(frames, decode_frames(asked.visual))
    told, ours = body["media_io_kwargs"]["video"], video_metadata(asked.visual)
    assert told["num_frames"] == -1, "vLLM takes 32 frames unless it is told otherwise"
    assert {name: told[name] for name in told if name in ours} == {name: ours[name] for name in told if name in ours}


def fetched(asked: Request) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Frames, metadata and arguments as qwen-vl-utils makes them of stored frames; sizes are given, as they must be."""
    from qwen_vl_utils import process_vision_info

    width, height = asked.visual.size
    images = [Image.open(io.BytesIO(frame)) for frame in asked.visual.frames]
    video = {"type": "video", "video": images, "sample_fps": asked.visual.fps}
    turns = [{"role": "user", "content": [{**video, "resized_width": width, "resized_height": height}]}]
    _, [(tensor, about)], kwargs = process_vision_info(turns, return_video_kwargs=True, return_video_metadata=True)
    return tensor, about, kwargs


@pytest.mark.parametrize("fps", RATES)
def test_qwen_vl_utils_would_show_the_same(tiny: Callable[[str], Model], visual: Make, fps: float) -> None:
    model = tiny(QWEN25)
    processor, config = loaded(model)
    asked = request(visual(fps=fps, size=(336, 168)))
    tensor, about, kwargs = fetched(asked)
    assert np.array_equal(tensor.numpy(), decode_frames(asked.visual).transpose(0, 3, 1, 2)), "its resize is the identity"
    text = [chat_text(processor, model.family, asked.messages)]
    theirs = processor(text=text, videos=[tensor], video_metadata=[about], do_resize=False, return_tensors="pt", **kwargs)
    ours = prepare_batch(processor, model.family, config, [asked])
    assert np.array_equal(ours["input_ids"], theirs["input_ids"])
    assert np.allclose(ours["pixel_values_videos"], theirs["pixel_values_videos"], atol=1e-5)
    [mine], [utils] = (made["second_per_grid_ts"] for made in (ours, theirs))
    assert float(mine) == pytest.approx(float(utils), rel=1e-3)


def test_qwen_vl_utils_blurs_frames_whose_sides_are_no_multiples_of_56(visual: Make) -> None:
    """0.0.14 takes the factor 28 for a patch size and doubles it, so a list of frames goes through another size and back.

    If this fails, the library was mended, and frames of any size may go through it.
    """
    asked = request(visual(size=(364, 196)))
    tensor, _, _ = fetched(asked)
    assert tensor.shape[2:] == (196, 364)
    assert not np.array_equal(tensor.numpy(), decode_frames(asked.visual).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("size", [(364, 196), (308, 168), (196, 112), (140, 84)])
def test_the_processors_own_resize_would_leave_stored_frames_alone(
    tiny: Callable[[str], Model], visual: Make, size: tuple[int, int]
) -> None:
    model = tiny(QWEN25)
    processor, config = loaded(model)
    asked = request(visual(size=size))
    resizing = {"do_sample_frames": False, "size": {"shortest_edge": 28 * 28, "longest_edge": 768 * 28 * 28}}
    videos = {"videos": [decode_frames(asked.visual)], "video_metadata": [video_metadata(asked.visual)]}
    text = [chat_text(processor, model.family, asked.messages)]
    theirs = processor(text=text, return_tensors="pt", **videos, **resizing)
    ours = prepare_batch(processor, model.family, config, [asked])
    assert np.array_equal(ours["pixel_values_videos"], theirs["pixel_values_videos"])


@pytest.mark.parametrize("fps", RATES)
def test_positions_are_those_that_verl_trains_with(tiny: Callable[[str], Model], visual: Make, fps: float) -> None:
    """verl 0.9 keeps transformers 4.52's arithmetic, which vLLM 0.28 has too; text stands on both sides of the video."""
    from verl.models.transformers.qwen2_vl import get_rope_index

    model = tiny(QWEN25)
    processor, config = loaded(model)
    for prompt in ("figure-5", "question"):
        batch = prepare_batch(processor, model.family, config, [request(visual(count=16, fps=fps), prompt)])
        seconds = [float(value) for value in batch["second_per_grid_ts"]]
        theirs = get_rope_index(processor, batch["input_ids"][0], None, batch["video_grid_thw"], seconds)
        assert np.array_equal(batch["position_ids"][1:, 0], theirs)
        assert np.array_equal(batch["position_ids"][0, 0], np.arange(batch["input_ids"].shape[1]))


def test_transformers_has_the_same_positions_where_its_arithmetic_is_whole(tiny: Callable[[str], Model], visual: Make) -> None:
    from transformers import AutoModelForImageTextToText

    model = tiny(QWEN25)
    processor, config = loaded(model)
    assert model.weights is not None
    theirs = AutoModelForImageTextToText.from_pretrained(model.weights.path).model
    requests = [request(visual(count=count, seed=count), key=str(count)) for count in (4, 8)]
    batch = prepare_batch(processor, model.family, config, requests)
    positions, _ = theirs.get_rope_index(**{name: value for name, value in batch.items() if name != "position_ids"})
    there = batch["attention_mask"].bool()
    assert np.array_equal(batch["position_ids"][1:, there], positions[:, there])
    fast = prepare_batch(processor, model.family, config, [request(visual(fps=4.0))])
    times = np.unique(fast["position_ids"][1, 0][fast["input_ids"][0] == config.video_token_id])
    assert np.array_equal(np.diff(times), [1, 1, 1]), "half a second a pair, two positions a second: transformers says 0"


def test_variable_rates_keep_their_times(tiny: Callable[[str], Model], visual: Make) -> None:
    model = tiny("tiny-qwen3-vl")
    processor, config = loaded(model)
    plain = visual(count=4)
    uneven = VisualInput(plain.frames, plain.size, plain.fps, (0.0, 0.2, 1.4, 1.9))
    text = processor.tokenizer.decode(prepare_batch(processor, model.family, config, [request(uneven)])["input_ids"][0])
    assert "<0.1 seconds>" in text
    assert "<1.6 seconds>" in text
    assert text.count("<|vision_start|>") == 2, "one pair of tags a frame pair, and none around them all"


def test_other_patch_sizes_take_the_nearest_size() -> None:
    assert round_to_factor((364, 196), 28) == (364, 196)
    assert round_to_factor((364, 196), 32) == (352, 192)
    assert round_to_factor((20, 10), 32) == (32, 32)
    assert round_to_factor((365, 197), None) == (365, 197)


def test_a_batch_is_padded_on_the_left(model: Model, visual: Make) -> None:
    processor, config = loaded(model)
    make = partial(request, prompt="figure-5")
    batch = prepare_batch(processor, model.family, config, [make(visual(count=4)), make(visual(count=8, seed=1))])
    short, long = batch["attention_mask"].sum(dim=1).tolist()
    assert batch["input_ids"].shape == (2, long)
    assert batch["attention_mask"][0, : long - short].sum() == 0
    alone = prepare_batch(processor, model.family, config, [make(visual(count=4))])
    assert np.array_equal(batch["input_ids"][0, long - short :], alone["input_ids"][0])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tiny_family_is_a_known_one(family: str) -> None:
    from rl.models.families import FAMILIES as KNOWN

    assert family in KNOWN
