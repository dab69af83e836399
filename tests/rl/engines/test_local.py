from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.engines.base import EngineError, Request, VisualInput
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.local import TransformersEngine
from rl.engines.open import engine_identity
from rl.engines.vllm import VllmEngine
from rl.models.families import Model
from rl.models.registry import find_model
from rl.prompts.templates import prompt_named

Make = Callable[..., VisualInput]


def requests(make: Make, model: Model) -> list[Request]:
    """Two videos of different length and an image."""
    asked = [("a", "figure-5", make(count=4)), ("b", "figure-5", make(count=8, fps=1.9, seed=1))]
    asked.append(("c", model.family.box_prompt, make(count=1)))
    told = [(key, prompt_named(prompt).messages("A man.", size=s.size, medium=s.medium), s) for key, prompt, s in asked]
    return [Request(*one) for one in told]


@pytest.mark.parametrize("name", ["tiny", "tiny-qwen3-vl", "tiny-internvl3"])
def test_every_family_answers_videos_and_images_the_same_each_time(name: str, tiny: Any, visual: Make) -> None:
    model = tiny(name)
    engine = TransformersEngine(model, DecodingConfig(max_tokens=8))
    asked = requests(visual, model)
    responses = engine.answer(asked)
    assert [response.finish for response in responses] == ["length"] * 3
    assert all(response.tokens == 8 and response.prompt_tokens > 50 for response in responses)
    assert [response.text for response in engine.answer(asked)] == [response.text for response in responses]
    alone = [engine.answer([request])[0].text for request in asked]
    assert alone == [response.text for response in responses], "padding makes no difference"
    assert engine.identity["weights"] == model.weights.sha256
    assert engine_identity(EngineConfig(), model) == engine.identity, "told without the model"


def test_draws_depend_on_seed_and_key_alone(tiny: Any, visual: Make) -> None:
    model = tiny("tiny")
    asked = requests(visual, model)[:1]
    texts = {}
    for seed in (0, 1):
        engine = TransformersEngine(model, DecodingConfig(max_tokens=16, temperature=1.0, seed=seed))
        texts[seed] = engine.answer(asked)[0].text
        assert engine.answer(asked)[0].text == texts[seed]
    assert texts[0] != texts[1]


def limited(max_length: int) -> EngineConfig:
    return EngineConfig().model_copy(update={"max_length": max_length})


def test_a_prompt_without_room_for_an_answer_fails_by_name_and_alone(tiny: Any, visual: Make) -> None:
    model = tiny("tiny")
    asked = requests(visual, model)[:2]
    usual = TransformersEngine(model, DecodingConfig(max_tokens=8)).answer(asked)
    short, long = (response.prompt_tokens for response in usual)
    engine = TransformersEngine(model, DecodingConfig(max_tokens=8), limited(long))
    responses = engine.answer([asked[1], asked[0], asked[1]])
    told = f"too_long: the prompt takes {long} tokens, and prompt and answer together may take {long} (--engine.max-length)"
    assert [response.reason for response in responses] == [told, "", told]
    assert [(response.finish, response.transient) for response in responses[::2]] == [("failed", False)] * 2
    assert responses[1].text == usual[0].text
    assert engine.answer(asked[1:])[0].reason == told, "all of a batch"
    assert engine.identity["max_length"] == long, "asked again with more room, it is another evaluation"
    cut = TransformersEngine(model, DecodingConfig(max_tokens=8), limited(short + 3)).answer(asked[:1])[0]
    assert (cut.finish, cut.tokens) == ("length", 3), "an answer ends where the room does"


def test_a_folder_that_is_no_model_is_one_sentence(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(EngineError, match="cannot be used"):
        TransformersEngine(find_model(str(tmp_path)), DecodingConfig())


def test_vllm_that_is_not_installed_says_how_to_get_it(tiny: Any) -> None:
    try:
        import vllm  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(EngineError, match="make install EXTRA=cluster"):
            VllmEngine(tiny("tiny"), DecodingConfig(), EngineConfig())
    else:
        pytest.skip("vLLM is installed here")
