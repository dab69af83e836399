from __future__ import annotations

import os

import pytest
import ray

from rl.training.recipes import RECIPES
from rl.verl import session
from rl.verl.errors import TrainingError


@pytest.mark.parametrize(
    ("recipe", "free", "told"),
    [
        ("stvg-r1", 3.0, "8 GPUs are needed, and 3 of the cluster's 8 are free"),
        ("sample", 0.0, r"1 training slots \(nodes started with --num-gpus\) are needed, and 0 of the cluster's 8 are free"),
    ],
)
def test_too_few_devices_are_counted(monkeypatch: pytest.MonkeyPatch, recipe: str, free: float, told: str) -> None:
    system, batch = RECIPES[recipe].system, RECIPES[recipe].batch
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 8.0})
    monkeypatch.setattr(ray, "available_resources", lambda: {"GPU": free})
    with pytest.raises(TrainingError, match=told):
        session.check_devices(system.platform, batch.devices)
    monkeypatch.setattr(ray, "available_resources", lambda: {"GPU": 8.0})
    session.check_devices(system.platform, batch.devices)


def test_a_second_training_on_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """verl would take the other's queue for its own."""
    monkeypatch.setattr(session, "QUEUE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(session, "QUEUE_POLL_S", 0.01)
    monkeypatch.setattr(ray, "get_actor", lambda *_, **__: object())
    with pytest.raises(TrainingError, match="another training is running on this Ray cluster"):
        session.wait_for_queue()
    there = iter([object()])

    def vanishing(*_: object, **__: object) -> object:
        try:
            return next(there)
        except StopIteration:
            raise ValueError("no such actor") from None

    monkeypatch.setattr(session, "QUEUE_TIMEOUT_S", 5.0)
    monkeypatch.setattr(ray, "get_actor", vanishing)
    session.wait_for_queue()


def test_workers_of_a_cpu_know_their_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    assert session.set_training_environment("cpu")["VERL_PLATFORM"] == "cpu"
    assert "VERL_PLATFORM" not in session.set_training_environment("cuda")
    assert session.set_training_environment("cuda")["VERL_USE_EXTERNAL_MODULES"] == "rl.verl.plugin"
    assert os.environ["VERL_USE_EXTERNAL_MODULES"] == "rl.verl.plugin"
