"""GPU and driver as `nvidia-smi` tells them, disks, and codecs that are really tried."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.doctor import machine

SAID = "| NVIDIA-SMI 575.57  Driver Version: 575.57  CUDA Version: {cuda} |"


def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *cards: str, cuda: str = "13.0") -> None:
    lines = "\n".join(cards)
    script = f"#!/bin/sh\nif [ -n \"$1\" ]; then cat <<'E'\n{lines}\nE\nelse echo '{SAID.format(cuda=cuda)}'; fi\n"
    (tmp_path / "nvidia-smi").write_text(script)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_each_card_with_memory_and_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = "NVIDIA H100 80GB HBM3, 81559, 575.57"
    nvidia_smi(tmp_path, monkeypatch, card, card)
    monkeypatch.setattr(machine, "_torch_cuda", lambda: (13, 0))
    found = list(machine.gpu())
    assert [f.state for f in found] == ["there"] * 3
    assert found[0].found == "NVIDIA H100 80GB HBM3, 80 GiB, driver 575.57"


@pytest.mark.parametrize(
    ("built", "cuda", "state", "said"),
    [
        (None, "13.0", "absent", "PyTorch is built for the CPU alone"),
        ((13, 0), "12.8", "absent", "PyTorch wants 13.0, the driver offers 12.8"),
        ((12, 8), "12.4", "there", "PyTorch is built for 12.8"),
        ((12, 8), "13.0", "there", "PyTorch is built for 12.8"),
    ],
)
def test_a_driver_older_than_pytorch_wants(
    built: Any, cuda: str, state: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, monkeypatch, "NVIDIA L4, [N/A], 550.1", cuda=cuda)
    monkeypatch.setattr(machine, "_torch_cuda", lambda: built)
    card, found = machine.gpu()
    assert card.found == "NVIDIA L4, memory unknown, driver 550.1"
    assert (found.state, found.found) == (state, said)
    assert bool(found.remedy) == (state == "absent")


def test_without_a_driver_or_with_one_that_fails_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [(f.name, f.state) for f in machine.gpu()] == [("GPU", "absent")]
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert [(f.name, f.state) for f in machine.gpu()] == [("GPU", "absent")]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "state"), [(5e8, "needed"), (5e9, "absent"), (5e10, "there")])
def test_room_on_the_disk_that_a_folder_will_be_on(
    free: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, int(5e10 if str(place) == "/dev/shm" else free)))
    found = list(machine.disks(str(tmp_path / "not" / "there")))
    assert {f.state for f in found} == {state}
    assert "datasets" in found[0].found
    assert not any("datasets" in f.found for f in machine.disks("s3://bucket/datasets"))


def test_codecs_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {f.name: f for f in machine.codecs()}
    assert found["codecs"].found == "decoded are h264, hevc, vp9, av1"
    dead = subprocess.CompletedProcess([], 139, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: dead)
    assert [(f.name, f.state) for f in machine.codecs()] == [("codecs", "needed")]
