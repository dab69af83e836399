"""The commands that keep a dataset in order: `stvg requeue`, `stvg replay`, `stvg gc` and `stvg trust`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from infra.cli.console import Bars, show_report
from infra.cli.options import AsJson, Yes

if TYPE_CHECKING:
    from storage.manifest import Manifest
    from tasks.build.plan import Build
    from tasks.build.replay import Replay
    from tasks.build.requeue import Requeue

DatasetFolder = Annotated[str, typer.Argument(help="Folder or s3:// URL of a dataset.")]

_NAMES_SHOWN = 3


def _changes(given: Sequence[str]) -> dict[str, str]:
    from tasks.build.requeue import RequeueError

    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in pairs if not equals or name in {"root", "name"}]:
        raise RequeueError(f"--set {wrong[0]}: write parameter=value, say limits.max_objects=50; the dataset stays this")
    return {name.replace("-", "_"): value for name, _, value in pairs}


def requeue(
    dataset: DatasetFolder,
    reason: Annotated[list[str] | None, typer.Option(help="Why videos ended; may be given several times.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="parameter=value, changed for this run: a cap, say.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run again only the videos that ended for a reason, and publish; without --reason, show the reasons there are."""
    from infra.ray.pool import RayPool
    from tasks.build.parameters import parameters_of
    from tasks.build.requeue import check_same_stages, plan_requeue, with_reasons
    from tasks.build.requeue import requeue as run_again

    parameters = parameters_of(dataset, _changes(set_ or ()))
    build = parameters.build()
    if set_:
        check_same_stages(parameters_of(dataset).build(), build)
    if not reason:
        _tell({"dataset": dataset, "reasons": _kinds(with_reasons(build))}, as_json)
        return
    if not yes:
        asked = plan_requeue(build, reason)
        hint = {} if as_json else {"next": "add --yes to run them again"}
        _tell({**_asked(dataset, asked), **hint}, as_json)
        return
    with build.folder.lock(), RayPool(parameters.pool, parameters.ray) as pool, Bars(as_json) as bars:
        asked = plan_requeue(build, reason)
        manifest = run_again(build, asked, pool, bars.update, parameters.error_budget)
    _tell({**_asked(dataset, asked), **_published(manifest, build)}, as_json)


def _kinds(endings: Sequence[Any]) -> list[dict[str, Any]]:
    from tasks.build.requeue import reasons

    return [
        {"stage": stage, "status": status, "reason": why, "videos": len(videos), "first": ", ".join(videos[:_NAMES_SHOWN])}
        for stage, status, why, videos in reasons(endings)
    ]


def _asked(dataset: str, asked: Requeue) -> dict[str, Any]:
    told = {"dataset": dataset, "requeued": _kinds(asked.endings), "videos": len(asked.videos)}
    return {**told, "left for stvg build": asked.left}


def _published(manifest: Manifest, build: Build) -> dict[str, Any]:
    from storage.reader import Dataset
    from tasks.preview import current_preview

    page = current_preview(Dataset(build.folder))
    return {"content_hash": manifest.content_hash, "counts": manifest.counts, "preview": page}


def replay(
    dataset: DatasetFolder,
    video: Annotated[str, typer.Argument(help="ID of the video.")],
    stage: Annotated[
        Literal["masks", "frames"], typer.Option(help="What is run: masks from the source, or frames from the stored masks.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for what is written; by default a new temporary one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one stage of one video again in this process and compare it with what is stored; the dataset is left alone."""
    from tasks.build.parameters import parameters_of
    from tasks.build.replay import replay as run_again

    scratch = str(out or tempfile.mkdtemp(prefix="stvg-replay-"))
    found = run_again(parameters_of(dataset).build(), video, stage, scratch)
    if as_json:
        print(json.dumps({**asdict(found), "folder": str(found.folder), "differences": _differences(found)}))
    else:
        _show_replay(found)
    if found.traceback:
        raise typer.Exit(1)


def _differences(found: Replay) -> list[dict[str, Any]]:
    return [{**asdict(difference), "equal": difference.equal} for difference in found.differences]


def _show_replay(found: Replay) -> None:
    told: dict[str, Any] = {"outcome": _sentence(found.outcome), "took": f"{found.outcome.seconds:.2f} s"}
    told["stored"] = _sentence(found.stored) if found.stored else "nothing of a video with these bytes"
    show_report({**told, "compared": _differences(found), "written": str(found.folder)})
    if found.traceback:
        print(found.traceback, end="")


def _sentence(outcome: Any) -> str:
    return ": ".join(part for part in (outcome.status, outcome.reason, outcome.sentence) if part)


def gc(
    dataset: DatasetFolder,
    older_than: Annotated[float, typer.Option(min=0, help="Hours for which nothing was written to a file.")] = 24,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List what nothing in a dataset refers to any more, with sizes; with --yes, remove it."""
    from storage.folders.open import folder_at
    from storage.garbage import find_garbage, remove_garbage

    find_garbage(dataset, older_than)  # raises for a folder that is no dataset, in which no lock should appear
    with folder_at(dataset).lock():
        found = find_garbage(dataset, older_than)
        if yes:
            remove_garbage(dataset, found)
    told = {"dataset": dataset, "files": [{"name": item.name, "kind": item.kind, "bytes": item.bytes} for item in found]}
    hint = {} if as_json or yes or not found else {"next": "add --yes to remove them"}
    _tell({**told, "bytes": sum(item.bytes for item in found), "removed": yes, **hint}, as_json)


def trust(file: Annotated[Path, typer.Argument(help="A weight file.")], as_json: AsJson = False) -> None:
    """Let a pickled weight file run code of its own when it is loaded; only files that you trust should."""
    from tasks.weights import trust_weights as put_on_list

    found = put_on_list(file)
    _tell({"trusted": str(found.path), "sha256": found.sha256}, as_json)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
    else:
        show_report(told)
