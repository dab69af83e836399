"""The report: every check, whatever breaks, and an exit code that says whether the defaults work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from infra.cli import doctor as command
from infra.doctor.checks import examine
from infra.doctor.findings import Finding

STVG = Path(sys.executable).with_name("stvg")


def broken() -> Iterator[Finding]:
    yield Finding("half", "there", "found before it broke")
    raise RuntimeError("postgresql://me:hunter2@db")


def needed() -> Iterator[Finding]:
    yield Finding("disk", "needed", "0 GB free", "make room")


def test_a_check_that_breaks_is_a_finding_that_tells_no_secret() -> None:
    found = examine({"first": broken, "second": needed})
    assert [(f.name, f.state) for f in found] == [("first", "absent"), ("disk", "needed")]
    assert "RuntimeError" in found[0].found
    assert "hunter2" not in str(found)


def test_what_the_defaults_need_makes_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "checks", lambda _root, _ray: {"disk": needed})
    with pytest.raises(typer.Exit) as stop:
        command.doctor(as_json=True)
    assert stop.value.exit_code == 1
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "findings": [{"name": "disk", "state": "needed", "found": "0 GB free", "remedy": "make room"}],
        "needed": ["disk"],
    }
    with pytest.raises(typer.Exit):
        command.doctor()
    shown = capsys.readouterr().out
    assert "missing" in shown
    assert "0 GB free; make room" in shown


@pytest.mark.heavy
def test_this_machine_is_examined_on_one_screen_and_without_a_heavy_import(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PREFECT_API_URL": "http://me:hunter2@127.0.0.1:9/api",
        "PREFECT_API_AUTH_STRING": "stvg:hunter3",
        "RAY_AUTH_TOKEN": "hunter4",
        "AWS_SECRET_ACCESS_KEY": "hunter5",
    }
    asked = [STVG, "doctor", "--ray", "http://me:hunter6@127.0.0.1:9"]
    shown = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "hunter" not in shown.stdout
    assert len(shown.stdout.splitlines()) <= 30
    for name in ("Python", "GPU", "packages", "weights", "Prefect server", "Ray", "disk", "codecs"):
        assert name in shown.stdout
    script = f"import sys; from infra.doctor.checks import *; examine(checks({str(tmp_path)!r}, '')); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "prefect", "cv2", "decord", "av", "ultralytics", "transformers"} & set(done.stdout.split())
