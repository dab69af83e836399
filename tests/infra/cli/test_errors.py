"""Errors at the command line: a sentence and an exit code; the traceback of an unexpected one is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.cli import app, commands
from infra.cli.lazy import Entry
from storage.common.errors import TransientError


def broken() -> None:
    """Fail as no one expects."""
    raise KeyError("no such\nkey")


def failing() -> None:
    """Fail as expected."""
    raise TransientError("the server is away: start it")


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(commands.COMMANDS, "broken", Entry("Fails.", lambda: broken))
    monkeypatch.setitem(commands.COMMANDS, "failing", Entry("Fails.", lambda: failing))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["stvg", *arguments])
    with pytest.raises(SystemExit) as ending:
        app.run()
    assert isinstance(ending.value.code, int)
    return ending.value.code


def test_an_unexpected_error_keeps_its_traceback_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(monkeypatch, "broken") == 1
    error = capsys.readouterr().err
    named = re.search(r"the traceback is in (\S+\.log)\)", error)
    assert error.startswith("error: KeyError: ")
    assert error.count("\n") == 1
    assert named is not None
    trace = Path(named[1]).read_text()
    assert trace.startswith("Traceback")
    assert "in broken" in trace


def test_a_foreseen_error_has_no_traceback_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "failing") == 1
    assert capsys.readouterr().err == "error: the server is away: start it\n"


def test_verbose_logs_the_traceback_of_every_error(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "stvg"):
        assert run(monkeypatch, "failing", "-v") == 1
    assert "in failing" in caplog.text
