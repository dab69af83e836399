from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.engines.base import Decoding, EngineError, Request, Shown
from rl.engines.local import Local
from rl.engines.vllm import Vllm
from rl.models import Model, find_model
from rl.prompts import prompt_named

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


def test_draws_depend_on_seed_and_key_alone(tiny: Any, shown: Make) -> None:
    model = tiny("tiny")
    asked = requests(shown, model)[:1]
    texts = {}
    for seed in (0, 1):
        engine = Local(model, Decoding(max_tokens=16, temperature=1.0, seed=seed))
        texts[seed] = engine.answer(asked)[0].text
        assert engine.answer(asked)[0].text == texts[seed]
    assert texts[0] != texts[1]


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


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["tiny", "tiny-internvl3"])
def test_vllm_says_what_transformers_says(name: str, tiny: Any, shown: Make) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install EXTRA=cluster`")
    model = tiny(name)
    asked = requests(shown, model)
    ours = [reply.text for reply in Local(model, Decoding(max_tokens=16), precision="float32").answer(asked)]
    engine = Vllm(model, Decoding(max_tokens=16), max_length=8192, memory=0.3, dtype="float32", enforce_eager=True)
    assert [reply.text for reply in engine.answer(asked)] == ours
    engine.close()
