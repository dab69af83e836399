"""Base classes of the project's errors: each message is one sentence that names the thing and the remedy.

The base class decides how an error ends a command and whether a task is retried, so no list of error types is kept anywhere.
"""

from __future__ import annotations

from typing import ClassVar


class StvgError(Exception):
    """A foreseen error: printed as one sentence, without a traceback.

    Attributes:
        exit_code: exit code of a command that the error ends.
    """

    exit_code: ClassVar[int] = 1


class InputError(StvgError):
    """Input that a person must correct: another attempt with the same input fails in the same way."""

    exit_code = 2


class TransientError(StvgError):
    """A fault that another attempt may pass; completed work is kept."""
