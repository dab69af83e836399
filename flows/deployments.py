"""The register of deployments: every flow a person can start, with its limits and tags."""

from __future__ import annotations

import os
from typing import Any

from prefect import Flow, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Schedule
from pydantic import BaseModel

from flows.automations import HEARTBEAT_S, set_up
from flows.build_dataset import BUILDS
from flows.evaluate import EVALUATE
from flows.forms import form
from flows.ground import ground_video
from flows.nightly import nightly_benchmarks, nightly_schedule
from flows.reproduce import REPRODUCE
from flows.sweep import sweep_file
from flows.train import TRAIN
from infra.forms.benchmarks import BENCHMARKS
from infra.forms.evaluation import EVALUATIONS
from infra.forms.training import TRAININGS, deployment_of
from infra.ground import GroundParameters
from infra.nightly import NightlyParameters
from infra.prefect.setup import SetupParameters
from infra.sweeps import SweepParameters
from infra.tables.form import TABLES

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""Runs of a deployment that write to the same place wait for each other."""


def deployments() -> list[RunnerDeployment]:
    """All deployments, ready to be registered."""
    builds = [_deployment(name, flow, "build", BENCHMARKS[name]) for name, flow in BUILDS.items()]
    evaluations = [_deployment(name, flow, "evaluate", EVALUATIONS[name]) for name, flow in EVALUATE.items()]
    trainings = [_deployment(deployment_of(name)[1], flow, "train", TRAININGS[name]) for name, flow in TRAIN.items()]
    ground = _deployment("video", ground_video, "ground", GroundParameters)
    sweep = _deployment("file", sweep_file, "sweep", SweepParameters)
    nightly = _deployment("benchmarks", nightly_benchmarks, "nightly", NightlyParameters, nightly_schedule())
    tables = [_deployment(name, flow, "reproduce", TABLES[name]) for name, flow in REPRODUCE.items()]
    return [*builds, *evaluations, *trainings, ground, sweep, *tables, nightly]


def _deployment(
    name: str, flow: Flow[..., Any], tag: str, model: type[BaseModel], schedule: Schedule | None = None
) -> RunnerDeployment:
    limits: dict[str, Any] = {"concurrency_limit": ONE_AT_A_TIME, "schedule": schedule}
    made = flow.to_deployment(name, description=flow.description, tags=[tag, name], **limits)
    assert isinstance(made, RunnerDeployment)  # a coroutine only where an event loop runs
    # Prefect derives a form from the signature and drops titles and descriptions on the way: give it the model's own.
    made._parameter_openapi_schema = form(model)
    return made


def main() -> None:
    """Register the deployments with the server of $PREFECT_API_URL and run what is asked for, until stopped.

    Makes the limits and automations that the server lacks, as `stvg setup` would.
    """
    print(*set_up(SetupParameters(), change=False), sep="\n", flush=True)
    os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = str(HEARTBEAT_S)  # Prefect's own is longer than a run may be silent
    serve(*deployments(), print_starting_message=False)


if __name__ == "__main__":
    main()
