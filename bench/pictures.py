"""The pictures of docs/ui.md: `python -m bench.pictures` builds the sample and asks a tiny model from Prefect's UI."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.chromium import chromium
from bench.control_room import ControlRoom
from bench.figures import NotRunError
from infra.cli.server import serve_deployments
from infra.prefect.access import ask, free_port, prefect_environment
from infra.prefect.local import server

PICTURES = Path("docs/pictures")
ROOT, OUT = Path("datasets/pictures"), Path("evaluations/pictures")
SIZE = {"width": 1280, "height": 800}
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def main() -> None:
    """Make every picture anew."""
    for folder in (ROOT, OUT):
        shutil.rmtree(folder, ignore_errors=True)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(120_000)
        with tempfile.TemporaryDirectory() as home:
            env = prefect_environment(free_port(), Path(home))
            with server(env, Path(home)), serve_deployments(env, Path(home)):
                room = ControlRoom(page, env)
                _build(room, env)
                _evaluate(room, env)
                room.deployment("nightly/benchmarks")
                _keep(page, "ui-nightly")
        for name, folder in (("preview", ROOT), ("report", OUT)):
            [file] = folder.rglob(f"{name}.html")
            page.goto(file.absolute().as_uri())
            page.locator("article").first.scroll_into_view_if_needed()
            page.evaluate("document.querySelector('article').scrollIntoView()")
            _keep(page, f"ui-{name}")


def _build(room: ControlRoom, env: Mapping[str, str]) -> None:
    room.form("build-dataset/sample")
    _keep(room.page, "ui-form")
    room.fill("Datasets folder", ROOT)
    room.fill("Videos", 8)
    run = room.submit()["id"]
    while float(_artifacts(env, run).get("masks", {"data": 0})["data"]) < 20:
        time.sleep(0.5)
    room.artifact(_artifacts(env, run)["masks"])
    _keep(room.page, "ui-progress")
    _wait(env, run)
    room.run(run, "Artifacts")
    _keep(room.page, "ui-run")
    room.artifact(_artifacts(env, run)["outcomes"])
    _keep(room.page, "ui-outcomes")


def _evaluate(room: ControlRoom, env: Mapping[str, str]) -> None:
    room.form("evaluate/sample")
    for title, value in {"Model": "tiny", "Most tokens": 32, "Datasets folder": ROOT, "Evaluations folder": OUT}.items():
        room.fill(title, value)
    run = room.submit()["id"]
    _wait(env, run)
    room.artifact(_artifacts(env, run)["scores"])
    _keep(room.page, "ui-scores")


def _artifacts(env: Mapping[str, str], run: str) -> dict[str, Any]:
    found = ask(env, "artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return {artifact["key"]: artifact for artifact in found}


def _wait(env: Mapping[str, str], run: str) -> None:
    while (state := ask(env, f"flow_runs/{run}")["state_type"]) not in _ENDED:
        time.sleep(0.5)
    if state != "COMPLETED":
        sys.exit(f"a run ended {state}: the pictures would show it")


def _keep(page: Any, name: str) -> None:
    """What the page shows, once it rests, as `docs/pictures/<name>.webp`."""
    from PIL import Image

    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # what slides in has slid in
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.save(PICTURES / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    try:
        main()
    except NotRunError as error:
        sys.exit(str(error))
