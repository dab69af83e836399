"""Each benchmark's format in small: conventions, and what is refused, clipped or counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.rle import decode_counts, encode_counts
from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.own import read_own
from tasks.benchmarks.samples import AnnotationError, Benchmark, Sample, Task
from tasks.benchmarks.st_align import read_st_align
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.videoocr import read_videoocr
from tasks.benchmarks.vidstg import read_vidstg

VIDSTG: dict[str, Any] = {
    "vid": "77",
    "frame_count": 40,
    "fps": 10.0,
    "width": 100,
    "height": 50,
    "used_segment": {"begin_fid": 10, "end_fid": 39},
    "temporal_gt": {"begin_fid": 30, "end_fid": 40},
    "captions": [{"description": "a dog runs.", "type": "object", "target_id": 3}],
    "questions": [{"description": "who runs?", "type": "person", "target_id": 3}],
}
ST_ALIGN: dict[str, Any] = {
    "video_path": "vidor/0001/55.mp4",
    "conversations": [{"from": "human", "value": '<video>\nWhen and where: "the dog that jumps over the box"? <s>'}],
    "meta": {
        "split": [0, 198],
        "width": 100,
        "height": 50,
        "time_token": {"<s>": 20, "<e>": 24},
        "spatial_token": {"<bboxes>": {"20": [1, 2, 10, 10], "22": [90, 2, 20, 10], "24": [5, 2, 10, 10]}},
    },
}
TVGBENCH: dict[str, Any] = {
    "path": "./videos/a.mp4", "question": "When?", "answer": "2.5-4", "start": 10.0, "end": 20.0, "duration": 10.0
}  # fmt: skip
VIDEOOCR: dict[str, Any] = {
    "video_index": "12", "question": "What?", "option": ["A. x", "B. y"], "answer": "B", "eval_method": "multiple_choice",
    "task": "Text Recognition", "task_type": "TR",
}  # fmt: skip
OWN: dict[str, Any] = {"video": "k/a.mp4", "sentence": "It falls.", "boxes": {"4": [0, 0, 5, 5], "6": [2, 0, 7, 5]}}

Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(value: Any, name: str = "anno.json") -> Path:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return written


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def only(read: Benchmark) -> Sample:
    [job] = read.jobs
    return job.samples[0]


def test_vidstg_spans_end_exclusively_and_segments_inclusively(write: Write, videos: Path, tmp_path: Path) -> None:
    vidor = tmp_path / "vidor" / "0000"
    vidor.mkdir(parents=True)
    box = {"xmin": -5, "ymin": 0, "xmax": 20, "ymax": 20}
    frames = [[{"tid": 3, "bbox": box}] if f != 35 else [] for f in range(40)]
    (vidor / "77.json").write_text(json.dumps({"trajectories": frames}))
    read = read_vidstg(write([VIDSTG]), videos, vidor.parent)
    [job] = read.jobs
    caption, question = job.samples
    assert (caption.start_frame, caption.end_frame, caption.start_s, caption.end_s) == (30, 39, 2.0, 3.0)
    assert job.clips[0].frames == (10, 39)
    assert (caption.group, question.group, question.targets) == ("declarative", "interrogative", caption.targets)
    assert caption.targets[0].frames.tolist() == [f for f in range(30, 40) if f != 35]
    assert caption.targets[0].boxes[0].tolist() == [0, 0, 20, 20]
    assert (read.records["boxes clipped to the image"], read.records["true frames without a box"]) == (9, 1)


def test_st_align_takes_its_grid_and_the_quoted_sentence(write: Write, videos: Path) -> None:
    for task in (Task.SPATIO_TEMPORAL, Task.SPATIAL):
        sample = only(read_st_align(write([ST_ALIGN]), videos, task))
        assert (sample.task, sample.start_frame, sample.end_frame) == (task, 20, 24)
        assert sample.sentence == "the dog that jumps over the box"
        assert sample.targets[0].frames.tolist() == [20, 22, 24]
        assert sample.targets[0].boxes[1].tolist() == [90, 2, 100, 12]
    read = read_st_align(write([ST_ALIGN] * 3), videos, Task.SPATIAL, limit=2)
    assert (read.records["items"], read.records["items beyond the first 2, not taken"]) == (2, 1)


def test_mevis_targets_are_objects_and_an_objects_masks_are_united(write: Any, videos: Path) -> None:
    masks = np.zeros((3, 6, 8), np.bool_)
    masks[0, 1:3, 1:3], masks[1, 1:3, 2:5], masks[2, 4:6, 6:8] = True, True, True
    code = [{"size": [6, 8], "counts": encode_counts(mask).decode()} for mask in masks]
    (videos / "JPEGImages" / "v").mkdir(parents=True)
    (videos / "JPEGImages" / "v" / "00000.jpg").write_bytes(b"x")
    said = {"exp": "two  Dogs", "obj_id": [1, 1, 2], "anno_id": [5, 6, 7]}
    path = write({"videos": {"v": {"frames": ["00000", "00001"], "expressions": {"0": said}}}})
    truth = write({"5": [code[0], None], "6": [code[1], None], "7": [None, code[2]]}, "masks.json")
    read = read_mevis(path, truth, videos, 6)
    sample = only(read)
    assert (sample.sentence, sample.task, len(sample.targets)) == ("two Dogs", Task.SEGMENTATION, 2)
    first, second = sample.targets
    assert (first.frames.tolist(), second.frames.tolist()) == ([0], [1])
    assert first.boxes.tolist() == [[1, 1, 5, 3]]
    assert np.array_equal(decode_counts(first.counts[0], 6, 8), masks[0] | masks[1])
    assert (read.jobs[0].source.fps, "videos missing" in read.records) == (6, False)


def mevis_of(write: Any, videos: Path, names: list[str], codes: dict[str, Any], **said: Any) -> Benchmark:
    expression = {"exp": "It.", "obj_id": [1], "anno_id": [5], **said}
    path = write({"videos": {"v": {"frames": names, "expressions": {"0": expression}}}})
    return read_mevis(path, write(codes, "masks.json"), videos, 6)


def test_mevis_masks_belong_to_frames_by_name(write: Any, videos: Path) -> None:
    code = {"size": [6, 8], "counts": encode_counts(np.ones((6, 8), np.bool_)).decode()}
    names = [f"{frame:05d}" for frame in range(0, 20, 5)]
    codes = {"5": [code, None, code, code]}
    assert only(mevis_of(write, videos, names, codes)).targets[0].frames.tolist() == [0, 10, 15], "without images, by number"
    (videos / "v").mkdir()
    for frame in range(20):
        (videos / "v" / f"{frame:05d}.jpg").write_bytes(b"x")
    assert only(mevis_of(write, videos, names, codes)).targets[0].frames.tolist() == [0, 10, 15]
    read = mevis_of(write, videos, [*names[:3], "00025"], codes)
    assert only(read).targets[0].frames.tolist() == [0, 10, 25]
    assert read.records["listed frames without an image"] == 1


def test_mevis_expressions_without_a_target_have_a_truth(write: Any, videos: Path) -> None:
    for codes, said in (({"5": [None, None]}, {}), ({"5": [None, None]}, {"obj_id": [], "anno_id": []})):
        read = mevis_of(write, videos, ["0", "1"], codes, **said)
        [target] = only(read).targets
        assert (len(target.frames), target.counts, read.records["expressions without a target"]) == (0, (), 1)


def test_mevis_lists_of_unequal_length_are_refused(write: Any, videos: Path) -> None:
    with pytest.raises(AnnotationError, match="'obj_id' has 2 entries and 'anno_id' 1"):
        mevis_of(write, videos, ["0", "1"], {"5": [None, None]}, obj_id=[1, 2])
    with pytest.raises(AnnotationError, match="annotation 5 has 3 masks for 2 listed frames"):
        mevis_of(write, videos, ["0", "1"], {"5": [None] * 3})
    with pytest.raises(AnnotationError, match="'frames' lists a frame twice"):
        mevis_of(write, videos, ["0", "0"], {"5": [None, None]})


def test_mevis_of_the_field(shared: Path, videos: Path) -> None:
    folder = shared / "cases" / "mevis"
    sample = only(read_mevis(folder / "meta.json", folder / "mask_dict.json", videos, 6))
    assert sample.targets[0].frames.tolist() == [0, 5, 10, 15]


def test_charades_in_all_its_forms(write: Any, videos: Path) -> None:
    text = write("AB12 24.3 30.4##person turns a light on.\n", "sta.txt")
    durations = write("id,length\nAB12,30.0\n", "durations.csv")
    old = write({"AB12": {"duration": 30.0, "timestamps": [[24.3, 30.4]], "sentences": ["person turns a light on."]}})
    new = write(
        {"AB12": {"video_duration": 30.0, "timestamps": [[24.3, 30.4]], "sentences": ["person turns a light on."]}}, "n.json"
    )
    for read in (read_charades(text, videos, durations), read_charades(old, videos), read_charades(new, videos)):
        sample = only(read)
        assert (sample.start_s, sample.end_s, sample.task, sample.start_frame) == (24.3, 30.4, Task.TEMPORAL, None)
        assert read.records["ends beyond the duration"] == 1


def test_tvgbench_answers_count_from_the_segment_and_unwinnable_ones_stay(write: Write, videos: Path) -> None:
    read = read_tvgbench(write([TVGBENCH, {**TVGBENCH, "answer": "4-4", "start": None, "end": None}]), videos)
    [job] = read.jobs
    assert [(c.start_s, c.end_s) for c in job.clips] == [(10.0, 20.0), (0.0, None)]
    assert [(s.start_s, s.end_s) for s in job.samples] == [(2.5, 4.0), (4.0, 4.0)]
    assert read.records["spans of no length"] == 1
    assert [c.end_s for c in read_tvgbench(write([TVGBENCH]), videos, cut=True).jobs[0].clips] == [None]


def test_videoocr_keeps_what_scoring_needs(write: Write, videos: Path) -> None:
    sample = only(read_videoocr(write([VIDEOOCR]), videos))
    assert (sample.task, sample.options, sample.answer) == (Task.QUESTION, ("A. x", "B. y"), "B")
    assert (sample.group, sample.record) == ("TR/Text Recognition", "0|multiple_choice")


def test_ones_own_lines_say_as_little_as_they_like(write: Write, videos: Path) -> None:
    lines = [
        OWN,
        {"video": "l/a.mp4", "sentence": "When?", "span_s": [1, 2], "clip": [0, 5]},
        {"video": "l/a.mp4", "sentence": "What?", "answer": "A"},
        {"video": "l/a.mp4", "sentence": "Which?"},
    ]
    read = read_own(write("\n".join(json.dumps(line) for line in lines)), videos)
    samples = [sample for job in read.jobs for sample in job.samples]
    assert [job.source.video_id for job in read.jobs] == ["k/a.mp4", "l/a.mp4"], "equal names stay two videos"
    assert [s.task for s in samples] == [Task.SPATIO_TEMPORAL, Task.TEMPORAL, Task.QUESTION, Task.SPATIO_TEMPORAL]
    assert (samples[0].start_frame, samples[0].end_frame) == (4, 6)
    assert read.records["samples of missing videos"] == 4


READERS: dict[str, Callable[[Path, Path], Benchmark]] = {
    "vidstg": read_vidstg,
    "st_align": lambda a, v: read_st_align(a, v, Task.SPATIAL),
    "mevis": lambda a, v: read_mevis(a, None, v, 6),
    "charades": read_charades,
    "tvgbench": read_tvgbench,
    "videoocr": read_videoocr,
    "own": read_own,
    "hcstvg": read_hcstvg,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("value", ["{not json", "[]", "{}", "3", "[3]", '{"a": 3}', '[{"a": 1}]', "", "\x00"])
def test_what_is_not_a_benchmark_is_refused_in_one_sentence(write: Write, videos: Path, name: str, value: str) -> None:
    with pytest.raises(AnnotationError) as error:
        READERS[name](write(value), videos)
    assert "\n" not in str(error.value)
    with pytest.raises(AnnotationError, match="there is no annotation file"):
        READERS[name](videos / "none.json", videos)


@pytest.mark.parametrize("hostile", ["../../secret", "/etc/secret", "a/../../secret", "..\\secret"])
def test_hostile_names_are_refused(write: Write, videos: Path, hostile: str) -> None:
    name = f"{hostile}.mp4"
    files = {
        "vidstg": [{**VIDSTG, "vid": hostile}],
        "st_align": [{**ST_ALIGN, "video_path": name}],
        "mevis": {"videos": {hostile: {"frames": [], "expressions": {}}}},
        "charades": {hostile: {"duration": 1, "timestamps": [[0, 1]], "sentences": ["x"]}},
        "tvgbench": [{**TVGBENCH, "path": name}],
        "videoocr": [{**VIDEOOCR, "video_index": hostile}],
        "own": {**OWN, "video": name},
        "hcstvg": {name: "It falls."},
    }
    for reader, value in files.items():
        with pytest.raises(AnnotationError, match=r"not a pla|not a path|leads out"):
            READERS[reader](write(value), videos)


def test_links_out_of_the_videos_folder_are_refused(write: Write, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (videos / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(AnnotationError, match="a link that leads out"):
        read_tvgbench(write([TVGBENCH]), videos)
    with pytest.raises(AnnotationError, match="a link that leads out"):
        read_own(write({**OWN, "video": "a.mp4"}), videos)


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        ("vidstg", [{**VIDSTG, "temporal_gt": {"begin_fid": 5, "end_fid": 5}}], "temporal_gt runs from 5 to 5"),
        ("vidstg", [{k: v for k, v in VIDSTG.items() if k != "questions"}], "lacks 'questions'"),
        ("tvgbench", [{**TVGBENCH, "answer": "soon"}], "is not '<seconds>-<seconds>'"),
        ("videoocr", [{**VIDEOOCR, "eval_method": "guess"}], "eval_method 'guess' is none of"),
        ("own", {**OWN, "boxs": {}}, "unknown field 'boxs'"),
        ("own", {**OWN, "boxes": {"1": [5, 0, 0, 5]}}, "negative width"),
        ("own", {**OWN, "clip": [3, 2]}, "'clip' runs from 3"),
        ("charades", {"A": {"timestamps": [[0, 1]], "sentences": []}}, "wrong kind"),
    ],
)
def test_impossible_values_are_named(write: Write, videos: Path, reader: str, value: Any, said: str) -> None:
    with pytest.raises(AnnotationError, match=said):
        READERS[reader](write(value), videos)


def test_two_samples_of_one_name_are_refused(write: Write, videos: Path) -> None:
    lines = "\n".join(json.dumps({**OWN, "sample_id": "same"}) for _ in range(2))
    with pytest.raises(AnnotationError, match="two samples have the ID 'same'"):
        read_own(write(lines), videos)


def test_numbers_as_ids_and_nulls_as_pandas_writes_them(write: Write, videos: Path) -> None:
    assert read_vidstg(write([{**VIDSTG, "vid": 77.0}]), videos).jobs[0].source.video_id == "77.mp4"
    question = only(read_videoocr(write([{**VIDEOOCR, "video_index": 12.0, "option": None, "answer": None}]), videos))
    assert (question.clip_id, question.options, question.answer) == ("12.mp4", (), "")
    assert only(read_tvgbench(write([{**TVGBENCH, "qsemtype": None}]), videos)).group == ""
    code = {"size": [6, 8], "counts": encode_counts(np.ones((6, 8), np.bool_)).decode()}
    assert len(only(mevis_of(write, videos, ["0"], {"5": [code]}, anno_id=[5.0])).targets) == 1
