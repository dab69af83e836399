from __future__ import annotations

import pytest
import ray

from rl.training import fit
from rl.training.errors import TrainingError
from rl.training.recipe import RECIPES


@pytest.mark.parametrize(
    ("recipe", "free", "told"),
    [
        ("stvg-r1", 3.0, "8 GPUs are needed, and 3 of the cluster's 8 are free"),
        ("sample", 0.0, r"1 training slots \(nodes started with --num-gpus\) are needed, and 0 of the cluster's 8 are free"),
    ],
)
def test_too_few_devices_are_counted(monkeypatch: pytest.MonkeyPatch, recipe: str, free: float, told: str) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 8.0})
    monkeypatch.setattr(ray, "available_resources", lambda: {"GPU": free})
    with pytest.raises(TrainingError, match=told):
        fit._check_devices(RECIPES[recipe])
    monkeypatch.setattr(ray, "available_resources", lambda: {"GPU": 8.0})
    fit._check_devices(RECIPES[recipe])


def test_a_second_training_on_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """verl would take the other's queue for its own."""
    monkeypatch.setattr(fit, "PATIENCE_S", 0.05)
    monkeypatch.setattr(fit, "LOOK_S", 0.01)
    monkeypatch.setattr(ray, "get_actor", lambda *_, **__: object())
    with pytest.raises(TrainingError, match="another training is at work on this Ray cluster"):
        fit._wait_alone()
    there = iter([object()])

    def vanishing(*_: object, **__: object) -> object:
        try:
            return next(there)
        except StopIteration:
            raise ValueError("no such actor") from None

    monkeypatch.setattr(fit, "PATIENCE_S", 5.0)
    monkeypatch.setattr(ray, "get_actor", vanishing)
    fit._wait_alone()


def test_workers_of_a_cpu_know_their_platform() -> None:
    assert fit._environment(RECIPES["sample"])["VERL_PLATFORM"] == "cpu"
    assert "VERL_PLATFORM" not in fit._environment(RECIPES["stvg-r1"])
    assert fit._environment(RECIPES["stvg-r1"])["VERL_USE_EXTERNAL_MODULES"] == "rl.verl.plugin"
