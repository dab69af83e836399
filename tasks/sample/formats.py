"""Export of the sample to the formats of other benchmarks, with the same videos and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from storage.folders.files import atomic_folder
from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.samples import Benchmark, Task
from tasks.benchmarks.st_align import read_st_align
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.videoocr import read_videoocr
from tasks.sample.broken import SampleEntry
from tasks.sample.scene import SECONDS

_GRID = 100
"""Number of frames with boxes in ST-Align."""
_EVERY = 2
"""Frame stride of JPEG folders."""
_KINDS = ("TR", "VTQA", "TG", "AR", "CDT", "STP", "CFTU", "TBR", "TBVU", "RVT")
"""Question kinds of MME-VideoOCR."""


class SampleSentence(NamedTuple):
    """A sentence of the sample: its video, its entry in HC-STVG's format, and the entry of another video."""

    name: str
    entry: SampleEntry
    other: SampleEntry

    @property
    def stem(self) -> str:
        """Name of the video without its suffix."""
        return Path(self.name).stem


def read_in_format(sample: Path, form: str) -> Benchmark:
    """Read the sample in the format of another benchmark; its annotations in that format are written on first use.

    Args:
        sample: folder of a generated sample.
        form: `hcstvg-v2` or one of `FORMATS`.
    """
    if form == "hcstvg-v2":
        return read_hcstvg(sample / "annotations.json", sample / "videos")
    write, read = FORMATS[form]
    folder = sample / "forms" / form
    if not folder.is_dir():
        with atomic_folder(folder) as temporary:
            write(temporary, sample)
    return read(folder, sample / "videos")


def _sentences(sample: Path) -> Iterator[SampleSentence]:
    entries = list(json.loads((sample / "annotations.json").read_text("utf-8")).items())
    for (name, entry), (_, other) in zip(entries, [*entries[1:], entries[0]], strict=True):
        yield SampleSentence(name, entry, other)


def _st_align(folder: Path, sample: Path) -> None:
    _dump(folder / "items.json", [_item(sentence) for sentence in _sentences(sample)])


def _item(sentence: SampleSentence) -> dict[str, Any]:
    entry, last = sentence.entry, sentence.entry["img_num"] - 1
    first = entry["st_frame"] - 1
    grid = [round(n / (_GRID - 1) * last) for n in range(_GRID)]
    boxes = {str(f): entry["bbox"][f - first] for f in grid if first <= f < first + len(entry["bbox"])}
    height, width = entry["img_size"]
    meta = {"split": [0, last], "width": width, "height": height, "spatial_token": {"<bboxes>": boxes}}
    span = {"<s>": first, "<e>": first + len(entry["bbox"]) - 1}
    prompt = f'Where and when does this happen: "{entry["English"]}"'
    conversation = {"from": "human", "value": prompt}
    return {"video_path": sentence.name, "conversations": [conversation], "meta": {**meta, "time_token": span}}


class _TimedEntry(TypedDict):
    duration: float
    timestamps: list[list[float]]
    sentences: list[str]


def _charades(folder: Path, sample: Path) -> None:
    _dump(folder / "items.json", {sentence.stem: _timed(sentence.entry) for sentence in _sentences(sample)})


def _timed(entry: SampleEntry) -> _TimedEntry:
    return {"duration": SECONDS, "timestamps": [[entry["st_time"], entry["ed_time"]]], "sentences": [entry["English"]]}


def _tvgbench(folder: Path, sample: Path) -> None:
    items = [
        {
            "path": sentence.name,
            "question": sentence.entry["English"],
            "answer": f"{sentence.entry['st_time']:.1f}-{sentence.entry['ed_time']:.1f}",
            "duration": SECONDS,
        }
        for sentence in _sentences(sample)
    ]
    _dump(folder / "items.json", items)


def _videoocr(folder: Path, sample: Path) -> None:
    """Two questions per video, with two options each."""
    pairs = [(sentence, right) for sentence in _sentences(sample) for right in "AB"]
    items = []
    for number, (sentence, right) in enumerate(pairs):
        true, false = sentence.entry["English"], sentence.other["English"]
        choices = [f"A. {true}", f"B. {false}"] if right == "A" else [f"A. {false}", f"B. {true}"]
        kind = {"task_type": _KINDS[number % len(_KINDS)], "task": "sentence", "eval_method": "multiple_choice"}
        items.append({"video_index": sentence.stem, "question": "What happens?", "option": choices, "answer": right, **kind})
    _dump(folder / "items.json", items)


def _mevis(folder: Path, sample: Path) -> None:
    """JPEG folders of the existing videos, with one expression for the target and one for all figures of each."""
    truth = json.loads((sample / "truth.json").read_text("utf-8"))
    videos: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for sentence in _sentences(sample):
        if sentence.name not in truth:
            continue
        video_truth, names = truth[sentence.name], _write_jpegs(folder, next((sample / "videos").glob(f"*/{sentence.name}")))
        ids = [f"{sentence.stem}:{figure}" for figure in range(len(video_truth["figures"]))]
        for annotation, figure in zip(ids, video_truth["figures"], strict=True):
            codes = figure["counts"][::_EVERY]
            masks[annotation] = [code and {"size": video_truth["size"], "counts": code} for code in codes]
        meant = {"exp": sentence.entry["English"], "obj_id": [video_truth["target"]], "anno_id": [ids[video_truth["target"]]]}
        every = {"exp": "Everyone.", "obj_id": list(range(len(ids))), "anno_id": ids}
        videos[sentence.stem] = {"frames": names, "expressions": {"0": meant, "1": every}}
    _dump(folder / "meta_expressions.json", {"videos": videos})
    _dump(folder / "mask_dict.json", masks)


def _write_jpegs(folder: Path, path: Path) -> list[str]:
    from tasks.video.jpeg import encode_jpeg
    from tasks.video.reader import Source, open_video

    video, target = open_video(Source(path.name, path)), folder / "JPEGImages" / path.stem
    target.mkdir(parents=True)
    names: list[str] = []
    for index in range(0, len(video), _EVERY):
        names.append(f"{len(names):05d}")
        (target / f"{names[-1]}.jpg").write_bytes(encode_jpeg(video.frames([index])[0], 95))
    return names


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content) + "\n", "utf-8")


FORMATS: Mapping[str, tuple[Callable[[Path, Path], None], Callable[[Path, Path], Benchmark]]] = {
    "st-align-stvg": (_st_align, lambda form, videos: read_st_align(form / "items.json", videos, Task.SPATIO_TEMPORAL)),
    "st-align-svg": (_st_align, lambda form, videos: read_st_align(form / "items.json", videos, Task.SPATIAL)),
    "charades-sta": (_charades, lambda form, videos: read_charades(form / "items.json", videos)),
    "tvgbench": (_tvgbench, lambda form, videos: read_tvgbench(form / "items.json", videos)),
    "mme-videoocr": (_videoocr, lambda form, videos: read_videoocr(form / "items.json", videos)),
    "mevis": (_mevis, lambda form, _: read_mevis(form / "meta_expressions.json", form / "mask_dict.json", form, 10 / _EVERY)),
}
"""Benchmark -> functions that write the sample in its format and read it."""
