"""Findings: the lines of the report of `stvg doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["there", "absent", "needed"]
"""`there`: present and usable; `absent`: missing or broken, and no default needs it; `needed`: the defaults need it."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: the thing that was checked.
        state: whether it is present, and whether the defaults need it.
        found: what the check found, a short phrase without secrets.
        remedy: what to do; empty for a thing that is present.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


Check = Callable[[], Iterator[Finding]]
"""Checks one thing within seconds, and yields its findings."""
