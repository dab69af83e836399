"""`stvg requeue`, `stvg replay`, `stvg gc` and `stvg trust`: maintenance of datasets and weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from infra.cli.console import Bars, show_report
from infra.cli.options import AsJson, Yes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from storage.manifest import Manifest
    from storage.outcomes import Outcome
    from tasks.build.plan import Build
    from tasks.build.replay import Replay
    from tasks.build.requeue import Requeue

DatasetFolder = Annotated[str, typer.Argument(help="Folder or s3:// URL of a dataset.")]

_MAX_NAMES = 3


def _changes(given: Sequence[str]) -> dict[str, str]:
    from tasks.build.requeue import RequeueError

    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in pairs if not equals or name in {"root", "name"}]:
        raise RequeueError(f"--set {wrong[0]}: give it as parameter=value, such as limits.max_objects=50, and not root or name")
    return {name.replace("-", "_"): value for name, _, value in pairs}


def requeue(
    dataset: DatasetFolder,
    reason: Annotated[list[str] | None, typer.Option(help="Reason for which videos ended; may be given several times.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter that is changed for this run, as parameter=value; may be given several times."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run videos that ended for a reason again, and publish; without --reason, print the reasons."""
    from infra.ray.pool import RayPool
    from tasks.build.parameters import parameters_of
    from tasks.build.requeue import check_same_stages, plan_requeue, with_reasons
    from tasks.build.requeue import requeue as run_again

    parameters = parameters_of(dataset, _changes(set_ or ()))
    build = parameters.build()
    if set_:
        check_same_stages(parameters_of(dataset).build(), build)
    if not reason:
        _print({"dataset": dataset, "reasons": _kinds(with_reasons(build))}, as_json)
        return
    if not yes:
        hint = {} if as_json else {"next": "add --yes to run them again"}
        _print({**_summary(dataset, plan_requeue(build, reason)), **hint}, as_json)
        return
    with build.folder.lock(), RayPool(parameters.pool, parameters.ray) as pool, Bars(as_json) as bars:
        plan = plan_requeue(build, reason)
        manifest = run_again(build, plan, pool, bars.update, parameters.error_budget)
    _print({**_summary(dataset, plan), **_published(manifest, build)}, as_json)


def _kinds(endings: Sequence[Any]) -> list[JsonValue]:
    from tasks.build.requeue import reasons

    return [
        {"stage": stage, "status": status, "reason": why, "videos": len(videos), "first": ", ".join(videos[:_MAX_NAMES])}
        for stage, status, why, videos in reasons(endings)
    ]


def _summary(dataset: str, plan: Requeue) -> dict[str, JsonValue]:
    counts = {"videos": len(plan.videos), "left for stvg build": plan.left}
    return {"dataset": dataset, "requeued": _kinds(plan.endings), **counts}


def _published(manifest: Manifest, build: Build) -> dict[str, JsonValue]:
    from storage.reader import Dataset
    from tasks.preview import current_preview

    page = current_preview(Dataset(build.folder))
    return {"content_hash": manifest.content_hash, "counts": dict(manifest.counts), "preview": page}


def replay(
    dataset: DatasetFolder,
    video: Annotated[str, typer.Argument(help="ID of the video.")],
    stage: Annotated[
        Literal["masks", "frames"], typer.Option(help="Stage to run: masks from the source, or frames from the stored masks.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default a new temporary one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one stage of one video in this process, and compare the result with the stored one; the dataset stays as it is."""
    from tasks.build.parameters import parameters_of
    from tasks.build.replay import replay as run_again

    scratch = str(out or tempfile.mkdtemp(prefix="stvg-replay-"))
    result = run_again(parameters_of(dataset).build(), video, stage, scratch)
    if as_json:
        print(json.dumps({**asdict(result), "folder": str(result.folder), "differences": _differences(result)}))
    else:
        _show_replay(result)
    if result.traceback:
        raise typer.Exit(1)


def _differences(result: Replay) -> list[JsonValue]:
    return [{**asdict(difference), "equal": difference.equal} for difference in result.differences]


def _show_replay(result: Replay) -> None:
    stored = _sentence(result.stored) if result.stored else "nothing of a video with these bytes"
    outcome = {"outcome": _sentence(result.outcome), "took": f"{result.outcome.seconds:.2f} s", "stored": stored}
    show_report({**outcome, "compared": _differences(result), "written": str(result.folder)})
    if result.traceback:
        print(result.traceback, end="")


def _sentence(outcome: Outcome) -> str:
    return ": ".join(part for part in (outcome.status, outcome.reason, outcome.sentence) if part)


def gc(
    dataset: DatasetFolder,
    older_than: Annotated[float, typer.Option(min=0, help="Minimum hours since a file was last written.")] = 24,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Print the files of a dataset that nothing refers to, with sizes; with --yes, remove them."""
    from storage.folders.open import folder_at
    from storage.garbage import find_garbage, remove_garbage

    find_garbage(dataset, older_than)  # raises for a folder that is no dataset, before a lock is written there
    with folder_at(dataset).lock():
        garbage = find_garbage(dataset, older_than)
        if yes:
            remove_garbage(dataset, garbage)
    files: list[JsonValue] = [{"name": item.name, "kind": item.kind, "bytes": item.bytes} for item in garbage]
    hint = {} if as_json or yes or not garbage else {"next": "add --yes to remove them"}
    summary: dict[str, JsonValue] = {
        "dataset": dataset,
        "files": files,
        "bytes": sum(item.bytes for item in garbage),
        "removed": yes,
    }
    _print({**summary, **hint}, as_json)


def migrate(dataset: DatasetFolder, as_json: AsJson = False) -> None:
    """Bring a dataset of an earlier version to this one; nothing is detected, tracked or rendered again."""
    from tasks.build.migrate import migrate_dataset

    migration = migrate_dataset(dataset)
    hint = {"next": "stvg gc removes the old stages"} if migration.stages and not as_json else {}
    _print({"dataset": migration.dataset, "stages": dict(migration.stages), **hint}, as_json)


def trust(file: Annotated[Path, typer.Argument(help="Path of a weight file.")], as_json: AsJson = False) -> None:
    """Add a pickled weight file to the list of those that may run code when they are loaded."""
    from tasks.weights import trust_weights

    weights = trust_weights(file)
    _print({"trusted": str(weights.path), "sha256": weights.sha256}, as_json)


def _print(report: Mapping[str, JsonValue], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
    else:
        show_report(report)
