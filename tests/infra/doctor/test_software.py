"""Packages against the project's own list, and weights by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from infra.doctor import software
from infra.doctor.software import packages, weights
from tasks.weights import trust_weights


def test_every_package_here_is_one_that_is_asked_for() -> None:
    found = {f.name: f for f in packages()}
    assert "torch " in found["packages"].found
    assert {f.state for name, f in found.items() if name != "vLLM"} == {"there"}


def test_packages_that_are_missing_or_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["torch==1.0", "nosuchpackage>=2", "vllm==0.1; extra == 'cluster'", "numpy>=1"]
    monkeypatch.setattr(software, "requires", lambda _name: asked)
    wrong = {f.name: (f.found, f.remedy) for f in packages() if f.state == "needed"}
    assert wrong.keys() == {"torch", "nosuchpackage"}
    assert wrong["torch"][0].endswith(", not ==1.0")
    assert wrong["nosuchpackage"] == ("not installed", "make install")


def test_weights_with_place_hash_and_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path))
    [nothing] = weights()
    assert nothing.state == "absent"
    assert str(tmp_path) in nothing.remedy
    for name in ("yolo12x.pt", "yolo12n.pt"):
        (tmp_path / name).write_bytes(name.encode())
    trust_weights(tmp_path / "yolo12n.pt")
    (tmp_path / "stvg-r1-model-7b").mkdir()
    trusted, plain, folder, rest = weights()
    sha256 = hashlib.sha256(b"yolo12x.pt").hexdigest()
    assert plain.found == f"{tmp_path / 'yolo12x.pt'}, 0.0 GB, sha256 {sha256[:12]}"
    assert trusted.found.endswith(", trusted to run code")
    assert folder.found == f"{tmp_path / 'stvg-r1-model-7b'}, a folder"
    assert "yolo12x.pt" not in rest.found
    assert "sam2.1_hiera_large.pt" in rest.found
    monkeypatch.setattr(software, "_HASHED_BYTES", 1)
    assert "sha256" not in str(list(weights()))
