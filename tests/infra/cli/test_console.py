"""What comes out of files is text: no markup, no escape, no line of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.build import show_findings
from infra.cli.console import printable, show_report
from tasks.build.check import InputFinding

HOSTILE = "[/red][bold]:smile: \x1b[2J\nerror: all is well"


def test_hostile_names_are_shown_as_they_are_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_report({"detail": HOSTILE, "rows": [{"name": HOSTILE}]})
    show_findings({HOSTILE: 1}, {"missing": 1}, [InputFinding(HOSTILE, Path("x"), "missing", HOSTILE, 2)])
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "[/red][bold]:smile: \\x1b[2J error: all is well" in shown
    assert printable("a\ud800b\tc") == "a\\ud800b c"


def test_an_error_that_quotes_a_hostile_name_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "own.jsonl").write_text('{"video": "../[/red]\\u001b[2J.mp4", "sentence": "x"}')
    stvg = Path(sys.executable).with_name("stvg")
    done = subprocess.run(
        [stvg, "check", "own", "own.jsonl", "videos"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "[/red]" in done.stderr
    assert "\x1b[2J" not in done.stderr
    assert done.stderr.count("\n") == 1
