"""What `stvg setup` makes, and that a person is told of failures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

pytestmark = pytest.mark.heavy

CRASH = ("mark-silent-runs-crashed", "mark-unstarted-runs-crashed")
NOTIFY = ("notify-of-failed-runs", "notify-of-exceeded-budgets")


@pytest.fixture
def received() -> Iterator[tuple[str, Queue[dict[str, str]]]]:
    """The address of a web hook, and what it was sent."""
    bodies: Queue[dict[str, str]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/", bodies
        listening.shutdown()


BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
body = {"subject": "{{subject}}", "body": "{{body}}"}
Block(name="ops", url=sys.argv[1], json_data=body).save("ops", overwrite=True)
"""


def test_setup_makes_what_is_missing_and_changes_only_what_differs(server: Any) -> None:
    first = server.setup()
    assert first.returncode == 0, first.stderr
    assert all(f"automation {name}" in first.stdout for name in CRASH)
    before = {a["name"]: a for a in server.ask("automations/filter", {})}
    assert server.setup().stdout.splitlines() == ["kept limit gpu-cluster: 1", *(f"kept automation {n}" for n in CRASH)]
    assert {a["name"]: a for a in server.ask("automations/filter", {})} == before, "runs that are watched stay watched"
    changed = server.setup("--gpu-runs", 2, "--crashed-after-s", 300).stdout.splitlines()
    assert changed == ["changed limit gpu-cluster: 2", f"changed automation {CRASH[0]}", f"kept automation {CRASH[1]}"]
    after = {a["name"]: a for a in server.ask("automations/filter", {})}
    assert after[CRASH[0]]["trigger"]["within"] == 300
    assert server.setup().returncode == 0


def test_what_cannot_be_set_up_is_one_sentence(server: Any) -> None:
    before = server.ask("automations/filter", {})
    cases = [
        ({}, ("--notify", "slack-webhook/none"), "there is no block 'slack-webhook/none'"),
        ({"PREFECT_API_AUTH_STRING": "stvg:wrong"}, (), "it wants its password in PREFECT_API_AUTH_STRING"),
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, (), "no server answers at http://127.0.0.1:9/api"),
        ({"PREFECT_API_URL": ""}, (), "set PREFECT_API_URL"),
    ]
    for env, options, said in cases:
        done = type(server)({**server.env, **env}).setup(*options, "--crashed-after-s", 77)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
    assert server.ask("automations/filter", {}) == before, "nothing is half made"


def test_a_person_is_told_of_a_failed_run_and_of_a_breached_budget(
    server: Any, received: tuple[str, Queue[dict[str, str]]], tmp_path: Path
) -> None:
    url, bodies = received
    subprocess.run([sys.executable, "-c", BLOCK, url], env=server.env, check=True, capture_output=True)
    made = server.setup("--notify", "custom-webhook/ops")
    assert made.returncode == 0, made.stderr
    (tmp_path / "bad.mp4").write_text("no video at all")
    told = told_of("build-dataset/folder lost too many videos: ", server, bodies, tmp_path, videos=str(tmp_path), name="bad")
    assert "1 of 1 videos were lost (quarantined: not_a_video 1)" in told["body"]
    assert f"{server.url}/runs/flow-run/" in told["body"]
    told = told_of("build-dataset/folder failed: ", server, bodies, tmp_path, videos=str(tmp_path / "nowhere"))
    assert "there is no folder of videos" in told["body"]


def told_of(subject: str, server: Any, bodies: Queue[dict[str, str]], root: Path, **given: str) -> dict[str, str]:
    """What is told of a run; run again where SQLite was locked as its event came, for then Prefect drops it."""
    for _ in range(4):
        server.run("build-dataset/folder", root=str(root), **given)
        with suppress(Empty):
            while True:
                told = bodies.get(timeout=60)
                if told["subject"].startswith(subject):
                    return told
    raise AssertionError(f"nobody was told of '{subject}'")
