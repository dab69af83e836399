"""`stvg export`: writes a dataset in the layout of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.console import Bars, show_report
from infra.cli.options import AsJson


def export(
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help="Name of the layout: coco, ytvis, hf, fiftyone or released.")
    ],
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a published dataset.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; it must be new or empty.")],
    every: Annotated[int, typer.Option(min=1, help="Write only every n-th native frame (coco, ytvis).")] = 1,
    media: Annotated[
        bool, typer.Option("--media", help="Also write the frames as JPEG (coco, ytvis), or copy the videos (fiftyone).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in the layout of another tool."""
    from storage.reader import Dataset
    from tasks.exchange.base import ExportOptions
    from tasks.exchange.export import export_dataset as write

    with Bars(as_json) as bars:
        counts = write(Dataset(dataset), format_, out, ExportOptions(every, media), bars.update)
    summary = {"folder": str(out), "format": format_}
    if as_json:
        print(json.dumps({**summary, "written": counts}))
    else:
        show_report({**summary, "written": ", ".join(f"{count} {kind}" for kind, count in counts.items())})
