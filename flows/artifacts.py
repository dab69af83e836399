"""What flows show, kept small: the server holds an artifact whole, and a browser draws it whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import httpx
from prefect.artifacts import create_link_artifact, create_progress_artifact, update_progress_artifact

from infra.build import seldom
from storage.progress import OnProgress, Progress

MOST_ROWS = 500
"""Rows of a table artifact."""


def progress_artifact(key: str, about: str, told: Callable[[Progress], str]) -> OnProgress:
    """One progress artifact, updated by the driver alone and not for every item; `told` says in a phrase how far it is."""
    artifact = create_progress_artifact(0.0, key=key, description=about)

    def report(progress: Progress) -> None:
        share = 100 * progress.completed / progress.total
        with suppress(httpx.HTTPError):  # a server that is being restarted costs no work
            update_progress_artifact(artifact, share, description=told(progress))  # type: ignore[arg-type]

    return seldom(report)


def report_artifact(page: str, of: str) -> None:
    """A link to a report."""
    create_link_artifact(page, link_text="Report", key="report", description=f"Report of {of}")
