"""GRPO through verl's unchanged vLLM rollout, on a CPU: what production runs on GPUs, but for the devices."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl.training.checkpoints import read_metrics
from rl.training.records import read_lineage

pytestmark = pytest.mark.heavy


def test_three_steps_with_vllm_agree_with_the_actor(driver_of: Callable[..., Any]) -> None:
    if not (place := os.environ.get("STVG_VLLM")):
        pytest.skip("a vLLM for CPUs is not here: it takes the place of vllm, so it has an environment of its own, STVG_VLLM")
    driver = driver_of("sample", {"rollout.name": "vllm", "batch.max_prompt_tokens": 1024}, steps=3)
    driver.python = str(Path(place, "bin", "python"))
    driver.finish()
    steps = read_metrics(driver.run)
    assert [step.step for step in steps] == [1, 2, 3]
    assert all((step.pearson or 0) > 0.999 for step in steps), (
        "weights, pixels and positions are the actor's, after each update"
    )
    assert any((step.grad_norm or 0) > 0 for step in steps)
    made = read_lineage(driver.run)
    assert made is not None
    assert made.sha256 != made.base_sha256, "its weights changed"
    assert made.versions["vllm"], "as what it is known to verl"
