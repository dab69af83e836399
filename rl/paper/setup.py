"""Setup file of tables: how datasets are built, which models stand for the paper's, and parameters of every run."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from rl.paper.numbers import PaperError
from storage.common.config import error_text

SETUP = "reproduce.toml"
"""Name of the setup file, unless another is given."""
MINIATURE = Path(__file__).with_name("miniature.toml")
"""Setup of tiny models and the generated benchmark."""


class Setup(BaseModel):
    """Content of a setup file; groups of parameters are given by dotted paths, as `"markers.size" = 40`.

    Attributes:
        builds: Dataset -> parameters of its build; `benchmark` among them replaces the benchmark of the dataset's name.
        models: Model of the paper -> name or folder of the model that stands for it.
        training: Parameters of every training; `recipe_name` among them replaces the paper's recipe.
        evaluate: Parameters of every evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    builds: dict[str, dict[str, JsonValue]] = {}
    models: dict[str, str] = {}
    training: dict[str, JsonValue] = {}
    evaluate: dict[str, JsonValue] = {}


def read_setup(path: str) -> Setup:
    """Read a setup file; the default one may be missing, for users who have built all datasets and need no other setting.

    Raises:
        PaperError: The file does not exist or is not a setup.
    """
    if path == SETUP and not Path(path).exists():
        return Setup()
    try:
        return Setup.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise PaperError(f"'{path}' is no setup of tables: {error_text(error)}") from error
