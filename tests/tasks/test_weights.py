"""Weights: files and folders, found by name or path, known by what they hold."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tasks.weights import TRUSTED, WeightsError, find_weights, trust_weights


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of a model, some of it in a folder below."""
    folder = tmp_path / "weights" / "model"
    (folder / "text").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "text" / "vocab.txt").write_text("word")
    return folder


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    found = find_weights("a.pt", tmp_path)
    assert found.path == (tmp_path / "a.pt").resolve()
    assert found.sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(model: Path) -> None:
    config, vocab = (hashlib.sha256(content).hexdigest() for content in (b"{}", b"word"))
    expected = hashlib.sha256(f"config.json {config}\ntext/vocab.txt {vocab}\n".encode()).hexdigest()
    found = find_weights("model", model.parent)
    assert found.path == model.resolve()
    assert found.sha256 == expected == find_weights(str(model)).sha256


@pytest.mark.parametrize("change", ["content", "name", "place", "more"])
def test_whatever_changes_in_a_folder_changes_its_hash(model: Path, change: str) -> None:
    before = find_weights(str(model)).sha256
    if change == "content":
        (model / "text" / "vocab.txt").write_text("words")
    elif change == "name":
        (model / "config.json").rename(model / "config.jsonl")
    elif change == "place":
        (model / "text" / "vocab.txt").rename(model / "vocab.txt")
    else:
        (model / "more").write_text("")
    assert find_weights(str(model)).sha256 != before


def test_copies_links_and_what_is_hidden_make_no_difference(model: Path, tmp_path: Path) -> None:
    before = find_weights(str(model)).sha256
    cache = tmp_path / "cache"
    shutil.copytree(model, cache / "blobs")
    snapshot = cache / "snapshot"
    snapshot.mkdir()
    (snapshot / "config.json").symlink_to(cache / "blobs" / "config.json")
    (snapshot / "text").symlink_to(cache / "blobs" / "text")
    (snapshot / ".gitattributes").write_text("hidden")
    (snapshot / ".cache").mkdir()
    (snapshot / ".cache" / "note").write_text("hidden")
    assert find_weights(str(snapshot)).sha256 == before


def test_a_link_back_to_a_folder_above_ends_there(model: Path) -> None:
    before = find_weights(str(model)).sha256
    (model / "text" / "again").symlink_to(model)
    assert find_weights(str(model)).sha256 == before


def test_a_folder_without_files_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"no weight file 'empty': looked for .*/empty; put it there or set STVG_WEIGHTS"):
        find_weights("empty")


def test_a_file_is_trusted_by_its_bytes_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path / "weights"))
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(name.encode())
    assert not find_weights(str(tmp_path / "a.pt")).trusted
    trust_weights(tmp_path / "a.pt")
    trust_weights(tmp_path / "b.pt")
    trust_weights(tmp_path / "a.pt")
    lines = (tmp_path / "weights" / TRUSTED).read_text().splitlines()
    assert lines == [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("a.pt", "b.pt")]
    shutil.copy(tmp_path / "a.pt", tmp_path / "weights" / "copy.pt")
    assert find_weights("copy.pt").trusted
    found = find_weights(str(tmp_path / "a.pt"))
    found.check_unchanged()
    (tmp_path / "a.pt").write_bytes(b"other")
    assert not find_weights(str(tmp_path / "a.pt")).trusted
    with pytest.raises(WeightsError, match="has changed since it was looked up"):
        found.check_unchanged()
    with pytest.raises(WeightsError, match="there is no weight file"):
        trust_weights(tmp_path / "none.pt")
