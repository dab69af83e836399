"""The command `stvg report`."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.report import report_of
from rl.evaluation.report.page import MOST_SAMPLES


def report(
    where: Annotated[str, typer.Argument(help="An evaluations folder, or that of one evaluation; s3:// too.")] = "evaluations",
    root: Annotated[str, typer.Option(help="Where datasets are looked for by name.")] = "datasets",
    samples: Annotated[int, typer.Option(min=1, max=500, help="Most samples that are shown with their frames.")] = MOST_SAMPLES,
) -> None:
    """Write report.html: scores, the paper's tables, nights, and samples with frames, thought and answer by kind of failure."""
    print(report_of(where, root, samples))
