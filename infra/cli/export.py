"""The command that writes a dataset for other tools: `stvg export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.console import Bars, show_report
from infra.cli.options import AsJson


def export(
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help="coco, ytvis, hf, fiftyone or released; docs/interoperability.md.")
    ],
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a published dataset.")],
    out: Annotated[Path, typer.Argument(help="The folder to be made; it must not be there, or be empty.")],
    every: Annotated[int, typer.Option(min=1, help="Of native frames, each so many: coco and ytvis.")] = 1,
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
    told = {"folder": str(out), "format": format_, "written": counts}
    if as_json:
        print(json.dumps(told))
    else:
        show_report({**told, "written": ", ".join(f"{count} {kind}" for kind, count in counts.items())})
