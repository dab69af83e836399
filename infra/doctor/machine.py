"""The machine: Python, processor, GPU with its driver, room on disks, codecs."""

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
"""Free space without which nothing works, and with which a dataset of some hundred videos fits."""
_PYTHONS = ((3, 11), (3, 13))


def python() -> Iterator[Finding]:
    """Python's version, cores and memory."""
    import psutil

    memory = psutil.virtual_memory().total / 1e9
    found = f"{platform.python_version()}, {os.cpu_count()} cores, {memory:.0f} GB of memory"
    supported = _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]
    yield Finding("Python", "there" if supported else "needed", found, "" if supported else "install Python 3.11 or 3.12")


def gpu() -> Iterator[Finding]:
    """GPUs, their driver, and whether PyTorch is built for it."""
    asked = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
    lines = _said(*asked).splitlines()
    if not lines:
        yield Finding("GPU", "absent", "no NVIDIA driver answers", "the defaults need none; YOLO12x, SAM2.1 and 7B models do")
        return
    for line in lines:
        name, memory, driver = (part.strip() for part in (*line.split(","), "", "")[:3])
        yield Finding("GPU", "there", f"{name}, {_gib(memory)}, driver {driver}")
    offered = re.search(r"CUDA Version: (\d+)\.(\d+)", _said("nvidia-smi"))
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


def _said(*command: str) -> str:
    """What a command prints; nothing if it is not there, fails or takes long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _torch_cuda() -> tuple[int, int] | None:
    """The CUDA that PyTorch is built for, from its version file: importing it takes seconds."""
    spec = find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    found = re.search(r"^cuda\b.*'(\d+)\.(\d+)", file.read_text(), re.MULTILINE) if file and file.is_file() else None
    return (int(found[1]), int(found[2])) if found else None


def disks(root: str) -> Iterator[Finding]:
    """Room for datasets, for what is fetched, for weights, temporary files and Ray's objects; a line a disk."""
    fetched = {"cache": cache_folder(), "weights": weights_folder()}
    places: dict[str, str | Path] = {"datasets": root, **fetched, "temporary files": tempfile.gettempdir()}
    by_disk: dict[int, dict[str, Path]] = {}
    for name, place in places.items():
        if not is_url(place):
            folder = _existing(Path(place))
            by_disk.setdefault(folder.stat().st_dev, {})[name] = folder
    for held in by_disk.values():
        yield _room(", ".join(held), shutil.disk_usage(next(iter(held.values()))).free / 1e9)
    shared = shutil.disk_usage("/dev/shm").free / 1e9  # noqa: S108
    if shared < _LEAST_GB:
        remedy = "start the container with --shm-size=8g: Ray keeps its objects there"
        yield Finding("disk", "absent", f"{shared:.1f} GB free in /dev/shm", remedy)


def _room(names: str, free: float) -> Finding:
    found = f"{free:.0f} GB free for {names}"
    if free < _LEAST_GB:
        return Finding("disk", "needed", found, "make room: not even the sample fits")
    if free < _ROOM_GB:
        return Finding("disk", "absent", found, f"make room: some hundred videos take {_ROOM_GB:.0f} GB")
    return Finding("disk", "there", found)


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def codecs() -> Iterator[Finding]:
    """Which codecs are decoded, tried on two frames each in a process of its own: codecs talk, and some crash."""
    command = (sys.executable, "-m", "infra.doctor.codecs")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=module_environment())
    try:
        tried: dict[str, dict[str, bool]] = json.loads(done.stdout)
    except ValueError:
        yield Finding("codecs", "needed", "decord or PyAV does not start", "install the project's packages again: make install")
        return
    read = [codec for codec, by in tried.items() if by["decord"]]
    if "h264" not in read:
        yield Finding("codecs", "needed", "H.264 is not decoded", "install the project's packages again: make install")
    else:
        yield Finding("codecs", "there", f"decord decodes {', '.join(read)}")
    for codec, by in tried.items():
        if not by["decord"]:
            remedy = "such videos are quarantined as unsupported_codec: encode them anew, say as H.264"
            yield Finding(f"codec {codec}", "absent", "PyAV alone decodes it" if by["PyAV"] else "nothing decodes it", remedy)
