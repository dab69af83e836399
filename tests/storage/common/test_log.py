"""The project's logger and its level."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from storage.common.log import NAME, configure, logger


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The project's root logger, put back as it was."""
    root = logging.getLogger(NAME)
    level, handlers = root.level, list(root.handlers)
    root.handlers.clear()
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.parametrize(
    ("variable", "verbose", "level"), [("", False, "WARNING"), ("info", False, "INFO"), ("error", True, "DEBUG")]
)
def test_the_level_is_that_of_the_variable_unless_verbose(
    variable: str, verbose: bool, level: str, root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STVG_LOG", variable)
    configure(verbose)
    assert logging.getLevelName(root.level) == level


def test_a_level_nobody_knows_is_the_default(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_LOG", "loud")
    configure()
    assert root.level == logging.WARNING


def test_records_go_to_standard_error_once(capsys: pytest.CaptureFixture[str], root: logging.Logger) -> None:
    configure(verbose=True)
    configure(verbose=True)
    logger("tasks.build").debug("a message")
    assert capsys.readouterr().err.count("DEBUG stvg.tasks.build: a message") == 1
