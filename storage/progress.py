"""Progress of long work, as every stage reports it to bars, artifacts and logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storage.outcomes import Outcome


@dataclass(frozen=True)
class Progress:
    """Progress of one stage.

    Attributes:
        stage: name of the stage, such as `masks`, `samples` or `steps`.
        completed: items that have ended, lost ones included.
        total: items that this run has to process.
        lost: completed items without a result.
        outcome: outcome of the item that ended last, where the item is a video of this process; None elsewhere.
    """

    stage: str
    completed: int
    total: int
    lost: int = 0
    outcome: Outcome | None = None


OnProgress = Callable[[Progress], None]
"""Called each time an item ends."""


def no_progress(_progress: Progress) -> None:
    """An `OnProgress` that ignores what it is given."""
