from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import pytest

from infra.ray.metrics import measured
from infra.ray.session import ray_session
from storage.outcomes import Outcome
from storage.progress import Progress

pytestmark = pytest.mark.heavy

VIDEOS = 2000


def scrape(wanted: str) -> str:
    """What the exporter of the one node serves, once it shows `wanted`."""
    import ray

    [node] = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with urllib.request.urlopen(url, timeout=10) as page:
            text = page.read().decode()
        if wanted in text:
            return text
        time.sleep(0.5)
    raise AssertionError(f"{url} never showed {wanted}")


def value(text: str, name: str, **tags: str) -> float:
    """The one sample of this name with these tags."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}\{{", line)]
    [line] = [line for line in lines if all(f'{tag}="{v}"' in line for tag, v in tags.items())]
    return float(line.rsplit(" ", 1)[1])


def test_rays_exporter_shows_how_many_videos_ended_and_how_long_they_took(tmp_path: Path) -> None:
    passed_on: list[Progress] = []
    with ray_session(None, 1):
        report = measured(passed_on.append)
        started = time.perf_counter()
        for number in range(VIDEOS):
            outcome = Outcome("done", seconds=2.0) if number % 4 else Outcome("quarantined", "truncated", seconds=2.0)
            report(Progress("masks", number + 1, VIDEOS, 0, outcome))
        each = (time.perf_counter() - started) / VIDEOS
        text = scrape("ray_stvg_videos_total")
    assert len(passed_on) == VIDEOS
    assert value(text, "ray_stvg_videos_total", stage="masks", status="done") == VIDEOS * 3 / 4
    assert value(text, "ray_stvg_videos_total", stage="masks", status="quarantined") == VIDEOS / 4
    assert value(text, "ray_stvg_video_seconds_bucket", stage="masks", le="1.0") == 0
    assert value(text, "ray_stvg_video_seconds_count", stage="masks") == VIDEOS
    assert each < 2e-4, "seconds a video"
