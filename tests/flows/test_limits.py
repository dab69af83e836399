"""A stage that wants GPUs holds the cluster's; another does not ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

import flows.build_dataset as building
from flows.limits import GPU_LIMIT, gpu_slot
from tasks.build.parameters import BENCHMARKS


@pytest.mark.heavy
def test_a_slot_is_taken_for_the_length_of_the_block(server: Any) -> None:
    def taken() -> int:
        return server.ask(f"v2/concurrency_limits/{GPU_LIMIT}")["active_slots"]

    here = {PREFECT_API_URL: server.env["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: server.env["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(here):
        with gpu_slot(0.5):
            assert taken() == 1
        assert taken() == 0
        with gpu_slot(0):
            assert taken() == 0


def test_both_stages_run_on_the_gpus_and_what_follows_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, square_clip: Path
) -> None:
    happened: list[str] = []

    @contextmanager
    def slot(gpus: float) -> Iterator[None]:
        happened.append(f"take {gpus}")
        yield
        happened.append("give back")

    def step(name: str) -> Callable[..., SimpleNamespace]:
        return lambda *_given: happened.append(name) or SimpleNamespace(content_hash="0")

    for name in ("plan", "masks", "frames", "publish", "preview"):
        monkeypatch.setattr(building, name, step(name))
    monkeypatch.setattr(building, "get_run_logger", getLogger)
    monkeypatch.setattr(building, "gpu_slot", slot)
    building.run(BENCHMARKS["folder"](videos=str(square_clip.parent), root=str(tmp_path), pool={"gpus_per_worker": 0.5}))
    assert happened == ["plan", "take 0.5", "masks", "frames", "give back", "publish", "preview"]
