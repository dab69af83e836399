"""The commands `stvg build`, `stvg plan` and `stvg check`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from infra.build import build_dataset
from infra.cli.console import Bars, plain, show_findings, show_plan, stoppable
from infra.cli.options import AsJson
from infra.forms.build import BuildParameters
from infra.ray.build_job import run_job
from tasks.build.estimate import estimate
from tasks.build.plan import plan_frames, plan_masks


def build_command(parameters: BuildParameters, as_json: AsJson = False) -> None:
    """Build a dataset with a bar a stage, here or as a Ray Job, and print where it is."""
    with stoppable(), Bars(quiet=as_json) as bars:
        built = (run_job if parameters.as_job else build_dataset)(parameters, bars.update)
    if as_json:
        print(json.dumps(asdict(built)))
        return
    counts = ", ".join(f"{count} {name}" for name, count in built.counts.items())
    plain().print(Text.assemble((built.dataset, "bold"), f": {counts}\npreview: {built.preview}"))


def plan_command(parameters: BuildParameters, as_json: AsJson = False) -> None:
    """Print the plan and the estimate of a build."""
    build = parameters.build()
    masks = plan_masks(build)
    frames = plan_frames(build, masks)
    expected = estimate(build, masks, frames)
    if as_json:
        states = {stage.store.spec.key: stage.counts() for stage in (masks, frames)}
        told = {"dataset": str(build.folder), "records": build.benchmark.records, "stages": states}
        print(json.dumps({**told, "estimate": asdict(expected)}))
    else:
        show_plan(build, masks, frames, expected)


def check_command(
    parameters: BuildParameters,
    quick: Annotated[bool, typer.Option(help="Read the files' indices and decode no frame.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every video of a benchmark, and print the counts and the unusable ones; exit code 1 if there are any."""
    from tasks.build.check import check_videos, states

    benchmark = parameters.benchmark()
    with Bars(as_json) as bars:
        findings = check_videos(benchmark.jobs, not quick, bars.update)
    if as_json:
        unusable = [{**asdict(f), "path": str(f.path)} for f in findings if f.state != "there"]
        print(json.dumps({"records": benchmark.records, "videos": states(findings), "not_as_stated": unusable}))
    else:
        show_findings(benchmark.records, states(findings), findings)
    if not all(finding.usable for finding in findings):
        raise typer.Exit(1)
