"""The driver as a process on this machine: its errors, and the log that keeps their tracebacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.training import launch
from rl.training.launch import LOG, run_local_driver, run_training
from rl.verl.errors import TrainingError, TrainingInputError
from storage.common.errors import InputError


def test_what_cannot_be_started_is_the_drivers_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match=r"is not the folder of a training: it has no run\.json \('.*driver\.log' has"):
        run_training(tmp_path, lambda _: None)
    assert issubclass(TrainingInputError, InputError)


def test_an_unforeseen_error_keeps_its_traceback_in_the_log_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "driver_arguments", lambda _: ["-c", "print('one'); raise KeyError('lost')"])
    lines: list[str] = []
    with pytest.raises(TrainingError, match=r"the driver failed: KeyError: 'lost' \('.*driver\.log' has the details\)$"):
        run_local_driver(tmp_path, lines.append)
    assert "Traceback (most recent call last)" in (tmp_path / LOG).read_text()
    assert "one" in lines


def test_a_driver_that_was_killed_is_told_by_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "driver_arguments", lambda _: ["-c", "import os; os.kill(os.getpid(), 9)"])
    with pytest.raises(TrainingError, match="the driver was ended by signal 9"):
        run_local_driver(tmp_path, lambda _: None)
