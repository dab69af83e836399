"""The environment is read in one place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from storage.common.environment import VARIABLES, module_environment, set_defaults, variable

ROOT = Path(__file__).resolve().parents[3]


def test_a_variable_that_is_unset_or_empty_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", "")
    assert variable("STVG_WEIGHTS") == VARIABLES["STVG_WEIGHTS"]
    monkeypatch.setenv("STVG_WEIGHTS", "elsewhere")
    assert variable("STVG_WEIGHTS") == "elsewhere"
    with pytest.raises(KeyError):
        variable("STVG_SOMETHING")


def test_defaults_leave_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_CODE", "upload")
    set_defaults({"STVG_CODE": "image"})
    assert variable("STVG_CODE") == "upload"


def test_another_python_finds_the_same_modules() -> None:
    environment = module_environment(STVG_CODE="upload")
    assert environment["STVG_CODE"] == "upload"
    assert set(environment["PYTHONPATH"].split(":")) == set(filter(None, sys.path))


def test_no_other_module_reads_the_environment() -> None:
    """verl's worker processes read its own variables, before a module of this project can be imported there."""
    folders = ("flows", "infra", "rl", "tasks", "storage")
    readers = {
        path.relative_to(ROOT) for name in folders for path in (ROOT / name).rglob("*.py") if "os.environ" in path.read_text()
    }
    excepted = {path for path in readers if path.parts[:2] in {("rl", "verl"), ("rl", "training")}}
    assert readers - excepted == {Path("storage/common/environment.py")}
