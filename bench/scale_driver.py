"""The driver of `bench.scale`: the flow `build-dataset/own` as it is, its workers poisoned, memory and pace written down."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import scale_videos
from bench.scale_videos import Poisoned, Written, parameters
from infra.ray.pool import RayPool
from tasks.benchmarks.samples import VideoJob
from tasks.build.run import Ended
from tasks.build.workers import WorkerFactory

DEADLINE_S = 2.0


class PoisonedPool(RayPool):
    """The real pool; what it is given dies of some videos."""

    def __call__(self, factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        """Run jobs, and write down when they ended."""
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(scale_videos)
        ends: list[float] = []
        for ended in super().__call__(partial(Poisoned, factory), jobs):
            ends.append(time.perf_counter())
            STARTED.set()
            yield ended
        PACE.append({"videos": len(ends), "seconds": ends[-1] - ends[0]})


PACE: list[dict[str, float]] = []
STARTED = threading.Event()
"""The first video has ended: Ray is there, and what the driver needs is loaded."""


def main(folder: Path, root: Path) -> None:
    """Run the flow over what lies in `folder`, and write `pace.json` beside the dataset."""
    import psutil

    import flows.build_dataset as builds

    builds.RayPool = PoisonedPool  # type: ignore[misc]
    written = Written(folder / "lines.jsonl", folder / "videos", folder / "boxes.json", {})
    given = parameters(written, root, pool={"deadline_s": DEADLINE_S, "workers": 2})
    process, memory, over = psutil.Process(), list[int](), threading.Event()

    def watch() -> None:
        STARTED.wait()
        while not over.wait(0.2):
            memory.append(process.memory_info().rss)

    threading.Thread(target=watch, daemon=True).start()
    started = time.perf_counter()
    builds.BUILDS["own"](**given.model_dump(exclude_defaults=True))
    told: dict[str, Any] = {"seconds": time.perf_counter() - started, "pace": PACE, "memory": memory}
    over.set()
    (root / "pace.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
