"""Artifacts of flow runs, kept small: the server stores an artifact as one value, and a browser draws all of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import httpx
from prefect.artifacts import create_link_artifact, create_progress_artifact, update_progress_artifact

from infra.ray.build import throttled
from storage.progress import OnProgress, Progress

MOST_ROWS = 500
"""Maximum number of rows of a table artifact."""


def progress_artifact(key: str, description: str, phrase: Callable[[Progress], str]) -> OnProgress:
    """Create a progress artifact, which only the driver updates, and not for every item.

    Args:
        key: of the artifact.
        description: shown until the first progress.
        phrase: describes a progress, such as `3 of 12 videos`.

    Returns:
        Updates the artifact with a progress.
    """
    artifact = create_progress_artifact(0.0, key=key, description=description)

    def report(progress: Progress) -> None:
        share = 100 * progress.completed / progress.total
        with suppress(httpx.HTTPError):  # a restart of the server must not stop the work
            update_progress_artifact(artifact, share, description=phrase(progress))  # type: ignore[arg-type]

    return throttled(report)


def report_artifact(page: str, name: str) -> None:
    """Create a link to a report.

    Args:
        page: URI of the report.
        name: what the report is about.
    """
    create_link_artifact(page, link_text="Report", key="report", description=f"Report of {name}")
