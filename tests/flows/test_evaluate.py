from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.states import Failed

from flows.evaluate import evaluate_and_show
from flows.retries import may_pass
from rl.engines.base import EngineError
from rl.models.families import ModelError
from storage.manifest import DatasetError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EngineError("the server cannot be reached"), True),
        (ConnectionError("reset"), True),
        (ModelError("no such model"), False),
        (DatasetError("nothing is published"), False),
    ],
)
def test_bad_input_is_not_tried_again_and_what_may_pass_is(error: Exception, again: bool) -> None:
    assert evaluate_and_show.retry_condition_fn is may_pass
    assert may_pass(evaluate_and_show, None, Failed(data=error)) is again  # type: ignore[arg-type]


@pytest.mark.heavy
def test_a_run_with_bad_input_fails_at_once_in_a_sentence(server: Any, tmp_path: Path) -> None:
    _, run = server.run("evaluate/sample", root=str(tmp_path), model="tiny")
    assert run["state_type"] == "FAILED"
    assert "sample" in run["state"]["message"]
    [task] = server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert (task["run_count"], task["state_type"]) == (1, "FAILED")
