"""Automations of a Prefect server: silent runs are marked as crashed, and failures are sent to a notification block."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import httpx
from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from flows.limits import put_gpu_limit
from infra.prefect.setup import SetupParameters
from storage.common.errors import InputError

HEARTBEAT_S = 30
"""Seconds between two heartbeats of a flow run; Prefect accepts no fewer."""

PENDING_S = 600
"""Seconds that a run may take to start: an image may have to be pulled."""

BUDGET_EXCEEDED = "BudgetExceeded"
"""Name of the failed state, and of its event, of a run that lost more videos than its error budget allows."""

ANY = "prefect.flow-run.*"


class SetupError(InputError):
    """The server cannot be used, or there is no such notification block."""


def set_up(parameters: SetupParameters, change: bool = True) -> list[str]:
    """Create the limits and automations that the server of $PREFECT_API_URL lacks.

    Args:
        parameters: of the limits and automations.
        change: whether existing ones that differ are changed.

    Returns:
        A line on each limit and automation.

    Raises:
        SetupError: the server cannot be used, or there is no such notification block.
    """
    if not PREFECT_API_URL.value():
        raise SetupError("no server is named: set PREFECT_API_URL, as `stvg serve` prints it")
    try:
        with get_client(sync_client=True) as client:
            automations = list(_automations(client, parameters))
            limit = put_gpu_limit(client, parameters.gpu_runs, change)
            return [limit, *(_put(client, automation, change) for automation in automations)]
    except PrefectHTTPStatusError as error:
        raise SetupError(f"the server at {PREFECT_API_URL.value()} refused: {_reason(error)}") from None
    except httpx.TransportError:
        raise SetupError(f"no server answers at {PREFECT_API_URL.value()}") from None


def _reason(error: PrefectHTTPStatusError) -> str:
    if error.response.status_code == httpx.codes.UNAUTHORIZED:
        return "it wants its password in PREFECT_API_AUTH_STRING, as `stvg serve` prints it"
    return str(error).splitlines()[0]


def _automations(client: SyncPrefectClient, parameters: SetupParameters) -> Iterator[AutomationCore]:
    yield _crash("mark-silent-runs-crashed", _events("heartbeat", "Running", "Cancelling"), {ANY}, parameters.crashed_after_s)
    # Without heartbeats: on SQLite two automations that count the same event block each other.
    started = _events("Running", "AwaitingConcurrencySlot", "Completed", "Failed", "Crashed", "Cancelling", "Cancelled")
    yield _crash("mark-unstarted-runs-crashed", _events("Pending"), started, max(PENDING_S, parameters.crashed_after_s))
    if parameters.notify:
        block = _block(client, parameters.notify)
        yield _notify("notify-of-failed-runs", _events("Failed", "TimedOut", "Crashed"), "failed", block)
        yield _notify("notify-of-exceeded-budgets", _events(BUDGET_EXCEEDED), "lost too many videos", block)


def _events(*states: str) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _crash(name: str, after: set[str], expect: set[str], within_s: int) -> AutomationCore:
    """Mark a run as crashed if none of the events `expect` follows one of the events `after` within so many seconds."""
    trigger = EventTrigger(
        after=after,
        expect=expect,
        match={"prefect.resource.id": ANY},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )
    message = f"nothing was heard of this run for {within_s} s: its process or machine died; start it again to go on"
    crash = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=message, force=False)
    return AutomationCore(name=name, trigger=trigger, actions=[crash])


def _notify(name: str, events: set[str], what: str, block: UUID) -> AutomationCore:
    trigger = EventTrigger(
        expect=events, match={"prefect.resource.id": ANY}, for_each={"prefect.resource.id"}, posture=Posture.Reactive
    )
    body = "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}"
    subject = f"{{{{ flow.name }}}}/{{{{ deployment.name }}}} {what}: {{{{ flow_run.name }}}}"
    send = SendNotification(block_document_id=block, subject=subject, body=body)
    return AutomationCore(name=name, trigger=trigger, actions=[send])


def _block(client: SyncPrefectClient, name: str) -> UUID:
    slug, block = name.split("/")
    try:
        return client.read_block_document_by_name(block, slug, include_secrets=False).id
    except ObjectNotFound:
        raise SetupError(f"there is no block '{name}': create it in the UI, under Blocks") from None


def _put(client: SyncPrefectClient, automation: AutomationCore, change: bool) -> str:
    """Create an automation, or change one that differs; changing an equal one would make it forget the runs it watches."""
    existing = client.read_automations_by_name(automation.name)
    if not existing:
        client.create_automation(automation)
        return f"made automation {automation.name}"
    equal = (existing[0].trigger, existing[0].actions) == (automation.trigger, automation.actions)
    if equal or not change:
        return f"kept automation {automation.name}"
    client.update_automation(existing[0].id, automation)
    return f"changed automation {automation.name}"
