"""A training from start to end: a full disk in mid-save, a kill after a save, the last step, the merged model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.models.families import ModelError, differences
from rl.models.registry import find_model
from rl.models.trained import trained_model
from rl.training.checkpoints import last_step, read_metrics, step_folder
from rl.training.events import EndEvent, parse_event
from rl.training.records import Lineage, read_lineage, read_run
from rl.verl.metrics import StepMetrics
from storage.reader import Dataset
from tasks.build.stages import frames_parameters

pytestmark = pytest.mark.heavy


@pytest.fixture
def driver(driver_of: Callable[..., Any]) -> Any:
    """Three steps of two prompts, four answers each."""
    return driver_of("sample", {"rollout.max_response_tokens": 64}, steps=3)


def test_a_training_survives_a_full_disk_and_a_kill(driver: Any, trained_dataset: Dataset) -> None:
    run = driver.run
    with driver.started() as process:  # the disk is full when the second checkpoint is written
        driver.until(lambda: read_metrics(run), process)
        torn = step_folder(run, 2) / "actor" / "optim_world_size_1_rank_0.pt"
        torn.parent.mkdir(parents=True)
        torn.symlink_to("/dev/full")
        assert process.wait(600) == 1
    assert f"error: the disk of '{run}' is full: make room, and the same command goes on from step 1" in driver.said()
    assert last_step(run) == 1
    assert not step_folder(run, 2).exists()
    with pytest.raises(ModelError, match="has not ended"):
        find_model(str(run))

    driver.kill_once(lambda: last_step(run) == 2)  # wherever the third step then is
    assert "Resuming from" in driver.log.read_text()

    driver.finish()
    check_steps(read_metrics(run))
    check_model(run, trained_dataset)
    [end] = [event for line in driver.log.read_text().splitlines() if isinstance(event := parse_event(line), EndEvent)]
    assert end.steps == 3


def check_steps(steps: list[StepMetrics]) -> None:
    assert [step.step for step in steps] == [1, 2, 3], "each step is told once, whatever happened in between"
    assert all((step.pearson or 0) > 0.999 for step in steps), steps
    assert [step.learning_rate for step in steps] == pytest.approx([2e-3 / 3, 1e-3 / 3, 0.0])
    for step in steps:
        assert step.reward == pytest.approx(step.r_t + step.r_s + step.r_f)
        assert step.tokens_per_s > 0
    assert all(sum(getattr(step, part) for step in steps) > 0 for part in ("r_t", "r_f"))
    assert any((step.grad_norm or 0) > 0 for step in steps)


def check_model(run: Path, dataset: Dataset) -> None:
    from safetensors.torch import load_file

    made = read_lineage(run)
    assert isinstance(made, Lineage)
    assert made.dataset.content_hash == dataset.manifest.content_hash
    assert made.reward is not None
    assert (made.recipe_name, made.reward.name, made.steps) == ("sample", "paper", 3)
    model, base = find_model(str(run)), find_model(read_run(run).model)
    assert model.weights is not None
    assert base.weights is not None
    assert (made.sha256, made.base_sha256) == (model.weights.sha256, base.weights.sha256)
    assert differences(model, frames_parameters(dataset)) == []
    before, after = (load_file(folder / "model.safetensors") for folder in (base.weights.path, trained_model(run)))
    assert before.keys() == after.keys()
    assert sum(bool((before[name].to(after[name].dtype) != after[name]).any()) for name in after) > len(after) / 2
