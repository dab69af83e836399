"""The machine a report is about, and the clock that its figures are taken by."""

from __future__ import annotations

import datetime
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "torchvision", "transformers", "numpy", "sam2", "flash-attn", "vllm")


@dataclass(frozen=True)
class Machine:
    """Where and when figures were measured.

    Attributes:
        date: ISO, UTC.
        gpu: its name; `cpu` where there is none.
        gpu_gib: its memory.
        driver: of the GPU; empty without one.
        cuda: that torch was built for; empty for a CPU.
        python: its version.
        packages: name -> version; those that are not installed are left out.
    """

    date: str
    gpu: str
    gpu_gib: float
    driver: str
    cuda: str
    python: str
    packages: dict[str, str]


def machine() -> Machine:
    """This machine."""
    import torch

    gpu, gib, driver = "cpu", 0.0, ""
    if torch.cuda.is_available():
        gpu, gib = torch.cuda.get_device_name(), round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
        driver = _driver()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Machine(date, gpu, gib, driver, torch.version.cuda or "", platform.python_version(), _packages())


def _driver() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False, timeout=20).stdout.split("\n")[0].strip()


def _packages() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def synchronize() -> None:
    """Wait until the GPU has done what it was given; nothing on a CPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def median_seconds(step: Callable[[], object], repeats: int, warm: int = 2) -> float:
    """Median seconds of a step, the GPU's work included."""
    for _ in range(warm):
        step()
    times = []
    for _ in range(repeats):
        synchronize()
        start = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def gib(count: float) -> float:
    """Bytes in GiB."""
    return count / 2**30
