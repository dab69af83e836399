"""A training from start to end: a full disk in mid-save, a kill after a save, the last step, the merged model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.models.families import ModelError, differences
from rl.models.registry import find_model
from rl.training.checkpoints import Lineage, last_step, lineage, read_steps, step_folder, trained_model
from rl.training.request import read_training
from storage.reader import Dataset

pytestmark = pytest.mark.heavy


@pytest.fixture
def driver(driver_of: Callable[..., Any]) -> Any:
    """Three steps of two prompts, four answers each."""
    return driver_of("sample", steps=3, max_answer_tokens=64)


def test_a_training_survives_a_full_disk_and_a_kill(driver: Any, trained_dataset: Dataset) -> None:
    run = driver.run
    with driver.started() as process:  # the disk is full when the second checkpoint is written
        driver.until(lambda: read_steps(run), process)
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
    check_steps(read_steps(run))
    check_model(run, trained_dataset)
    told = json.loads(next(line for line in driver.log.read_text().splitlines() if line.startswith('{"trained"')))
    assert told["trained"]["steps"] == 3


def check_steps(steps: list[dict[str, Any]]) -> None:
    assert [step["step"] for step in steps] == [1, 2, 3], "each step is told once, whatever happened in between"
    assert all(step["pearson"] > 0.999 for step in steps), steps
    assert [step["lr"] for step in steps] == pytest.approx([2e-3 / 3, 1e-3 / 3, 0.0])
    for step in steps:
        assert step["reward"] == pytest.approx(step["r_t"] + step["r_s"] + step["r_f"])
        assert step["tokens_per_s"] > 0
    assert all(sum(step[part] for step in steps) > 0 for part in ("r_t", "r_f"))
    assert any(step["grad_norm"] > 0 for step in steps)


def check_model(run: Path, dataset: Dataset) -> None:
    from safetensors.torch import load_file

    made = lineage(run)
    assert isinstance(made, Lineage)
    assert made.dataset["content_hash"] == dataset.manifest.content_hash
    assert (made.recipe, made.reward, made.steps) == ("sample", "paper", 3)
    model, base = find_model(str(run)), find_model(read_training(run).model)
    assert model.weights is not None
    assert base.weights is not None
    assert (made.sha256, made.base) == (model.weights.sha256, base.weights.sha256)
    assert differences(model, dataset.manifest.stages["frames"].params["render"]) == []
    before, after = (load_file(folder / "model.safetensors") for folder in (base.weights.path, trained_model(run)))
    assert before.keys() == after.keys()
    assert sum(bool((before[name].to(after[name].dtype) != after[name]).any()) for name in after) > len(after) / 2
