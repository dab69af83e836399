"""Checks of the machine: Python, processor, GPU and driver, free disk space, codecs."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from infra.doctor.findings import Finding
from storage.common.environment import module_environment
from storage.folders.cache import cache_folder
from storage.folders.open import is_url
from tasks.weights import weights_folder

_LEAST_GB, _ROOM_GB = 1.0, 20.0
"""Free gigabytes that any build needs, and that a dataset of some hundred videos takes."""
_PYTHONS = ((3, 11), (3, 13))


def python() -> Iterator[Finding]:
    """Python's version, cores and memory."""
    import psutil

    memory = psutil.virtual_memory().total / 1e9
    summary = f"{platform.python_version()}, {os.cpu_count()} cores, {memory:.0f} GB of memory"
    supported = _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]
    yield Finding("Python", "there" if supported else "needed", summary, "" if supported else "install Python 3.11 or 3.12")


def gpu() -> Iterator[Finding]:
    """GPUs, their driver, and whether PyTorch is built for it."""
    query = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
    lines = _output(*query).splitlines()
    if not lines:
        yield Finding("GPU", "absent", "no NVIDIA driver answers", "the defaults need none; YOLO12x, SAM2.1 and 7B models do")
        return
    for line in lines:
        name, memory, driver = (part.strip() for part in (*line.split(","), "", "")[:3])
        yield Finding("GPU", "there", f"{name}, {_gib(memory)}, driver {driver}")
    offered = re.search(r"CUDA Version: (\d+)\.(\d+)", _output("nvidia-smi"))
    built = _torch_cuda()
    if built is None:
        yield Finding("CUDA", "absent", "PyTorch is built for the CPU alone", "install PyTorch's build for CUDA")
    elif offered and (int(offered[1]), int(offered[2])) < built and int(offered[1]) < built[0]:
        remedy = f"install a driver of CUDA {built[0]} or a PyTorch built for {offered[1]}"
        yield Finding("CUDA", "absent", f"PyTorch wants {built[0]}.{built[1]}, the driver offers {offered[0][14:]}", remedy)
    else:
        yield Finding("CUDA", "there", f"PyTorch is built for {built[0]}.{built[1]}")


def _gib(memory_mib: str) -> str:
    return f"{int(memory_mib) / 1024:.0f} GiB" if memory_mib.isdecimal() else "memory unknown"


def _output(*command: str) -> str:
    """The standard output of a command; empty if it is not installed, fails or takes long."""
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout


def _torch_cuda() -> tuple[int, int] | None:
    """The CUDA version that PyTorch is built for, from its version file: importing it takes seconds."""
    spec = find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    match = re.search(r"^cuda\b.*'(\d+)\.(\d+)", file.read_text(), re.MULTILINE) if file and file.is_file() else None
    return (int(match[1]), int(match[2])) if match else None


def disks(root: str) -> Iterator[Finding]:
    """Free space for datasets, the cache, weights, temporary files and Ray's objects; a finding a disk."""
    own: dict[str, str | Path] = {"cache": cache_folder(), "weights": weights_folder()}
    places = {"datasets": root, **own, "temporary files": tempfile.gettempdir()}
    by_disk: dict[int, dict[str, Path]] = {}
    for name, place in places.items():
        if not is_url(place):
            folder = _existing(Path(place))
            by_disk.setdefault(folder.stat().st_dev, {})[name] = folder
    for folders in by_disk.values():
        yield _space(", ".join(folders), shutil.disk_usage(next(iter(folders.values()))).free / 1e9)
    shared = shutil.disk_usage("/dev/shm").free / 1e9  # noqa: S108
    if shared < _LEAST_GB:
        remedy = "start the container with --shm-size=8g: Ray keeps its objects there"
        yield Finding("disk", "absent", f"{shared:.1f} GB free in /dev/shm", remedy)


def _space(names: str, free_gb: float) -> Finding:
    summary = f"{free_gb:.0f} GB free for {names}"
    if free_gb < _LEAST_GB:
        return Finding("disk", "needed", summary, "make room: not even the sample fits")
    if free_gb < _ROOM_GB:
        return Finding("disk", "absent", summary, f"make room: some hundred videos take {_ROOM_GB:.0f} GB")
    return Finding("disk", "there", summary)


def _existing(path: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def codecs() -> Iterator[Finding]:
    """Which codecs are decoded, tried on two frames each in another process: codecs print, and some crash."""
    command = (sys.executable, "-m", "infra.doctor.codecs")
    completed = subprocess.run(command, capture_output=True, text=True, check=False, env=module_environment())
    try:
        decoded: dict[str, bool] = json.loads(completed.stdout)
    except ValueError:
        yield Finding("codecs", "needed", "PyAV does not start", "install the project's packages again: make install")
        return
    if not decoded.get("h264"):
        yield Finding("codecs", "needed", "H.264 is not decoded", "install the project's packages again: make install")
    else:
        yield Finding("codecs", "there", f"decoded are {', '.join(codec for codec, works in decoded.items() if works)}")
    for codec in (codec for codec, works in decoded.items() if not works):
        remedy = "such videos are quarantined as unsupported_codec: encode them anew, say as H.264"
        yield Finding(f"codec {codec}", "absent", "it is not decoded", remedy)
