from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.engines.base import Decoding, EngineError, Request, Shown
from rl.engines.local import Local
from rl.engines.open import EngineConfig, identity_of
from rl.engines.vllm import Vllm
from rl.models.families import Model
from rl.models.registry import find_model
from rl.prompts.templates import prompt_named

Make = Callable[..., Shown]


def requests(make: Make, model: Model) -> list[Request]:
    """Two videos of different length and an image."""
    asked = [("a", "figure-5", make(count=4)), ("b", "figure-5", make(count=8, fps=1.9, seed=1))]
    asked.append(("c", model.family.box_prompt, make(count=1)))
    told = [(key, prompt_named(prompt).messages("A man.", size=s.size, medium=s.medium), s) for key, prompt, s in asked]
    return [Request(*one) for one in told]


@pytest.mark.parametrize("name", ["tiny", "tiny-qwen3-vl", "tiny-internvl3"])
def test_every_family_answers_videos_and_images_the_same_each_time(name: str, tiny: Any, shown: Make) -> None:
    model = tiny(name)
    engine = Local(model, Decoding(max_tokens=8))
    asked = requests(shown, model)
    replies = engine.answer(asked)
    assert [reply.finish for reply in replies] == ["length"] * 3
    assert all(reply.tokens == 8 and reply.prompt_tokens > 50 for reply in replies)
    assert [reply.text for reply in engine.answer(asked)] == [reply.text for reply in replies]
    alone = [engine.answer([request])[0].text for request in asked]
    assert alone == [reply.text for reply in replies], "padding makes no difference"
    assert engine.identity["weights"] == model.weights.sha256
    assert identity_of(EngineConfig(), model, Decoding()) == engine.identity, "told without the model"


def test_draws_depend_on_seed_and_key_alone(tiny: Any, shown: Make) -> None:
    model = tiny("tiny")
    asked = requests(shown, model)[:1]
    texts = {}
    for seed in (0, 1):
        engine = Local(model, Decoding(max_tokens=16, temperature=1.0, seed=seed))
        texts[seed] = engine.answer(asked)[0].text
        assert engine.answer(asked)[0].text == texts[seed]
    assert texts[0] != texts[1]


def test_a_prompt_without_room_for_an_answer_fails_by_name_and_alone(tiny: Any, shown: Make) -> None:
    model = tiny("tiny")
    asked = requests(shown, model)[:2]
    usual = Local(model, Decoding(max_tokens=8)).answer(asked)
    short, long = (reply.prompt_tokens for reply in usual)
    engine = Local(model, Decoding(max_tokens=8), max_length=long)
    replies = engine.answer([asked[1], asked[0], asked[1]])
    told = f"too_long: the prompt takes {long} tokens, and prompt and answer together may take {long} (--max-length)"
    assert [reply.reason for reply in replies] == [told, "", told]
    assert [(reply.finish, reply.passing) for reply in replies[::2]] == [("failed", False)] * 2
    assert replies[1].text == usual[0].text
    assert engine.answer(asked[1:])[0].reason == told, "all of a batch"
    assert engine.identity["max_length"] == long, "asked again with more room, it is another evaluation"
    cut = Local(model, Decoding(max_tokens=8), max_length=short + 3).answer(asked[:1])[0]
    assert (cut.finish, cut.tokens) == ("length", 3), "an answer ends where the room does"


def test_a_folder_that_is_no_model_is_one_sentence(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(EngineError, match="cannot be used"):
        Local(find_model(str(tmp_path)), Decoding())


def test_vllm_that_is_not_installed_says_how_to_get_it(tiny: Any) -> None:
    try:
        import vllm  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(EngineError, match="make install EXTRA=cluster"):
            Vllm(tiny("tiny"), Decoding())
    else:
        pytest.skip("vLLM is installed here")
