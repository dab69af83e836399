"""Random damage to everything that is read: an error of a known kind in one sentence, or a right answer; never a hang."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.common.errors import InputError
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.reader import Dataset
from storage.records import DIGEST_FIELD
from storage.rle import CountsError, decode_counts, encode_counts
from storage.specification import BuildRequest
from storage.stages import StageStore
from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.own import read_own
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.benchmarks.st_align import read_st_align
from tasks.benchmarks.stvg_r1_train import held_out_names
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.videoocr import read_videoocr
from tasks.benchmarks.vidstg import read_vidstg
from tasks.build.parameters import parameters_of
from tasks.build.plan import Build, plan_masks
from tasks.build.rows import mask_rows
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.exchange.imports import MaskImporter, RecordedConfig
from tasks.metrics.cases import read_cases, score_cases
from tasks.metrics.predictions import read_predictions
from tasks.metrics.quality import measure_quality
from tasks.preview.inspect import describe
from tasks.video.reader import MAX_FRAME_COUNT, Source

SECONDS = 10
"""Longest that one reading may take, however damaged the file."""

fuzzed = settings(
    max_examples=int(os.environ.get("STVG_FUZZ", "150")),
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
dice = st.randoms(use_true_random=False)

ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, math.nan, math.inf,
    "", "x", "1", "../x", "/etc/passwd", "\0", "\ud800", "[/red]", "x" * 300, [], [[]], {}, {"": None}, [1, 2, 3, 4],
]  # fmt: skip


def odd_value(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value in which one place has another value, or is gone, or stands twice."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return chance.choice(ODD)
    holder, key = chance.choice(places)
    what = chance.random()
    if what < 0.15:
        del holder[key]
    elif what < 0.25 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[key] = chance.choice(ODD)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def odd_bytes(data: bytes, chance: random.Random) -> bytes:
    """A copy of some bytes of which a few are others, or the end or the middle is gone."""
    made = bytearray(data)
    what = chance.random()
    if what < 0.2:
        return bytes(made[: chance.randrange(len(made) + 1)])
    if what < 0.3:
        start = chance.randrange(len(made) + 1)
        del made[start : start + chance.randrange(1, 20)]
    for _ in range(chance.choice((1, 1, 1, 4, 30))):
        if made:
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)


def damaged(value: Any, chance: random.Random) -> bytes:
    """JSON, or lines of it, with damage to its values or to its bytes; a record that is sealed has it in one place."""
    if isinstance(value, str):
        return odd_bytes(value.encode(), chance)
    sealed = isinstance(value, dict) and DIGEST_FIELD in value
    for _ in range(1 if sealed else chance.choice((1, 1, 2))):
        value = odd_value(value, chance)
    text = json.dumps(value).encode()
    return odd_bytes(text, chance) if chance.random() < 0.3 and not sealed else text


class HangError(Exception):
    pass


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    def ring(_signal: int, _frame: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_or_refuse(read: Callable[[], Any]) -> Any:
    """What reading gives; None if it is refused with an error of a known kind, in one sentence."""
    try:
        with at_most(SECONDS):
            return read()
    except (InputError, ValidationError) as error:
        said = str(error)
        assert said.strip()
        assert "Traceback" not in said
        return None


MASK = np.zeros((6, 8), np.bool_)
MASK[1:4, 2:6] = True
CODE = {"size": [6, 8], "counts": encode_counts(MASK).decode()}
PLAIN = {"size": [6, 8], "counts": [13, 3, 3, 3, 26]}
HCSTVG = {"bbox": [[1, 2, 3, 4]] * 3, "st_time": 1.0, "ed_time": 1.2, "st_frame": 11, "img_num": 200, "img_size": [60, 80]}
BOX = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}

ANNOTATIONS: dict[str, Any] = {
    "hcstvg": {"a.mp4": {**HCSTVG, "English": "He walks."}, "b.mp4": "Who walks?"},
    "vidstg": [
        {
            "vid": "77", "frame_count": 40, "fps": 10.0, "width": 100, "height": 50,
            "used_segment": {"begin_fid": 10, "end_fid": 39}, "temporal_gt": {"begin_fid": 30, "end_fid": 40},
            "captions": [{"description": "a dog runs.", "target_id": 3}],
            "questions": [{"description": "who runs?", "target_id": 3}],
        }
    ],
    "vidor": {"trajectories": [[{"tid": 3, "bbox": BOX}] for _ in range(40)]},
    "st_align": [
        {
            "video_path": "v/55.mp4", "conversations": [{"value": 'When and where: "the dog that jumps over the box"? <s>'}],
            "meta": {
                "split": [0, 198], "width": 100, "height": 50, "time_token": {"<s>": 20, "<e>": 24},
                "spatial_token": {"<b>": {"20": [1, 2, 10, 10], "22": [90, 2, 20, 10]}},
            },
        }
    ],
    "mevis": {
        "videos": {"v": {"frames": ["0", "1"], "expressions": {"0": {"exp": "dogs", "obj_id": [1, 2], "anno_id": [5, 6]}}}},
    },
    "masks": {"5": [CODE, None], "6": [PLAIN, CODE]},
    "charades": {"AB12": {"duration": 30.0, "timestamps": [[24.3, 30.4]], "sentences": ["person turns a light on."]}},
    "charades_text": "AB12 24.3 30.4##person turns a light on.\nCD34 0.0 9.5##person runs.\n",
    "tvgbench": [{"path": "v/a.mp4", "question": "When?", "answer": "2.5-4", "start": 10.0, "end": 20.0, "duration": 10.0}],
    "videoocr": [
        {
            "video_index": "12", "question": "What?", "option": ["A. x", "B. y"], "answer": "B", "task": "t", "task_type": "T",
            "eval_method": "multiple_choice",
        }
    ],
    "own": {"video": "k/a.mp4", "sentence": "It falls.", "boxes": {"4": [0, 0, 5, 5], "6": [2, 0, 7, 5]}, "clip": [0, 5]},
}  # fmt: skip


def _beside(folder: Path, name: str) -> Path:
    """A sound file that belongs to the damaged one."""
    path = folder / "beside" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(ANNOTATIONS[name]))
    return path


READERS: dict[str, Callable[[Path, Path], Benchmark]] = {
    "hcstvg": read_hcstvg,
    "vidstg": read_vidstg,
    "vidor": lambda path, videos: read_vidstg(_beside(videos, "vidstg"), videos, _as_vidor(path)),
    "st_align": lambda path, videos: read_st_align(path, videos, Task.SPATIAL),
    "mevis": lambda path, videos: read_mevis(path, _beside(videos, "masks"), videos, 6),
    "masks": lambda path, videos: read_mevis(_beside(videos, "mevis"), path, videos, 6),
    "charades": read_charades,
    "charades_text": read_charades,
    "tvgbench": read_tvgbench,
    "videoocr": read_videoocr,
    "own": read_own,
}


def _as_vidor(path: Path) -> Path:
    folder = path.parent / "vidor"
    folder.mkdir(exist_ok=True)
    (folder / "77.json").write_bytes(path.read_bytes())
    return folder


def assert_usable(benchmark: Benchmark, videos: Path) -> None:
    """What a benchmark that was read must keep to, whatever it was read from."""
    for job in benchmark.jobs:
        assert job.source.path.resolve().is_relative_to(videos.resolve())
        job.source.video_id.encode()
        for sample in job.samples:
            json.dumps(sample.content(), ensure_ascii=False).encode()
            assert all(v is None or math.isfinite(v) for v in (sample.start_s, sample.end_s))
            assert all(v is None or 0 <= v <= MAX_FRAME_COUNT for v in (sample.start_frame, sample.end_frame))
            for target in sample.targets:
                assert np.isfinite(target.boxes).all()
                assert len(target.frames) == len(target.boxes) > 0
                assert (np.diff(target.frames) > 0).all()
                assert 0 <= target.frames[0] <= target.frames[-1] <= MAX_FRAME_COUNT


@pytest.mark.parametrize("name", READERS)
def test_annotations(name: str, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    path = tmp_path / ("anno.txt" if name == "charades_text" else "anno.json")
    read = READERS[name]

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(ANNOTATIONS[name], chance))
        benchmark = read_or_refuse(lambda: read(path, videos))
        if benchmark is not None:
            assert_usable(benchmark, videos)

    value = ANNOTATIONS[name]
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    assert_usable(read(path, videos), videos)
    damage()


RECORDS: dict[str, Any] = {
    "released": {"height": 6, "width": 8, "objects": {"3": {"class_name": "dog", "box": None, "rle": CODE}}},
    "sa-v": {
        "video_frame_count": 8.0, "video_height": 6.0, "video_width": 8.0, "masklet_id": [0, 2],
        "masklet": [[CODE, PLAIN], [PLAIN, CODE]],
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", RECORDS)
def test_recorded_masks(layout: str, tmp_path: Path) -> None:
    """Masks that are read are those of a video, or are refused."""

    class Blank:
        height, width = 6, 8

        def __len__(self) -> int:
            return 7

    place = tmp_path / "a_manual.json" if layout == "sa-v" else tmp_path
    path = tmp_path / ("a_manual.json" if layout == "sa-v" else "mask_0.json")
    job = VideoJob(Source("a.mp4", path), (), masks=place)
    video: Any = Blank()

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(RECORDS[layout], chance))
        found = read_or_refuse(lambda: MaskImporter(RecordedConfig(layout=layout)).annotate(job, video))
        if found is not None:
            assert all(0 <= frame < 7 for frame in found.tubes.frames)
            seen = [(i, one) for here in found.tubes.frames.values() for i, one in here.items()]
            assert {i for i, _ in seen} == set(found.tubes.objects)
            assert all(1 <= i < 2**31 and decode_counts(one.counts, 6, 8).any() for i, one in seen)
            mask_rows("a.mp4", found.tubes)

    path.write_text(json.dumps(RECORDS[layout]))
    assert MaskImporter(RecordedConfig(layout=layout)).annotate(job, video).tubes.objects
    damage()


def test_lists_of_what_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "val.json"

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(chance.choice(([{"vid": "77"}], ["77", "78"], {"77": 1})), chance))
        names = read_or_refuse(lambda: held_out_names(path))
        assert names is None or all(isinstance(name, str) for name in names)

    damage()


PREDICTIONS = [
    {"sample_id": "a", "object_id": 3, "start_s": 1.5, "end_s": 7.0},
    {"sample_id": "b", "object_ids": [1, 2], "answer": "B"},
]


def assert_predictions(found: Any) -> None:
    for prediction in (found or {}).values():
        assert all(type(i) is int for i in prediction.object_ids)
        assert prediction.span_s is None or all(math.isfinite(v) for v in prediction.span_s)
        assert prediction.answer is None or isinstance(prediction.answer, str)


def test_predictions_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(b"\n".join(damaged(line, chance) for line in PREDICTIONS))
        assert_predictions(read_or_refuse(lambda: read_predictions(path)))

    damage()


def test_predictions_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "answers.parquet"
    table = pa.table({"sample_id": ["a", "b"], "object_id": [1, 2], "start_s": [0.5, 1.0], "end_s": [1.5, 2.0]})

    def otherwise(chance: random.Random) -> pa.Table:
        name = chance.choice(table.column_names)
        if chance.random() < 0.3:
            return table.drop_columns([name])
        values = chance.choice(([1, 2], ["a", "b"], [None, None], [[1], [2]], [b"\xff", b"x"], [True, False], [math.nan, 1.0]))
        return table.set_column(table.schema.get_field_index(name), name, pa.array(values))

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        pq.write_table(otherwise(chance), path)
        if chance.random() < 0.6:
            path.write_bytes(odd_bytes(path.read_bytes(), chance))
        assert_predictions(read_or_refuse(lambda: read_predictions(path)))

    damage()


def test_case_files(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    tube = {"start_frame": 0, "end_frame": 1, "boxes": {"0": [0, 0, 4, 4], "1": [0, 0, 4, 4]}, "start_s": 0.0, "end_s": 0.2}
    cases = {"cases": [{"sample_id": "a", "fps": 10, "frame_count": 20, "gt": tube, "pred": tube, "clip": [0, 19]}]}

    @fuzzed
    @given(dice, st.sampled_from(["paper", "tubedetr", "st_align", "hcstvg_official"]))
    def damage(chance: random.Random, convention: str) -> None:
        path.write_bytes(damaged(cases, chance))
        told = read_or_refuse(lambda: score_cases(read_cases(path), convention))
        assert told is None or 0 <= told.metrics["m_vIoU"].mean <= 1

    damage()


@fuzzed
@given(dice)
def test_run_length_codes(chance: random.Random) -> None:
    """A code that is decoded is that of a mask: encoded again it is the same, so no pixel came from anywhere else."""
    rows, columns = chance.randrange(1, 20), chance.randrange(1, 20)
    mask = np.array([[chance.random() < 0.5 for _ in range(columns)] for _ in range(rows)], np.bool_)
    counts = encode_counts(mask)
    assert np.array_equal(decode_counts(counts, rows, columns), mask)
    other = odd_bytes(counts, chance)
    try:
        decoded = decode_counts(other, rows, columns)
    except CountsError:
        return
    runs = np.flatnonzero(np.diff(decoded.T.ravel().astype(int)))
    assert decoded.shape == (rows, columns)
    assert np.array_equal(decode_counts(encode_counts(decoded), rows, columns), decoded)
    assert len(runs) < len(other) + 1


@pytest.fixture
def build(tmp_path: Path, square_clip: Path, models: Any) -> Build:
    """Two videos, built and published; one sentence."""
    (tmp_path / "videos").mkdir()
    jobs = []
    for name in ("a.mp4", "b.mp4"):
        path = tmp_path / "videos" / name
        path.write_bytes(square_clip.read_bytes())
        truth = Target.dense(0, [(10.0 + i, 20.0, 50.0 + i, 60.0) for i in range(10)])
        sample = Sample(name, name, "The red one.", Task.SPATIO_TEMPORAL, 0.0, 1.0, 0, 9, (truth,))
        jobs.append(VideoJob(Source(name, path), (Clip(name),), (sample,)))
    made = Build(
        folder_at(tmp_path / "set"),
        Benchmark(jobs, {"read": 2}),
        BuildConfig(detector="motion"),
        request=BuildRequest("folder", {"videos": "videos"}),
    )
    masks = run_masks(made, run_here, lambda _: None)
    publish_build(made, masks, run_frames(made, masks, run_here, lambda _: None), 1.0)
    return made


def all_rows(folder: Folder) -> dict[str, Any]:
    """Everything a dataset holds, and what is made of it."""
    data = Dataset(folder)
    names = ("videos", "masks", "clips", "frames", "samples")
    rows = {f"{name} of {v}": data.rows(name, v).to_pylist() for name in names for v in data.video_ids("videos")}
    masks = {frame: {i: mask.tobytes() for i, mask in data.masks("a.mp4", frame).items()} for frame in (0, 20)}
    return {
        **rows,
        "masks": masks,
        "outcomes": data.outcomes.to_pylist(),
        "told": describe(data),
        "quality": measure_quality(data),
    }


def damage_and_read(path: Path, read: Callable[[], Any], right: Any, values: bool = False) -> None:
    """Damage one file again and again: what is read is refused or right."""
    sound = path.read_bytes()

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(json.loads(sound), chance) if values and chance.random() < 0.7 else odd_bytes(sound, chance))
        found = read_or_refuse(read)
        assert found is None or found == right, "a wrong answer"

    damage()
    path.write_bytes(sound)
    assert read() == right


def test_manifests(build: Build) -> None:
    path = Path(str(build.folder)) / "manifest.json"
    damage_and_read(path, lambda: all_rows(build.folder), all_rows(build.folder), values=True)


@pytest.mark.parametrize("table", ["masks", "frames", "samples", "videos"])
def test_table_files(build: Build, table: str) -> None:
    [path] = Path(str(build.folder)).glob(f"*/shard-*.{table}.parquet")
    right = all_rows(build.folder)
    damage_and_read(path, lambda: all_rows(build.folder), right)
    assert Dataset(build.folder).damaged_files() == []
    path.write_bytes(odd_bytes(path.read_bytes(), random.Random(1)))
    assert Dataset(build.folder).damaged_files() == [str(path.relative_to(str(build.folder)))]


def test_outcomes_tables(build: Build) -> None:
    [path] = Path(str(build.folder)).glob("outcomes-*.parquet")
    damage_and_read(path, lambda: all_rows(build.folder), all_rows(build.folder))


def test_shard_records(build: Build) -> None:
    path = next(Path(str(build.masks.folder)).glob("shard-*.json"))
    damage_and_read(path, lambda: plan_masks(build).settled, plan_masks(build).settled, values=True)


def test_records_of_void_entries(build: Build) -> None:
    build.masks.invalidate(plan_masks(build).fingerprints)
    path = next(Path(str(build.masks.folder)).glob("void-*.json"))
    states = plan_masks(build).states

    def read() -> bool:
        """Each video is settled, or is new; none is anything else."""
        return set(plan_masks(build).states.values()) <= {"new", "done"}

    damage_and_read(path, read, True, values=True)
    assert plan_masks(build).states == states


def test_parts(build: Build, tmp_path: Path) -> None:
    """A part whose record is damaged is done again; it never counts as something else."""
    build.masks.invalidate(plan_masks(build).fingerprints)
    run_masks(build, run_here, lambda _: None)
    right = plan_masks(build).settled
    store = StageStore(tmp_path / "other", build.masks.spec)
    store.prepare()
    store.write_part(right["a.mp4"], {})
    path = next((tmp_path / "other").glob("*/parts/*.json"))
    sound = path.read_bytes()

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(json.loads(sound), chance))
        found = read_or_refuse(store.entries)
        assert found in ({}, {"a.mp4": [right["a.mp4"]]})

    damage()


def test_requests(build: Build) -> None:
    path = Path(str(build.folder)) / "build.json"
    sound = path.read_bytes()

    @fuzzed
    @given(dice)
    def damage(chance: random.Random) -> None:
        path.write_bytes(damaged(json.loads(sound), chance))
        parameters = read_or_refuse(lambda: parameters_of(str(build.folder)))
        assert parameters is None or Path(parameters.root) / parameters.name == Path(str(build.folder))

    damage()
