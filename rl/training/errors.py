"""What stops a training."""

from __future__ import annotations


class TrainingError(Exception):
    """A training that broke: it can be started again, and goes on from its last whole checkpoint."""
