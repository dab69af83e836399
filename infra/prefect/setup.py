"""Parameters of `stvg setup`: the limits and automations of a Prefect server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from storage.common.config import Config


class SetupParameters(Config):
    """Limits and automations of a server."""

    site_tables: ClassVar[tuple[str, ...]] = ("setup",)

    gpu_runs: int = Field(
        default=1, title="GPU runs", ge=1, le=1000, description="Maximum number of runs that hold the GPUs at the same time."
    )
    crashed_after_s: int = Field(
        default=120,
        title="Crashed after",
        ge=45,
        le=86_400,
        description="Seconds without a heartbeat, sent every 30 s, after which a run is marked as crashed.",
    )
    notify: str = Field(
        default="",
        title="Notification block",
        pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$",
        description="The block that is notified of failures, as <block-type>/<name>; empty leaves notifications as they are.",
    )
