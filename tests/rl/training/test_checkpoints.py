from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl.models.families import ModelError
from rl.models.trained import trained_model
from rl.rewards import RewardConfig, RewardError
from rl.training.checkpoints import CHECKPOINTS, FAILURES, METRICS_FILE, last_step, read_metrics, rewind, step_folder
from rl.training.driver import training_error
from rl.training.recipes import RECIPES
from rl.training.records import DatasetRecord, Lineage, read_lineage, write_lineage
from rl.training.reward import reward_failure, score_response
from rl.verl.errors import TrainingError

TRACKER = "latest_checkpointed_iteration.txt"
LINEAGE = Lineage(
    recipe_name="sample",
    recipe=RECIPES["sample"],
    reward=RewardConfig(),
    dataset=DatasetRecord(path="d", content_hash="h"),
    rows=("rows-1",),
    base_sha256="b",
    steps=3,
    sha256="s",
    versions={"verl": "0"},
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three steps told, two whole checkpoints, and a third that is half-written."""
    for step in (1, 2, 3):
        actor = step_folder(tmp_path, step) / "actor"
        actor.mkdir(parents=True)
        (actor / "model.pt").write_bytes(b"weights")
    (tmp_path / CHECKPOINTS / TRACKER).write_text("2")
    (tmp_path / METRICS_FILE).write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3)) + '{"step": 4, "lo')
    return tmp_path


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / CHECKPOINTS).iterdir() if path.is_dir())


def test_a_half_written_checkpoint_is_never_taken_and_goes(run: Path) -> None:
    (run / FAILURES).mkdir()
    assert [metrics.step for metrics in read_metrics(run)] == [1, 2, 3], "the line that is being written is left out"
    assert last_step(run) == 2
    assert rewind(run) == 2
    assert steps(run) == ["global_step_2"]
    assert [metrics.step for metrics in read_metrics(run)] == [1, 2]
    assert not (run / FAILURES).exists()


def test_the_newest_is_whole_where_only_its_name_is_torn(run: Path) -> None:
    """The name is written when all of the checkpoint is there, and no later step has begun."""
    (run / CHECKPOINTS / TRACKER).write_text("")
    assert last_step(run) == 3


def test_without_a_name_there_is_no_checkpoint(run: Path) -> None:
    (run / CHECKPOINTS / TRACKER).unlink()
    assert rewind(run) == 0
    assert steps(run) == []
    assert read_metrics(run) == []


def test_a_checkpoint_that_is_gone_is_named(run: Path) -> None:
    (run / CHECKPOINTS / TRACKER).write_text("7")
    with pytest.raises(TrainingError, match="global_step_7' is gone: restore it, or start in a new folder"):
        rewind(run)
    assert steps(run) == ["global_step_1", "global_step_2", "global_step_3"], "and nothing is removed"


def test_a_run_is_done_once_it_says_where_its_model_is_from(run: Path) -> None:
    assert read_lineage(run) is None
    with pytest.raises(ModelError, match="has not ended"):
        trained_model(run)
    write_lineage(run, LINEAGE)
    assert read_lineage(run) == LINEAGE
    assert trained_model(run) == run / "model"
    write_lineage(run, LINEAGE.model_copy(update={"steps": 4}))
    damaged = (run / "checkpoint.json").read_text().replace('"steps": 4', '"steps": 5')
    (run / "checkpoint.json").write_text(damaged)
    with pytest.raises(ModelError, match=r"checkpoint\.json is damaged"):
        read_lineage(run)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(28, "No space left on device"),
            "the disk of '.*' is full: .* goes on from step 2",
        ),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), "is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 128 vs 0"), "is full"),
        (TrainingError("'loss' of step 3 is nan"), "'loss' of step 3 is nan"),
        (ValueError("ray::x()\n  File ...\nValueError: no such thing\n"), "the training broke: ValueError: no such thing"),
        (RuntimeError(), "the training broke: RuntimeError"),
    ],
)
def test_what_breaks_a_training_is_one_sentence(run: Path, error: Exception, told: str) -> None:
    with pytest.raises(TrainingError, match=told) as found:
        raise training_error(error, run)
    assert "\n" not in str(found.value)
    assert steps(run) == ["global_step_2"], "room is made at once"


def test_a_reward_that_raises_is_named_with_its_sample(run: Path) -> None:
    how = {"failures": str(run / FAILURES), "reward": "paper"}
    with pytest.raises(RewardError):
        score_response("d", "<answer>1</answer>", "no truth", {"sample_id": "a/stvg"}, **how)
    failure = reward_failure(run / FAILURES)
    assert failure is not None
    assert failure.sample == "a/stvg"
    assert failure.reason.startswith("RewardError: ")
    assert str(training_error(RuntimeError("answers are missing"), run)).startswith(
        "the reward of an answer to 'a/stvg' raised RewardError: "
    )
