"""Errors of a training."""

from __future__ import annotations

from storage.common.errors import InputError, TransientError


class TrainingError(TransientError):
    """A training that broke: it can be started again, and resumes from its last complete checkpoint."""


class TrainingInputError(InputError):
    """A training that its driver could not start; the message is the driver's."""


class VerlError(InputError):
    """A library whose private parts are not those that this code was written for."""
