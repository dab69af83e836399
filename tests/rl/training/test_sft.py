"""Supervised fine-tuning from start to end: its loss is the answers' cross-entropy, and a killed one goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import append_answer, load_processor, prepare_batch
from rl.models.registry import find_model
from rl.rewards.truth import read_truth
from rl.training.checkpoints import last_step, read_metrics
from rl.training.records import read_lineage, read_run
from rl.training.targets import target_response

pytestmark = pytest.mark.heavy

ROWS = 6
CLOSE = 1e-5


def mean_cross_entropy(run: Path) -> float:
    """Of every token of the true answers to all training rows, answer for answer, by the model that is trained."""
    import torch
    from transformers import AutoModelForImageTextToText

    training = read_run(run)
    model = find_model(training.model)
    processor, plain = load_processor(model), AutoModelForImageTextToText.from_pretrained(training.model)
    total = tokens = 0.0
    rows = pq.read_table(Path(training.rows[0]) / "train.parquet").to_pylist()
    assert len(rows) == ROWS
    for row in rows:
        [video] = row["videos"]
        visual = VisualInput(tuple(video["frames"]), (video["width"], video["height"]), video["fps"], tuple(video["times_s"]))
        asked = prepare_batch(processor, model.family, plain.config, [Request("", row["prompt"], visual)])
        said = target_response(read_truth(row["reward_model"]["ground_truth"])) + "<|im_end|>"
        answer = processor.tokenizer(said, return_tensors="pt")["input_ids"]
        inputs = append_answer(asked, answer, plain.config)
        names = ("input_ids", "attention_mask", "position_ids", "pixel_values_videos", "video_grid_thw")
        with torch.no_grad():
            logits = plain(**{name: inputs[name] for name in names}).logits[0, -1 - answer.shape[1] : -1]
        total += float(torch.nn.functional.cross_entropy(logits, answer[0], reduction="sum"))
        tokens += answer.shape[1]
    return total / tokens


def test_true_answers_are_learned_by_their_cross_entropy_and_a_killed_training_goes_on(driver_of: Callable[..., Any]) -> None:
    driver = driver_of("sample-sft", {"batch.devices": 2, "batch.prompts_per_device": ROWS // 2}, steps=3)
    run = driver.run
    driver.kill_once(lambda: last_step(run) == 1)
    driver.finish()
    steps = read_metrics(run)
    assert [step.step for step in steps] == [1, 2, 3], "each step is told once"
    losses = [step.loss or 0.0 for step in steps]
    assert losses[0] == pytest.approx(mean_cross_entropy(run), abs=CLOSE), "two parts of three, one mean"
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.05
    assert [step.learning_rate for step in steps] == pytest.approx([2e-3 / 3, 1e-3 / 3, 0.0])
    assert all((step.grad_norm or 0) > 0 and (step.response_tokens or 0) > 10 for step in steps)
    made = read_lineage(run)
    assert made is not None
    assert (made.recipe_name, made.steps) == ("sample-sft", 3)
    model = find_model(str(run))
    assert model.weights is not None
    assert made.sha256 == model.weights.sha256 != made.base_sha256
