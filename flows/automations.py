"""What a server does by itself: it marks silent runs as crashed, and tells a person of failures."""

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
"""A flow run is heard from so often; Prefect takes no less."""

PENDING_S = 600
"""A run may take so long to start: an image may have to be pulled."""

BUDGET_EXCEEDED = "BudgetExceeded"
"""Name of the failed state, and so of its event, in which a run ends that lost more videos than allowed."""

ANY = "prefect.flow-run.*"


class SetupError(InputError):
    """A server that cannot be reached, or a block that is not there."""


def set_up(asked: SetupParameters, change: bool = True) -> list[str]:
    """Make what is missing on the server of $PREFECT_API_URL; returns a line on each thing.

    Args:
        asked: limits and automations wanted.
        change: whether what is there is made as asked; else it stays.

    Raises:
        SetupError: the server cannot be used, or the notification block is not there.
    """
    if not PREFECT_API_URL.value():
        raise SetupError("no server is named: set PREFECT_API_URL, as `stvg serve` prints it")
    try:
        with get_client(sync_client=True) as client:
            wanted = list(_automations(client, asked))
            said = [put_gpu_limit(client, asked.gpu_runs, change)]
            return said + [_put(client, automation, change) for automation in wanted]
    except PrefectHTTPStatusError as error:
        raise SetupError(f"the server at {PREFECT_API_URL.value()} refused: {_reason(error)}") from None
    except httpx.TransportError:
        raise SetupError(f"no server answers at {PREFECT_API_URL.value()}") from None


def _reason(error: PrefectHTTPStatusError) -> str:
    if error.response.status_code == httpx.codes.UNAUTHORIZED:
        return "it wants its password in PREFECT_API_AUTH_STRING, as `stvg serve` prints it"
    return str(error).splitlines()[0]


def _automations(client: SyncPrefectClient, asked: SetupParameters) -> Iterator[AutomationCore]:
    yield _crash("mark-silent-runs-crashed", _events("heartbeat", "Running", "Cancelling"), {ANY}, asked.crashed_after_s)
    # Heartbeats are left out: on SQLite two automations that count the same event get in each other's way.
    taken_up = _events("Running", "AwaitingConcurrencySlot", "Completed", "Failed", "Crashed", "Cancelling", "Cancelled")
    yield _crash("mark-unstarted-runs-crashed", _events("Pending"), taken_up, max(PENDING_S, asked.crashed_after_s))
    if asked.notify:
        block = _block(client, asked.notify)
        yield _notify("notify-of-failed-runs", _events("Failed", "TimedOut", "Crashed"), "failed", block)
        yield _notify("notify-of-exceeded-budgets", _events(BUDGET_EXCEEDED), "lost too many videos", block)


def _events(*states: str) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _crash(name: str, after: set[str], expect: set[str], within_s: int) -> AutomationCore:
    """A run has crashed if one of the events `after` is not followed by one it is to `expect` for so long."""
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
    tell = SendNotification(block_document_id=block, subject=subject, body=body)
    return AutomationCore(name=name, trigger=trigger, actions=[tell])


def _block(client: SyncPrefectClient, name: str) -> UUID:
    slug, block = name.split("/")
    try:
        return client.read_block_document_by_name(block, slug, include_secrets=False).id
    except ObjectNotFound:
        raise SetupError(f"there is no block '{name}': create it in the UI, under Blocks") from None


def _put(client: SyncPrefectClient, wanted: AutomationCore, change: bool) -> str:
    """Make an automation unless it is there. An equal one is left alone: changing it would forget the runs it watches."""
    there = client.read_automations_by_name(wanted.name)
    if not there:
        client.create_automation(wanted)
        return f"made automation {wanted.name}"
    if not change or _same(there[0], wanted):
        return f"kept automation {wanted.name}"
    client.update_automation(there[0].id, wanted)
    return f"changed automation {wanted.name}"


def _same(there: AutomationCore, wanted: AutomationCore) -> bool:
    return (there.trigger, there.actions) == (wanted.trigger, wanted.actions)
