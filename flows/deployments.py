"""Registers every deployment with a Prefect server, with its form, limits and tags, and serves their runs."""

from __future__ import annotations

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment

from flows import build_dataset, evaluate, ground, nightly, reproduce, sweep, train
from flows.automations import HEARTBEAT_S, set_up
from flows.families import Flows
from flows.forms import form
from flows.private import set_form
from flows.register import Registration, registrations
from infra.prefect.setup import SetupParameters
from storage.common.environment import set_variables
from storage.common.log import NAME as LOGGER

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""Runs of a deployment that write to the same place wait for each other."""

FLOWS: Flows = {
    **build_dataset.FLOWS,
    **evaluate.FLOWS,
    **train.FLOWS,
    **ground.FLOWS,
    **sweep.FLOWS,
    **reproduce.FLOWS,
    **nightly.FLOWS,
}


def deployments() -> list[RunnerDeployment]:
    """All deployments, ready to be registered."""
    return [_deployment(registration) for registration in registrations().values()]


def _deployment(registration: Registration) -> RunnerDeployment:
    deployment = FLOWS[registration.full_name].to_deployment(
        registration.name,
        description=registration.form.__doc__,
        tags=[registration.tag, registration.name],
        concurrency_limit=ONE_AT_A_TIME,
        schedule=nightly.nightly_schedule() if registration.family == "nightly" else None,
    )
    assert isinstance(deployment, RunnerDeployment)  # a coroutine only where an event loop runs
    set_form(deployment, form(registration.form))
    return deployment


def main() -> None:
    """Register the deployments with the server of $PREFECT_API_URL and run what is started, until stopped.

    Makes the missing limits and automations of the server, as `stvg setup` would.
    """
    print(*set_up(SetupParameters(), change=False), sep="\n", flush=True)
    # Prefect's own heartbeat is longer than a run may be silent; runs inherit both variables.
    set_variables({"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S), "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGER})
    serve(*deployments(), print_starting_message=False)


if __name__ == "__main__":
    main()
