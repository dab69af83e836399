"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["there", "absent", "needed"]
"""`absent`: missing or broken, and no default needs it; `needed`: the defaults do not work without it."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked for.
        state: how it is.
        found: what is there, a short phrase without a secret in it.
        remedy: what to do; empty for what is there.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


Check = Callable[[], Iterator[Finding]]
"""Looks at one thing; takes seconds at most."""
