"""A builder killed at every kind of moment, and run again: the same dataset, nothing done twice, nothing half-written seen.

A child process builds and kills itself before the n-th event of its files: Python's audit hooks see every rename, removal and
opening of a file, so no moment depends on how the code is cut. `docs/reliability.md` lists the same crash points.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from storage.folders.open import folder_at
from storage.manifest import load_manifest
from storage.reader import Dataset
from tasks.benchmarks.folder import read_folder
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig

pytestmark = pytest.mark.heavy

KINDS = {
    r"parts/part-.*\.parquet": "a part's table",
    r"parts/part-.*\.json": "a part's record",
    r"shard-.*\.parquet": "a shard's table",
    r"shard-.*\.json": "a shard's record",
    r"stage\.json": "a stage's record",
    r"outcomes-.*\.parquet": "the outcomes",
    r"README\.md": "the card",
    r"manifest\.json": "the manifest",
}
POINTS = (
    "while a video is tracked",
    "while a part's table is written",
    "before a part's table is renamed",
    "while a part's record is written",
    "before a part's record is renamed",
    "while a shard's table is written",
    "before a shard's table is renamed",
    "while a shard's record is written",
    "before a shard's record is renamed",
    "while a part's record is removed",
    "while a part's table is removed",
    "while a stage's record is written",
    "before a stage's record is renamed",
    "between stages",
    "while the outcomes are written",
    "before the outcomes are renamed",
    "while the card is written",
    "before the card is renamed",
    "while the manifest is written",
    "before the manifest is renamed",
    "after the manifest",
)
_NUMBER = {"the outcomes": "are"}


def point_of(event: str, path: str) -> str | None:
    """The crash point of an event on a file; None where nothing can be lost."""
    name = re.sub(r"\.(part|shard|stage|outcomes|README|manifest)(.*)\.[^.]+\.tmp$", r"\1\2", path)
    kind = next((kind for pattern, kind in KINDS.items() if re.search(f"(^|/){pattern}$", name)), None)
    if kind is None:
        return None
    doing = {"os.rename": "before {} {} renamed", "os.remove": "while {} {} removed", "write": "while {} {} written"}
    temporary = path.endswith(".tmp")
    if event in {"os.remove", "write"} and temporary == (event == "os.remove"):
        return None
    return doing[event].format(kind, _NUMBER.get(kind, "is"))


class Killing:
    """An audit hook that writes down crash points and kills its process at the n-th; 0 kills nothing."""

    def __init__(self, root: Path, log: Path, kill_at: int) -> None:
        self._root, self._kill_at, self._count = str(root), kill_at, 0
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, event: str, args: Sequence[Any]) -> None:
        if event == "tests.point":
            self.passed(args[0])
        elif event in {"os.rename", "os.remove"} or (event == "open" and "w" in str(args[1])) or event == "tests.write":
            path = os.fspath(args[1] if event == "os.rename" else args[0])
            if isinstance(path, str) and path.startswith(self._root):
                self.passed(point_of("write" if event in {"open", "tests.write"} else event, path))

    def passed(self, point: str | None) -> None:
        """Note a point, or die there."""
        if point is None:
            return
        self._count += 1
        os.write(self._log, f"{point}\n".encode())
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def builder(videos: Path, root: Path, kill_at: int = 0) -> list[str]:
    """Build in a child process, killed at its n-th crash point; returns the points it passed."""
    root.mkdir(exist_ok=True)
    log = root / "points.log"
    log.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _build(videos, root, Killing(root, log, kill_at))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if kill_at else 0)
    return log.read_text().splitlines()


def _build(videos: Path, root: Path, hook: Killing) -> None:
    import pyarrow.parquet as pq

    real = pq.ParquetWriter.write_table

    def write_table(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        sys.audit("tests.write", str(self.where))

    pq.ParquetWriter.write_table = write_table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.build.run.SHARD_VIDEOS", 2)
        build = Build(folder_at(root / "set"), read_folder(videos), BuildConfig(detector="motion"))
        sys.addaudithook(hook)
        masks = run_masks(build, run_here, lambda _progress: None)
        sys.audit("tests.point", "between stages")
        frames = run_frames(build, masks, run_here, lambda _progress: None)
        publish_build(build, masks, frames, 1.0)
        sys.audit("tests.point", "after the manifest")


class Undisturbed(NamedTuple):
    """A build that nothing disturbed: its videos, content hash, rows, and the crash points it passed."""

    videos: Path
    content_hash: str
    rows: dict[str, Any]
    points: list[str]


def rows(folder: Path) -> dict[str, Any]:
    data = Dataset(folder)
    return {table: data.table(table).to_pylist() for table in ("videos", "masks", "clips", "frames", "samples")}


@pytest.fixture(scope="module")
def undisturbed(square_clip: Path, tmp_path_factory: pytest.TempPathFactory, colour_models: type[Any]) -> Iterator[Undisturbed]:
    class Watched(colour_models):
        def open(self, *args: Any) -> Any:
            sys.audit("tests.point", "while a video is tracked")
            return super().open(*args)

    folder = tmp_path_factory.mktemp("crashes")
    (folder / "videos").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(square_clip, folder / "videos" / name)
    (folder / "videos" / "bad.mp4").write_text("not a video, as it happens")
    with pytest.MonkeyPatch.context() as patch:
        for place in ("build_detector", "build_tracker"):
            patch.setattr(f"tasks.tracking.annotator.{place}", lambda _config, _weights: Watched())
        points = builder(folder / "videos", folder / "whole")
        made = load_manifest(folder / "whole" / "set")
        yield Undisturbed(folder / "videos", made.content_hash, rows(folder / "whole" / "set"), points)


def test_the_crash_points_are_all_there_are(undisturbed: Undisturbed) -> None:
    assert set(undisturbed.points) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_build_killed_there_and_run_again_is_as_if_it_had_not_been(undisturbed: Undisturbed, point: str) -> None:
    at = [number for number, passed in enumerate(undisturbed.points, start=1) if passed == point]
    for kill_at in sorted({at[0], at[-1]}):
        root = undisturbed.videos.parent / f"killed-{kill_at}"  # beside the whole one: rows say where videos lie, from there
        assert builder(undisturbed.videos, root, kill_at)[-1] == point
        assert published(root / "set") == (undisturbed.content_hash if point == POINTS[-1] else None)
        left = {"a", "b", "c"} - tracked(root / "set")
        again = builder(undisturbed.videos, root)
        assert again.count("while a video is tracked") == len(left), "finished work is not done again"
        assert load_manifest(root / "set").content_hash == undisturbed.content_hash
        assert rows(root / "set") == undisturbed.rows
        assert not [path for path in (root / "set").rglob("*") if path.name.endswith(".tmp") or path.name.startswith("part-")]


def published(folder: Path) -> str | None:
    """Content hash of what a reader sees; None if that is nothing. A damaged manifest raises."""
    return load_manifest(folder).content_hash if (folder / "manifest.json").exists() else None


def tracked(folder: Path) -> set[str]:
    """Stems of the good videos whose masks are kept."""
    from storage.commit import read_bundle

    records = [*folder.glob("masks-*/shard-*.json"), *folder.glob("masks-*/parts/part-*.json")]
    entries = [entry for record in records for entry in read_bundle(folder_at(record.parent), record.name).entries]
    return {Path(entry.video_id).stem for entry in entries if entry.outcome.status == "done"}
