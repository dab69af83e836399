"""The project's logger: `-v` or `STVG_LOG` sets its level, and inside flows Prefect keeps its records with the run."""

from __future__ import annotations

import logging
import tempfile
import traceback
from pathlib import Path

from storage.common.environment import variable

NAME = "stvg"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def logger(module: str) -> logging.Logger:
    """The logger of a module.

    Args:
        module: its `__name__`.
    """
    return logging.getLogger(f"{NAME}.{module}")


def configure(verbose: bool = False) -> None:
    """Write the records of the project's loggers to standard error.

    Args:
        verbose: whether records of every level are written; else those of the level `STVG_LOG` and above.
    """
    root = logging.getLogger(NAME)
    level = "DEBUG" if verbose else variable("STVG_LOG").upper()
    root.setLevel(level if level in logging.getLevelNamesMapping() else "WARNING")
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)


def traceback_file(error: BaseException) -> Path:
    """Write the traceback of an error into a new file among the temporary files, and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="stvg-", suffix=".log", delete=False, encoding="utf-8") as file:
        file.writelines(traceback.format_exception(error))
    return Path(file.name)
