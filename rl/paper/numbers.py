"""Tables of the paper as `paper.toml` holds them: printed numbers, and the model, training and protocol of each row."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from storage.common.errors import InputError

CEILING = "ceiling"
"""Protocol of rows that score the true times and true IDs; no model is evaluated."""


class PaperError(InputError):
    """A table or a row that the paper does not have."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: Name as printed.
        values: Benchmark -> numbers in per cent, in the order of the table's metrics; nan for a dash.
        model: Model that is evaluated; empty for a model of other authors, which is not run here.
        training: Training variant before the evaluation; empty for none.
        protocol: Evaluation protocol, or `CEILING`; empty for a model of other authors.
        build: Parameters of the dataset's build that differ from the default; None for none.
        note: Note for readers.
    """

    name: str
    values: Mapping[str, tuple[float, ...]]
    model: str = ""
    training: str = ""
    protocol: str = ""
    build: Mapping[str, bool | float | str] | None = None
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether the row can be run here, given weights and hardware."""
        return bool(self.protocol)


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        title: Title of the table.
        metrics: Benchmark -> names of its metrics, in the order of a row's numbers.
        rows: Rows as printed.
    """

    title: str
    metrics: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of this name.

        Raises:
            PaperError: There is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise PaperError(f"'{self.title}' has no row '{name}': choose from {', '.join(row.name for row in self.rows)}")


@dataclass(frozen=True)
class TrainingVariant:
    """A training that rows refer to.

    Attributes:
        kind: `grpo`, or `sft` for supervised fine-tuning on target responses.
        reward: Name of the reward in `rl.rewards`; empty for `sft`.
        protocol: Prompt protocol.
    """

    kind: str = "grpo"
    reward: str = ""
    protocol: str = "marked"

    @property
    def given(self) -> dict[str, str]:
        """Parameters of the training that the variant sets."""
        return {"protocol": self.protocol, **({"reward": self.reward} if self.reward else {})}


@cache
def tables() -> Mapping[str, Table]:
    """Every table by its number; rewards by the number of their section."""
    return TypeAdapter(dict[str, Table]).validate_python(_paper()["tables"])


@cache
def variants() -> Mapping[str, TrainingVariant]:
    """Every training variant by name."""
    return TypeAdapter(dict[str, TrainingVariant]).validate_python(_paper()["trainings"])


def _paper() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))


def table_named(number: str | int) -> Table:
    """A table by its number, such as 7, `4.5` or `A.9`.

    Raises:
        PaperError: The paper has no such table.
    """
    if str(number) not in tables():
        raise PaperError(f"the paper has no table '{number}': choose from {', '.join(tables())}")
    return tables()[str(number)]


def table_name(number: str) -> str:
    """Name of a table for deployments and people: `table-7`."""
    return f"table-{number.lower()}"
