"""Prefect's UI as the control room, in a real browser: forms, a run from one to its end, artifacts, cancelling, a schedule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.control_room import ControlRoom

pytestmark = pytest.mark.heavy

FAMILIES = (
    "build-dataset/folder",
    "evaluate/sample",
    "ground/video",
    "train-grpo/sample",
    "sweep/file",
    "reproduce/table-7",
    "nightly/benchmarks",
)
"""One form a family: `test_deployments` holds the schema of each."""
PATIENCE_S = 240


@pytest.fixture
def room(browser: Any, server: Any) -> Iterator[ControlRoom]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    yield ControlRoom(page, server.env)
    page.close()


def until(found: Callable[[], Any]) -> Any:
    """Ask until there is an answer; a busy machine may take long, never for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"nothing within {PATIENCE_S} s")


def ended(server: Any, run_id: str) -> str:
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    return until(lambda: final & {server.flow_run(run_id)["state_type"]}).pop()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_form_shows_each_parameter_with_its_sentence_bounds_and_default(room: ControlRoom, name: str) -> None:
    schema = room.form(name)
    shown, expected = room.fields(), fields_of(schema["properties"])
    assert len(shown) == len(expected)
    for field in expected:
        if "properties" in field:
            assert (field["title"], field["description"]) in [row[:2] for row in shown]
        else:
            assert (field["title"], field["description"], as_shown(field.get("default", ""))) in shown


def fields_of(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Every field of a form and of its groups, a group before its fields."""
    return [one for field in properties.values() for one in (field, *fields_of(field.get("properties", {})))]


def as_shown(default: Any) -> str:
    """A default as the UI writes it: numbers as JavaScript does, an empty list as a sentence with a button."""
    if default == []:
        return "No items in this list\n\nAdd item"
    if isinstance(default, bool):
        return str(default).lower()
    return str(int(default)) if isinstance(default, float) and default.is_integer() else str(default)


def test_a_run_from_the_form_moves_finishes_and_shows_what_it_made(room: ControlRoom, server: Any, tmp_path: Path) -> None:
    room.form("build-dataset/sample")
    room.fill("Datasets folder", tmp_path)
    room.fill("Error budget", 0.6)
    room.fill("Videos", 5_000_000)
    assert "5000000 is greater than the maximum of 10000" in str(room.submit())
    room.fill("Videos", 6)
    run = room.submit()

    def moving() -> Any:
        there = server.artifacts(run).get("masks")
        return there if there and 0 < float(there["data"]) < 100 else None

    assert "of 13 videos" in room.artifact(until(moving))
    assert ended(server, run["id"]) == "COMPLETED"
    room.run(run["id"], "Artifacts")
    assert room.page.get_by_text("Completed", exact=True).first.is_visible()
    for key in ("plan", "outcomes", "quality", "preview"):
        room.page.locator(".artifact-card, .p-card", has_text=key).first.wait_for()
    made = server.artifacts(run)
    assert "masks" in room.artifact(made["plan"])
    text = room.artifact(made["outcomes"])
    assert "quarantined" in text
    assert "not_a_video" in text
    assert "ceiling m_vIoU" in room.artifact(made["quality"])
    room.artifact(made["preview"])
    assert (tmp_path / "sample" / "preview.html").as_uri() in room.page.content()
    _evaluated(room, server, tmp_path)


def _evaluated(room: ControlRoom, server: Any, root: Path) -> None:
    """Scores and the link to the report of an evaluation that is started from its form."""
    room.form("evaluate/sample")
    for title, value in {
        "Model": "tiny",
        "Maximum tokens": 8,
        "Limit": 2,
        "Datasets folder": root,
        "Evaluations folder": root / "out",
    }.items():
        room.fill(title, value)
    run = room.submit()
    assert ended(server, run["id"]) == "COMPLETED"
    made = server.artifacts(run)
    assert "m_vIoU" in room.artifact(made["scores"])
    room.artifact(made["report"])
    [page] = (root / "out").rglob("report.html")
    assert page.as_uri() in room.page.content()


def test_cancelling_from_the_page_of_a_run_leaves_no_process(
    room: ControlRoom, server: Any, tmp_path: Path, clips: Path
) -> None:
    given = {"root": str(tmp_path), "videos": str(clips), "detector": {"name": "motion"}, "pool": {"workers": 1}}
    run_id = server.start("build-dataset/folder", **given)
    until(lambda: list(tmp_path.glob("folder/masks-*/parts/*.json")))
    engines = [p for p in psutil.Process().children(recursive=True) if "prefect.engine" in _command(p)]
    family = [process for engine in engines for process in (engine, *engine.children(recursive=True))]
    assert len(family) > 3, "the run, its Ray and its worker"
    room.cancel(run_id)
    # On its way a run may be told crashed: its process tells of its own end before the one that ended it does.
    until(lambda: server.flow_run(run_id)["state_type"] == "CANCELLED")
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def test_the_nightly_has_its_schedule(room: ControlRoom) -> None:
    room.deployment("nightly/benchmarks")
    room.page.get_by_text("At 03:00 AM every day").wait_for()
