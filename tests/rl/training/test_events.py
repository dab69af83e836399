from __future__ import annotations

import pytest

from rl.training.events import DriverEvent, EndEvent, StepEvent, parse_event, print_driver_event
from rl.verl.metrics import StepMetrics


@pytest.mark.parametrize(
    "event",
    [
        StepEvent(metrics=StepMetrics(step=3, total_steps=9, loss=0.5, timing={"gen": 1.5})),
        EndEvent(folder="f", steps=9, sha256="s"),
    ],
    ids=["step", "end"],
)
def test_an_event_is_read_from_its_line(event: DriverEvent, capsys: pytest.CaptureFixture[str]) -> None:
    print_driver_event(event)
    [line] = capsys.readouterr().out.splitlines()
    assert parse_event(line) == event


@pytest.mark.parametrize(
    "line", ["", "step:3 - loss:0.5", "{", "[]", '{"event": "step"}', '{"step": {"step": 1}}', '{"event": "stop"}']
)
def test_other_lines_are_no_events(line: str) -> None:
    assert parse_event(line) is None
