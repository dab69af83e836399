"""Exports are whole or not there, and stay in their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.folders.cache import find_remote
from storage.folders.open import folder_at
from storage.progress import Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig
from tasks.exchange.base import ExportOptions, FormatError
from tasks.exchange.export import EXPORTS, export_dataset
from tasks.video.reader import Source


def build(where: Any, clip: Path, *names: str) -> Dataset:
    jobs = [VideoJob(Source(name, clip), (Clip(name),)) for name in names]
    made = Build(folder_at(where), Benchmark(jobs), BuildConfig(detector="motion"))
    run_build(made, run_here, lambda _: None, 0.0)
    return Dataset(made.folder)


@pytest.fixture
def dataset(tmp_path: Path, square_clip: Path, models: Any) -> Dataset:
    assert models.opened == 0
    return build(tmp_path / "set", square_clip, "a.mp4", "b.mp4")


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_breaks_off_leaves_nothing(
    name: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Dataset.rows

    def breaks(self: Dataset, table: str, video_id: str, columns: Any = None) -> Any:
        if table == "masks" and video_id == "b.mp4":
            raise OSError("the disk is gone")
        return rows(self, table, video_id, columns)

    monkeypatch.setattr(Dataset, "rows", breaks)
    with pytest.raises(OSError, match="the disk is gone"):
        export_dataset(dataset, name, tmp_path / "below" / "out")
    assert list((tmp_path / "below").iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "below" / "out").mkdir()
    assert export_dataset(dataset, name, tmp_path / "below" / "out")["videos"] == 2


@pytest.mark.parametrize("name", EXPORTS)
def test_progress_ends_at_its_total(name: str, dataset: Dataset, tmp_path: Path) -> None:
    events: list[Progress] = []
    export_dataset(dataset, name, tmp_path / "out", on_progress=events.append)
    assert events == [Progress("export", n, len(events)) for n in range(1, len(events) + 1)]
    assert len(events) >= 2


@pytest.mark.parametrize("name", EXPORTS)
def test_a_folder_in_use_is_left_alone(name: str, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(FormatError, match="exists and is not an empty folder"):
        export_dataset(dataset, name, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("name", "options"), [("hf", ExportOptions(media=True)), ("released", ExportOptions(2)), ("fiftyone", ExportOptions(2))]
)
def test_an_option_that_means_nothing_is_refused(name: str, options: ExportOptions, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=f"'{name}' does not support"):
        export_dataset(dataset, name, tmp_path / "out", options)


def test_an_unknown_format_lists_those_there_are(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no format 'mine': choose from coco, ytvis, hf, fiftyone, released"):
        export_dataset(dataset, "mine", tmp_path / "out")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", ["coco", "ytvis", "fiftyone", "released"])
@pytest.mark.parametrize("video_id", ["../out.mp4", "/etc/a.mp4", "a/../../b.mp4"])
def test_a_video_whose_name_leads_out_is_refused(name: str, video_id: str, tmp_path: Path, square_clip: Path) -> None:
    data = build(tmp_path / "set", square_clip, video_id)
    with pytest.raises(FormatError, match="which is not a path below a folder"):
        export_dataset(data, name, tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.usefixtures("models")
def test_names_that_the_released_layout_cannot_tell_apart_are_refused(tmp_path: Path, square_clip: Path) -> None:
    data = build(tmp_path / "set", square_clip, "one/a.mp4", "two/a.mkv")
    with pytest.raises(FormatError, match=r"'one/a.mp4' and 'two/a.mkv' would both be 'a'"):
        export_dataset(data, "released", tmp_path / "out")
    odd = build(tmp_path / "odd", square_clip, "...mp4")
    with pytest.raises(FormatError, match="which is not a path below a folder"):
        export_dataset(odd, "released", tmp_path / "out")


@pytest.mark.usefixtures("models")
def test_videos_in_an_object_store_are_copied_for_fiftyone(bucket: str, tmp_path: Path, square_clip: Path) -> None:
    folder_at(bucket).write("a.mp4", square_clip.read_bytes())
    jobs = [VideoJob(Source("a.mp4", find_remote(f"{bucket}/a.mp4")), (Clip("a.mp4"),))]
    made = Build(folder_at(tmp_path / "set"), Benchmark(jobs), BuildConfig(detector="motion"))
    run_build(made, run_here, lambda _: None, 0.0)
    with pytest.raises(FormatError, match=r"a.mp4' is in an object store.*add --media"):
        export_dataset(Dataset(made.folder), "fiftyone", tmp_path / "out")
    export_dataset(Dataset(made.folder), "fiftyone", tmp_path / "out", ExportOptions(media=True))
    assert (tmp_path / "out" / "data" / "a.mp4").read_bytes() == square_clip.read_bytes()


def files(folder: Path, data: Dataset) -> dict[str, bytes]:
    """Bytes by name, without the hash that tells one dataset's place from another's."""
    version = data.manifest.content_hash.encode()
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes().replace(version, b"") for name, path in found.items()}


@pytest.mark.usefixtures("models")
def test_a_dataset_in_an_object_store_is_exported_as_one_on_disk(bucket: str, tmp_path: Path, square_clip: Path) -> None:
    here, there = (build(f"{where}/set", square_clip, "a.mp4") for where in (tmp_path, bucket))
    for name, options in (
        ("coco", ExportOptions(20, media=True)),
        ("ytvis", ExportOptions()),
        ("hf", ExportOptions()),
        ("released", ExportOptions()),
    ):
        for data, place in ((here, "here"), (there, "there")):
            export_dataset(data, name, tmp_path / name / place, options)
        written = files(tmp_path / name / "here", here)
        assert written
        assert files(tmp_path / name / "there", there) == written
