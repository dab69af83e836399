"""The commands that judge: `stvg score` and `stvg quality`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from storage.folders import is_url
from storage.manifest import DatasetError
from storage.reader import Dataset
from tasks.metrics.cases import convention_named

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def score(
    what: Annotated[str, typer.Argument(help="A case file (JSON), or the folder or s3:// URL of a published dataset.")],
    predictions: Annotated[
        Path | None, typer.Argument(help="For a dataset: JSON Lines or Parquet; without it, the ceiling: true times and IDs.")
    ] = None,
    convention: Annotated[str, typer.Option(help="Whose rules to follow; see docs/conventions.md.")] = "paper",
    as_json: AsJson = False,
) -> None:
    """Score predictions under a named convention: a case file, or a dataset with a predictions file."""
    from infra.console import show_scores
    from tasks.metrics.cases import read_cases, score_cases

    if is_url(what) or Path(what).is_dir():
        from tasks.scoring import score_dataset

        told = score_dataset(Dataset(what), predictions, convention).as_dict()
    elif predictions is not None:
        raise DatasetError(f"'{what}' is no dataset's folder: a case file holds its own predictions")
    else:
        convention_named(convention)
        told = score_cases(read_cases(Path(what)), convention).as_dict()
    if as_json:
        print(json.dumps(told))
    else:
        show_scores(told)


def quality(
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a published dataset.")], as_json: AsJson = False
) -> None:
    """Show what the best possible answers on a dataset would score, per size filter, and how identities hold."""
    from infra.console import show_report
    from tasks.quality import quality as measure
    from tasks.quality import quality_rows

    found = measure(Dataset(dataset))
    if found is None:
        raise DatasetError(f"'{dataset}' holds no sample with true boxes: there is nothing to measure its quality against")
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        show_report({"identity": found.identity, "quality": quality_rows(found)})
