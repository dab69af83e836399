"""The command `stvg report`."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    where: Annotated[
        str, typer.Argument(help="Folder of evaluations or of one evaluation, a path or an s3:// URL.")
    ] = "evaluations",
    root: Annotated[str, typer.Option(help="Folder that holds the datasets.")] = "datasets",
    samples: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of samples with frames.")] = 60,
) -> None:
    """Write the report of a folder, and print its URI."""
    from rl.evaluation.report.write import folder_report

    print(folder_report(where, root, samples))
