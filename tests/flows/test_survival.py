"""A build whose processes are killed: no run stays RUNNING, and the next run ends with the rows of an undisturbed one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.cli.server import serve_deployments
from infra.prefect.access import free_port, prefect_environment
from infra.prefect.local import server
from storage.manifest import load_manifest
from tasks.build.parameters import BENCHMARKS
from tasks.build.run import publish_build, run_frames, run_here, run_masks

pytestmark = pytest.mark.heavy

SILENT_S = 60
PATIENCE_S = 240
DEPLOYMENT = "build-dataset/folder"


class Site:
    """A server, the process that runs its deployments, and their process IDs; each can be killed and started again."""

    def __init__(self, home: Path, server_factory: Callable[[dict[str, str]], Any]) -> None:
        self._home = home
        self._env = prefect_environment(free_port(), home)
        self._stack: dict[str, ExitStack] = {}
        self.pids: dict[str, int] = {}
        self.ask = server_factory(self._env)

    def start(self, name: str) -> None:
        """Start `server` or `deployments` and wait until it is up."""
        opened = server(self._env, self._home) if name == "server" else serve_deployments(self._env, self._home)
        self._stack[name] = ExitStack()
        self.pids[name] = self._stack[name].enter_context(opened)

    def stop(self, name: str) -> None:
        self._stack.pop(name).close()

    def engine(self) -> psutil.Process:
        """The process of the flow run at work."""
        family = psutil.Process(self.pids["deployments"]).children()
        [engine] = [process for process in family if "prefect.engine" in process.cmdline()]
        return engine

    def slots_taken(self) -> dict[str, int]:
        """Limits of which a slot is taken."""
        limits = self.ask.ask("v2/concurrency_limits/filter", {})
        return {limit["name"]: limit["active_slots"] for limit in limits if limit["active_slots"]}

    def ended(self, run_id: str) -> str:
        """Wait until a run has ended; its state."""
        return until(lambda: final(self.ask.flow_run(run_id)["state_type"]))


def final(state: str) -> str | None:
    return state if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None


def until(found: Callable[[], Any]) -> Any:
    """Ask until there is an answer; a busy machine may take long, never for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            if (answer := found()) is not None:
                return answer
        time.sleep(0.05)
    raise AssertionError(f"nothing within {PATIENCE_S} s")


def kill(*processes: psutil.Process) -> None:
    """Kill processes at once, as a machine that goes down would."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=20)


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, server_factory: Any) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "2")
        made = Site(tmp_path_factory.mktemp("prefect"), server_factory)
    made.start("server")
    made.start("deployments")
    yield made
    for name in ("deployments", "server"):
        made.stop(name)


def begin(site: Site, root: Path, clips: Path) -> str:
    """Start a build and wait until its first video is kept."""
    run_id = site.ask.start(DEPLOYMENT, **asked(root, clips))
    until(lambda: kept(root) or None)
    return run_id


def kept(root: Path) -> set[Path]:
    return set(root.glob("folder/masks-*/parts/*.json"))


def asked(root: Path, clips: Path) -> dict[str, Any]:
    return {"root": str(root), "videos": str(clips), "detector": {"name": "motion"}, "pool": {"workers": 1}}


def undisturbed(root: Path, clips: Path) -> str:
    """The content hash of the same build, done in this process and published beside it."""
    build = BENCHMARKS["folder"](**asked(root, clips), name="undisturbed").build()
    masks = run_masks(build, run_here, lambda _progress: None)
    frames = run_frames(build, masks, run_here, lambda _progress: None)
    return publish_build(build, masks, frames, 0.0).content_hash


def test_a_killed_flow_run_is_crashed_at_once_and_the_next_goes_on(site: Site, tmp_path: Path, clips: Path) -> None:
    run_id = begin(site, tmp_path, clips)
    kill(*family(site.engine().pid))
    assert site.ended(run_id) == "CRASHED"
    assert site.slots_taken() == {}
    assert_the_next_goes_on(site, tmp_path, clips)


def test_a_run_whose_machine_dies_is_crashed_and_the_next_goes_on(site: Site, tmp_path: Path, clips: Path) -> None:
    assert site.ask.setup("--crashed-after-s", SILENT_S).returncode == 0
    run_id = begin(site, tmp_path, clips)
    kill(*family(site.pids["deployments"]))
    assert site.ask.flow_run(run_id)["state_type"] == "RUNNING", "nobody is left to tell"
    site.stop("deployments")
    site.start("deployments")
    waiting = site.ask.start(DEPLOYMENT, **asked(tmp_path, clips))
    assert site.ended(run_id) == "CRASHED"
    assert f"nothing was heard of this run for {SILENT_S} s" in site.ask.flow_run(run_id)["state"]["message"]
    assert site.ended(waiting) == "COMPLETED", "the slot of the dead run is free again"
    assert_the_next_goes_on(site, tmp_path, clips)


def test_a_run_whose_serving_process_dies_is_crashed_and_the_next_goes_on(site: Site, tmp_path: Path, clips: Path) -> None:
    run_id = begin(site, tmp_path, clips)
    kill(psutil.Process(site.pids["deployments"]))
    site.stop("deployments")
    site.start("deployments")
    assert site.ended(run_id) == "CRASHED", "it cannot log any more, and says so to the server"
    assert_the_next_goes_on(site, tmp_path, clips)


def test_a_run_outlives_a_server_that_is_killed_and_started_again(site: Site, tmp_path: Path, clips: Path) -> None:
    assert site.ask.setup().returncode == 0
    dead = {"names": ["gpu-cluster"], "slots": 1, "mode": "concurrency", "lease_duration": 60}
    site.ask.ask("v2/concurrency_limits/increment-with-lease", dead)
    run_id = begin(site, tmp_path, clips)
    kill(*family(site.pids["server"]))
    site.stop("server")
    site.start("server")
    assert site.ended(run_id) == "COMPLETED"
    assert until(lambda: site.slots_taken() == {} or None), "the lease of a holder that is gone outlived the server too"
    assert_the_next_goes_on(site, tmp_path, clips)


def assert_the_next_goes_on(site: Site, root: Path, clips: Path) -> None:
    """The next run does not repeat what is done, and publishes what an undisturbed build would; nothing is left behind."""
    done = len(kept(root))
    run_id = site.ask.start(DEPLOYMENT, **asked(root, clips))
    assert site.ended(run_id) == "COMPLETED"
    planned = site.ask.artifacts({"id": run_id})["plan"]["data"]
    assert json.loads(planned)[0].get("done", 0) >= done
    assert load_manifest(root / "folder").content_hash == undisturbed(root, clips)
    assert {run["state_type"] for run in site.ask.flow_runs()} <= {"COMPLETED", "CRASHED"}
    assert site.slots_taken() == {}
