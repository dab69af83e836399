"""The commands `stvg build`, `stvg plan`, `stvg check` and `stvg import`: groups with a command a source of videos."""

from __future__ import annotations

import json
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.console import Bars, plain, printable, stoppable
from infra.cli.flags import options
from infra.cli.lazy import Entry
from infra.cli.options import AsJson
from storage.common.errors import StvgError
from tasks.build.parameters import DatasetParameters

if TYPE_CHECKING:
    from tasks.build.check import InputFinding
    from tasks.build.estimate import Estimate
    from tasks.build.plan import Build, StagePlan


def build_entries() -> dict[str, Entry]:
    """The commands of `stvg build` by benchmark."""
    return _entries(build_command)


def plan_entries() -> dict[str, Entry]:
    """The commands of `stvg plan` by benchmark."""
    return _entries(plan_command)


def check_entries() -> dict[str, Entry]:
    """The commands of `stvg check` by benchmark."""
    return _entries(check_command)


def import_entries() -> dict[str, Entry]:
    """The commands of `stvg import` by layout."""
    from tasks.build.parameters import IMPORTS

    return {name: Entry(model.__doc__ or "", partial(options(model), build_command)) for name, model in IMPORTS.items()}


def _entries(function: Callable[..., None]) -> dict[str, Entry]:
    from tasks.build.parameters import BENCHMARKS

    return {name: Entry(model.__doc__ or "", partial(options(model), function)) for name, model in BENCHMARKS.items()}


def build_command(parameters: DatasetParameters, as_json: AsJson = False) -> None:
    """Build a dataset with a progress bar a stage, here or as a Ray Job, and print its folder."""
    from infra.ray.build import build_dataset
    from infra.ray.build_job import run_job

    with stoppable(), Bars(quiet=as_json) as bars:
        dataset = (run_job if parameters.as_job else build_dataset)(parameters, bars.update)
    _warn_of_other_models(parameters)
    if as_json:
        print(json.dumps(asdict(dataset)))
        return
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts.items())
    plain().print(Text.assemble((dataset.dataset, "bold"), f": {counts}\npreview: {dataset.preview}"))


def plan_command(parameters: DatasetParameters, as_json: AsJson = False) -> None:
    """Print the plan and the estimate of a build."""
    from tasks.build.estimate import estimate
    from tasks.build.plan import plan_frames, plan_masks

    build = parameters.build()
    masks = plan_masks(build)
    frames = plan_frames(build, masks)
    _warn_of_other_models(parameters)
    expected = estimate(build, masks, frames)
    if as_json:
        states = {stage.store.spec.key: stage.counts() for stage in (masks, frames)}
        plan = {"dataset": str(build.folder), "records": build.benchmark.records, "stages": states}
        print(json.dumps({**plan, "estimate": asdict(expected)}))
    else:
        show_plan(build, masks, frames, expected)


def _warn_of_other_models(parameters: DatasetParameters) -> None:
    """Warn on the standard error if a benchmark of the paper is built with another detector or tracker."""
    from tasks.build.paper_models import other_models_warning
    from tasks.build.parameters import BuildParameters

    if isinstance(parameters, BuildParameters):
        warning = other_models_warning(parameters.benchmark, parameters.detector, parameters.tracker)
        if warning:
            typer.echo(f"warning: {warning}", err=True)


def check_command(
    parameters: DatasetParameters,
    quick: Annotated[bool, typer.Option(help="Read only the indices of the files, and decode no frame.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every video of a benchmark, and print the counts and the unusable ones; exit code 1 if there are any."""
    from tasks.build.check import check_videos, states

    benchmark = parameters.read()
    with Bars(as_json) as bars:
        findings = check_videos(benchmark.jobs, not quick, bars.update)
    if as_json:
        unusable = [{**asdict(f), "path": str(f.path)} for f in findings if f.state != "there"]
        print(json.dumps({"records": benchmark.records, "videos": states(findings), "not_as_stated": unusable}))
    else:
        show_findings(benchmark.records, states(findings), findings)
    if not all(finding.usable for finding in findings):
        raise typer.Exit(1)


def job(
    benchmark: Annotated[str, typer.Argument(help="Name of the benchmark.")],
    parameters: Annotated[str, typer.Argument(help="Parameters of the build, as one JSON object.")],
    python: Annotated[str, typer.Option(help="Version of Python of the process that submitted the job.")],
) -> None:
    """Build inside a Ray Job, and print its progress and the dataset as JSON lines."""
    from infra.ray.build import build_dataset, throttled
    from infra.ray.build_job import print_build_event
    from infra.ray.session import same_version
    from tasks.build.parameters import BUILDS

    same_version("Python", platform.python_version(), python)
    build = BUILDS[benchmark].model_validate_json(parameters)
    try:
        print_build_event(build_dataset(build, throttled(print_build_event)))
    except StvgError:
        raise
    except Exception:
        traceback.print_exc()  # into the log of the job, which outlives the machine's temporary files
        raise


def show_plan(build: Build, masks: StagePlan, frames: StagePlan, expected: Estimate) -> None:
    """Print the plan of a build.

    Args:
        build: the build.
        masks: the plan of its first stage.
        frames: the plan of its second stage.
        expected: what the pending videos will take.
    """
    states = sorted({state for stage in (masks, frames) for state in stage.counts()})
    table = Table("stage", *states, title=str(build.folder))
    for stage in (masks, frames):
        table.add_row(stage.store.spec.key, *(str(stage.counts().get(state, 0)) for state in states))
    console = plain()
    console.print(table)
    _show_records(console, build.benchmark.records)
    console.print(str(expected))


_MAX_FINDINGS = 40


def show_findings(records: Mapping[str, int], states: Mapping[str, int], findings: Sequence[InputFinding]) -> None:
    """Print the result of a check: counts, and the videos that are missing, broken or not as stated.

    Args:
        records: annotations counted by ending.
        states: videos counted by state.
        findings: one a video.
    """
    console = plain()
    _show_records(console, records)
    others = [finding for finding in findings if finding.state != "there"]
    if others:
        table = Table("video", "sentences", "state", "detail")
        for f in others[:_MAX_FINDINGS]:
            table.add_row(printable(f.video_id), str(f.samples), f.state, printable(f.detail))
        console.print(table)
    if len(others) > _MAX_FINDINGS:
        console.print(f"and {len(others) - _MAX_FINDINGS} more: --json lists all")
    console.print(Text.assemble(("videos", "bold"), ": " + ", ".join(f"{count} {state}" for state, count in states.items())))
    if not all(finding.usable for finding in findings):
        console.print("docs/benchmarks.md says where each benchmark is obtained and what is known to be broken in it.")


def _show_records(console: Console, records: Mapping[str, int]) -> None:
    table = Table("annotations", "count", title_justify="left")
    for reason, count in records.items():
        table.add_row(printable(reason), f"{count:,}")
    console.print(table)
