from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.config import DecodingConfig
from rl.engines.payload import payload
from rl.models.families import FAMILIES, Model, ModelError
from rl.models.generation import generation_settings
from rl.paper.numbers import table_named
from rl.paper.setup import Setup
from rl.paper.table import RELEASED_DECODING, Reproduction

RELEASED = DecodingConfig(preset="released")
SERVED = Model("served", FAMILIES["qwen2.5-vl"], None)


def test_the_released_decoding_has_2048_tokens_and_the_settings_of_the_folder(tmp_path: Path) -> None:
    assert (RELEASED.token_limit, DecodingConfig(max_tokens=7).token_limit) == (2048, 7)
    weights: Any = SimpleNamespace(path=tmp_path)
    model = Model("folder", FAMILIES["qwen2.5-vl"], weights)
    assert generation_settings(model) == generation_settings(SERVED) == {}
    (tmp_path / "generation_config.json").write_text(json.dumps({"repetition_penalty": 1.05}))
    assert generation_settings(model) == {"repetition_penalty": 1.05}
    (tmp_path / "generation_config.json").write_text("[]")
    with pytest.raises(ModelError, match="is not a JSON object: remove it or restore it"):
        generation_settings(model)


def test_a_preset_shapes_keys_and_its_absence_leaves_them() -> None:
    assert DecodingConfig().shaping() == {"max_tokens": 1024, "temperature": 0, "top_p": 1, "seed": 0}
    assert RELEASED.shaping() == {"seed": 0, "preset": "released"}


def test_a_server_keeps_the_settings_of_its_folder() -> None:
    request = Request("a", [{"role": "user", "content": [{"type": "text", "text": "x"}]}], VisualInput((b"",), (28, 28), 2.0))
    body = payload(request, SERVED, RELEASED)
    assert (body["max_tokens"], "temperature" in body, "top_p" in body) == (2048, False, False)
    assert payload(request, SERVED, DecodingConfig())["temperature"] == 0


@pytest.mark.parametrize("number", ["2", "3", "8"])
def test_tables_ask_figure_6_as_printed_and_decode_as_released(number: str) -> None:
    def table(**evaluate: Any) -> Reproduction:
        return Reproduction(number, table_named(number), Setup(evaluate=evaluate), "datasets", "out", "trainings")

    parts = [part for part in table().parts if not part.row.training and part.row.protocol not in {"two-stage", "unmarked"}]
    assert {part.row.protocol for part in parts} == {"figures"}
    assert table().evaluation(parts[0]).decoding == DecodingConfig.model_validate(RELEASED_DECODING["decoding"])
    assert table(**{"decoding.max_tokens": 9}).evaluation(parts[0]).decoding == DecodingConfig(max_tokens=9)
