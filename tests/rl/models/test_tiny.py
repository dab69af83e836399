from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl.models.families import FAMILIES as KNOWN
from rl.models.registry import find_model
from rl.models.tiny import FAMILIES, make_tiny
from tasks.weights import find_weights


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_makes_the_same_model_and_another_another(family: str, tmp_path: Path) -> None:
    made = [find_weights(str(make_tiny(tmp_path / name, family))).sha256 for name in ("a", "b")]
    assert made[0] == made[1]
    assert find_weights(str(make_tiny(tmp_path / "c", family, seed=1))).sha256 != made[0]
    before = (tmp_path / "a" / "config.json").stat().st_mtime_ns
    make_tiny(tmp_path / "a", family)
    assert (tmp_path / "a" / "config.json").stat().st_mtime_ns == before, "what is there is left alone"


@pytest.mark.parametrize(
    ("name", "family"), [("tiny", "qwen2.5-vl"), ("tiny-qwen3-vl", "qwen3-vl"), ("tiny-internvl3", "internvl3")]
)
def test_a_tiny_model_is_of_the_real_class_and_its_config_says_so(name: str, family: str, tiny: Any) -> None:
    from transformers import AutoConfig

    model = tiny(name)
    assert model.family is KNOWN[family]
    assert AutoConfig.from_pretrained(model.weights.path).model_type == model.family.model_type
    assert find_model(str(model.weights.path)).family is model.family, "a folder is known by its config"


def test_prompts_come_back_from_the_tokenizer_as_they_went_in(tiny: Any) -> None:
    from transformers import AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(tiny("tiny").weights.path).tokenizer
    text = "Target ID: [3], Time range: [12.54 to 17.83] \u00e9\u4e2d <think>\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("<|video_pad|>")["input_ids"]) == 1


@pytest.mark.heavy
def test_a_schooled_model_answers_in_form(tiny: Any, visual: Any) -> None:
    from rl.engines.base import Request
    from rl.engines.config import DecodingConfig
    from rl.engines.local import TransformersEngine
    from rl.prompts.answers import parse_answer
    from rl.prompts.templates import prompt_named

    engine = TransformersEngine(tiny("tiny-schooled"), DecodingConfig(max_tokens=64, temperature=1.0, seed=3))
    request = Request("key", prompt_named("figure-5").messages("It moves."), visual(4, size=(252, 168)))
    answers = [parse_answer(response.text) for response in engine.answer([request] * 8)]
    assert sum(answer.formatted for answer in answers) >= 4
    assert {answer.ids_status for answer in answers if answer.formatted} == {"read"}
