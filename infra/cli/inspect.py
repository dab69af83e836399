"""`stvg score`, `stvg quality`, `stvg inspect` and `stvg preview`: they read a dataset and print what it holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from infra.cli.console import plain, printable, show_report
from infra.cli.options import AsJson

if TYPE_CHECKING:
    from pydantic import JsonValue

    from tasks.metrics.report import ConventionScores, TaskReport

_MOST_INVALID = 10
"""Maximum number of invalid predictions that are printed with their reason."""


def score(
    what: Annotated[str, typer.Argument(help="A JSON file of cases, or the folder or s3:// URL of a published dataset.")],
    predictions: Annotated[
        Path | None,
        typer.Argument(
            help="Predictions on a dataset, JSON Lines or Parquet; without them, the true times and IDs are scored."
        ),
    ] = None,
    convention: Annotated[str, typer.Option(help="Name of the scoring convention; see docs/conventions.md.")] = "paper",
    as_json: AsJson = False,
) -> None:
    """Score predictions under a named convention: a case file, or a dataset with a predictions file."""
    from storage.folders.open import is_url
    from storage.manifest import DatasetError
    from storage.reader import Dataset
    from tasks.metrics.cases import find_convention, read_cases, score_cases

    if is_url(what) or Path(what).is_dir():
        from tasks.metrics.scoring import score_dataset

        scores = score_dataset(Dataset(what), predictions, convention)
        print(scores.model_dump_json()) if as_json else show_scores(scores)
    elif predictions is not None:
        raise DatasetError(f"'{what}' is no dataset's folder: a case file holds its own predictions")
    else:
        find_convention(convention)
        report = score_cases(read_cases(Path(what)), convention)
        print(report.model_dump_json()) if as_json else show_task_report(report)


def quality(
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a published dataset.")], as_json: AsJson = False
) -> None:
    """Show what the best possible answers on a dataset would score, per size filter, and how identities hold."""
    from storage.manifest import DatasetError
    from storage.reader import Dataset
    from tasks.metrics.quality import measure_quality as measure
    from tasks.metrics.quality_report import quality_rows

    report = measure(Dataset(dataset))
    if report is None:
        raise DatasetError(f"'{dataset}' holds no sample with true boxes: there is nothing to measure its quality against")
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        show_report({"identity": report.identity, "quality": [dict(row) for row in quality_rows(report)]})


def inspect(
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a dataset.")],
    video: Annotated[str | None, typer.Option(help="ID of a video whose objects are printed.")] = None,
    frame: Annotated[
        int | None, typer.Option(help="Index of a native frame of the video, from 0, whose instances are printed.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the files of every table, and print the damaged ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a dataset holds: its counts, a video, or a frame; or whether all of it is as it was written.

    Where a build ended without publishing, its outcomes and their reasons are printed.
    """
    from storage.reader import Dataset
    from tasks.preview.inspect import describe, describe_unpublished

    report: dict[str, JsonValue] = {}
    if video is None and not verify:
        report = describe_unpublished(dataset)
    if "published" not in report:
        data = Dataset(dataset)
        report = {"damaged": list(data.damaged_files())} if verify else {**describe(data, video, frame), **report}
    if as_json:
        print(json.dumps(report))
    else:
        show_report({name: _without_tracebacks(value) for name, value in report.items()})
    if report.get("damaged"):
        raise typer.Exit(1)


def _without_tracebacks(value: Any) -> Any:
    """Rows of lost videos with the first line of their details; other values as they are."""
    if not (isinstance(value, list) and value and "detail" in value[0]):
        return value
    return [{**row, "detail": row["detail"].partition("\n")[0]} for row in value]


def preview(
    dataset: Annotated[str, typer.Argument(help="Folder or s3:// URL of a published dataset.")],
    video: Annotated[
        str | None, typer.Option(help="ID of a video of which a clip at full frame rate is written instead.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File of that clip.")] = Path("preview.mp4"),
) -> None:
    """Write the dataset's preview page anew, or a clip of one video, and print where it is."""
    from storage.reader import Dataset

    if video is not None:
        from tasks.preview.clip import write_object_clip

        print(write_object_clip(Dataset(dataset), video, out))
        return
    from tasks.preview import write_preview

    print(write_preview(Dataset(dataset)))


def show_scores(scores: ConventionScores) -> None:
    """Print the scores of a dataset: a table for each task, without and with ID repair, then the counts."""
    for task, report in scores.results.items():
        show_task_report(report, task)
    for task, report in scores.repaired.items():
        show_task_report(report, f"{task}, with ID repair")
    counts = {"unmatched": scores.unmatched, "without truth": scores.without_truth, "unjudged": scores.unjudged}
    for name, count in counts.items():
        if count:
            plain().print(f"{name}: {count}")
    if scores.repaired:
        plain().print(f"repaired frames: {scores.repaired_frames.model_dump()}")


def show_task_report(report: TaskReport, name: str = "") -> None:
    """Print one report: means in per cent, with convention, denominator and missing samples.

    Args:
        report: of one task.
        name: of the task, printed before the convention.
    """
    columns = {"all": report.metrics, **{group: part.metrics for group, part in report.groups.items()}}
    plain().print(f"{name} ({report.convention}): {report.counts}".strip())
    for sample_id, reason in list(report.invalid.items())[:_MOST_INVALID]:
        plain().print(f"  scores zero: {printable(sample_id)}: {printable(reason)}")
    table = Table("per cent", *map(printable, columns))
    for metric in report.metrics:
        table.add_row(metric, *(f"{100 * metrics[metric].mean:.2f}" for metrics in columns.values()))
    plain().print(table)
