"""One video within its limits and the machine's memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.folders.open import folder_at
from storage.outcomes import Outcome
from storage.stages import StageStore
from tasks.benchmarks.samples import Clip, VideoJob
from tasks.build.rows import video_row
from tasks.build.stages import BuildConfig, masks_spec
from tasks.build.workers import MasksWorker, _covers
from tasks.tracking.annotator import NO_WEIGHTS, Annotator, AnnotatorConfig, is_out_of_memory, join_notes, none_if_out_of_memory
from tasks.tracking.base import TrackingCost
from tasks.tracking.config import MemoryConfig
from tasks.tracking.limits import LimitError, annotated_segments
from tasks.video.reader import Source, Video, open_video


@pytest.fixture
def video(square_clip: Path) -> Video:
    return open_video(Source("v", square_clip))


def job(video: Video, *clips: tuple[int, int]) -> VideoJob:
    """A job whose clips are these closed ranges of frames."""
    return VideoJob(video.source, tuple(Clip(f"c{n}", frames=clip) for n, clip in enumerate(clips)))


def finder(**limits: Any) -> Annotator:
    return Annotator(AnnotatorConfig(detector="motion", limits=limits))


def test_a_video_within_the_caps_is_tracked_whole(video: Video, models: Any) -> None:
    found = finder(max_duration_s=4.0, max_objects=2).annotate(job(video, (3, 5)), video)
    assert found.segments == [range(40)]
    assert found.note == Outcome("done")
    assert sorted(found.tubes.objects) == [1, 2]


def test_a_long_video_is_cut_to_its_annotated_segments(video: Video, models: Any) -> None:
    found = finder(max_duration_s=2.0).annotate(job(video, (22, 29), (3, 5), (4, 8), (9, 9)), video)
    assert found.segments == [range(3, 10), range(22, 30)]
    assert sorted(found.tubes.frames) == [*range(3, 10), *range(22, 30)]
    assert found.note.reason == "cut_to_segments"
    assert found.note.detail == "only its annotated segments are tracked, 15 of its 40 frames: it is longer than the limit"


def test_beyond_the_cap_a_long_video_is_refused_with_a_reason(video: Video, models: Any) -> None:
    with pytest.raises(LimitError, match=r"2 s to track, and the limit is 1\.5 s: raise limits.max_duration_s") as caught:
        finder(max_duration_s=1.5).annotate(job(video, (0, 19)), video)
    assert caught.value.reason == "too_long"
    with pytest.raises(LimitError, match="4 s to track"):
        finder(max_duration_s=1.5).annotate(job(video), video)


def test_a_crowded_video_is_cut_and_then_refused(video: Video, models: Any) -> None:
    found = finder(max_objects=1).annotate(job(video, (0, 9)), video)
    assert (found.segments, found.note.reason) == ([range(10)], "cut_to_segments")
    assert found.note.detail.endswith("it has more than 1 objects by frame 15")
    for clips in (((0, 39),), ((0, 20),), ()):
        with pytest.raises(LimitError, match="more than 1 objects by frame 15") as caught:
            finder(max_objects=1).annotate(job(video, *clips), video)
        assert caught.value.reason == "too_many_objects"


def test_segments_end_with_the_video(video: Video) -> None:
    assert annotated_segments(job(video, (30, 80), (90, 95)), video) == [range(30, 40)]
    assert annotated_segments(job(video), video) == [range(40)]


class Full:
    """Stands before a tracker's `open`: memory runs out while the budget is one of these."""

    def __init__(self, tracker: Any, error: Exception, budgets: Sequence[MemoryConfig]) -> None:
        self.tracker, self.error, self.budgets = tracker, error, budgets
        self.asked: list[MemoryConfig] = []

    def open(self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig) -> Any:
        self.asked.append(memory)
        if memory in self.budgets:
            raise self.error
        return self.tracker.open(video, frames, last_prompt, memory)


USUAL, LEAN = MemoryConfig(), MemoryConfig(features_mb=0, spill_mb=6144, objects_at_once=1)
ERRORS: Mapping[str, Exception] = {
    "host": MemoryError(),
    "torch's allocator": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"
    ),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_memory_that_runs_out_is_met_by_off_loading_once(video: Video, models: Any, error: Exception) -> None:
    tight = finder()
    tight._tracker = full = Full(models, error, [USUAL])
    found = tight.annotate(job(video), video)
    assert full.asked == [USUAL, LEAN]
    assert found.note.reason == "off_loaded"
    assert sorted(found.tubes.objects) == [1, 2]


def test_out_of_memory_twice_quarantines_the_video_and_leaves_the_worker_healthy(
    square_clip: Path, models: Any, tmp_path: Path
) -> None:
    config = BuildConfig(detector="motion")
    worker = MasksWorker(config, NO_WEIGHTS, StageStore(tmp_path, masks_spec(config, NO_WEIGHTS)))
    worker._annotator._tracker = full = Full(models, MemoryError(), [USUAL, LEAN])
    outcome = worker.run(VideoJob(Source("bad", square_clip), ()))
    assert (outcome.status, outcome.reason) == ("quarantined", "out_of_memory")
    assert outcome.detail.startswith("memory ran out, and again with features off-loaded")
    full.budgets = ()
    assert worker.run(VideoJob(Source("good", square_clip), ())).status == "done"


def test_torchs_own_exhaustion_is_known() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        none_if_out_of_memory(lambda: (_ for _ in ()).throw(RuntimeError("shapes differ")))


def test_what_filled_the_memory_is_given_back_before_another_try() -> None:
    import weakref

    class Large:
        pass

    held: list[weakref.ref[Large]] = []

    def work() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise MemoryError

    assert none_if_out_of_memory(work) is None
    assert held[0]() is None


def test_limits_and_budgets_do_not_make_other_masks() -> None:
    plain = masks_spec(BuildConfig(detector="motion"), NO_WEIGHTS)
    other = BuildConfig(
        detector="motion",
        tracker={"device": "cuda", "memory": LEAN, "sam2": {"compiled": True}},
        limits={"max_duration_s": 3.0, "max_objects": 2},
    )
    assert masks_spec(other, NO_WEIGHTS).key == plain.key
    assert masks_spec(BuildConfig(detector="motion", tracker={"overlapping": False}), NO_WEIGHTS).key != plain.key


def test_notes_are_joined() -> None:
    assert join_notes(Outcome("done"), Outcome("done")) == Outcome("done")
    both = join_notes(Outcome("done", "a", "one"), Outcome("done"), Outcome("done", "b", "two"))
    assert both == Outcome("done", "a", "one; two")


def test_what_became_of_features_is_in_the_note(video: Video, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.tracking import annotator as find

    for work in (TrackingCost(40, 9, "spilled"), TrackingCost(70, 9, "encoded_again")):
        monkeypatch.setattr(find, "track", lambda *_, work=work: (None, work))
        note = finder().annotate(job(video), video).note
        assert note.reason == f"features_{work.features}"
        assert re.search(f"{work.encoder_passes / 40:.2f} encoder passes a frame", note.detail)


def test_a_clip_beyond_what_was_tracked_is_not_shown_as_empty(video: Video, models: Any, tmp_path: Path) -> None:
    found = finder(max_duration_s=2.0).annotate(job(video, (3, 9)), video)
    row = video_row(video.source, video, found, "0" * 64, folder_at(tmp_path))
    assert row.column("tracked").to_pylist() == [[{"start_frame": 3, "end_frame": 9}]]
    assert _covers(row, job(video, (4, 9)))
    assert not _covers(row, job(video, (4, 9), (20, 25)))
