"""What stops a training."""

from __future__ import annotations

from storage.common.errors import TransientError


class TrainingError(TransientError):
    """A training that broke: it can be started again, and goes on from its last whole checkpoint."""
