"""The paper's training set: HC-STVG v1 and v2 merged without held-out videos, plus VidSTG (section 3.2, data source).

v2 annotates the clips of v1 again, so the training split of v2 contains videos of the test split of v1. Videos whose file name
is held out are removed and counted. A held-out video that remains under another suffix or casing is leakage, which is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pydantic import Field

from storage.common.config import Input, Located
from storage.folders.folder import FolderLike
from tasks.benchmarks.hcstvg import Version, read_hcstvg
from tasks.benchmarks.reading import annotation_file, load_json, local_folder
from tasks.benchmarks.samples import AnnotationError, Benchmark, Sample, VideoJob
from tasks.benchmarks.source import BenchmarkSource
from tasks.benchmarks.vidstg import read_vidstg


class LeakageError(AnnotationError):
    """A held-out video is among the training videos."""


@dataclass(frozen=True)
class HcstvgTraining:
    """Files of HC-STVG: training splits of both versions, held-out splits, and the videos of both."""

    v1: Path
    v2: Path
    held_out: tuple[Path, ...]
    videos: FolderLike


@dataclass(frozen=True)
class VidstgTraining:
    """Files of VidSTG: the training split, held-out lists or annotations, the videos, and VidOR annotations."""

    train: Path
    held_out: tuple[Path, ...]
    videos: FolderLike
    vidor: Path | None


def read_stvg_r1_train(hcstvg: HcstvgTraining, vidstg: VidstgTraining) -> Benchmark:
    """Read and merge the training set.

    Videos are named `hcstvg/<file>` and `vidstg/<file>`; samples `v1/<file>`, `v2/<file>` and `vidstg/<id>`. A video in both
    versions has both sentences, unless they are equal: then only that of v2.

    Args:
        hcstvg: files of HC-STVG v1 and v2.
        vidstg: files of VidSTG.

    Raises:
        AnnotationError: a file has another format.
        LeakageError: a held-out video remains.
    """
    counts: Counter[str] = Counter()
    merged: dict[str, VideoJob] = {}
    versions: tuple[tuple[Version, Path], ...] = (("v2", hcstvg.v2), ("v1", hcstvg.v1))
    held_out = {path: held_out_names(path) for path in hcstvg.held_out}
    for version, path in versions:
        read = read_hcstvg(path, hcstvg.videos, version)
        counts.update({f"hcstvg {version} train: {reason}": count for reason, count in read.records.items()})
        for job in _without(held_out, read.jobs, version, counts):
            _merge(merged, _renamed(job, "hcstvg/", f"{version}/"), version, counts)
    check_leakage(merged, held_out)
    read = read_vidstg(vidstg.train, vidstg.videos, vidstg.vidor)
    counts.update({f"vidstg train: {reason}": count for reason, count in read.records.items()})
    ours = {job.source.video_id: job for job in (_renamed(job, "vidstg/", "vidstg/") for job in read.jobs)}
    check_leakage(ours, {path: held_out_names(path) for path in vidstg.held_out})
    jobs = [job for _, job in sorted({**merged, **ours}.items())]
    summary = {"samples": sum(len(job.samples) for job in jobs), "videos": len(jobs), **counts}
    return Benchmark(jobs, {reason: count for reason, count in summary.items() if count})


def held_out_names(path: Path) -> frozenset[str]:
    """Names of the videos of a split: an object by name, a list of names, or VidSTG's list of records.

    Raises:
        AnnotationError: the file has none of these formats.
    """
    value: Any = load_json(path)
    if isinstance(value, list) and value and all(isinstance(record, dict) and "vid" in record for record in value):
        value = [record["vid"] for record in value]
    if not isinstance(value, (dict, list)) or not value or not all(isinstance(name, str) for name in value):
        raise AnnotationError(f"'{path}' names no videos to hold out: it must be an object by video name, or a list of names")
    return frozenset(value)


def check_leakage(jobs: Mapping[str, VideoJob], held_out: Mapping[Path, frozenset[str]]) -> None:
    """Compare the stems of training videos with held-out ones, ignoring suffix and casing.

    Args:
        jobs: video ID -> training video.
        held_out: file -> names of its videos.

    Raises:
        LeakageError: they have a video in common.
    """
    ours = {_stem(video_id): video_id for video_id in jobs}
    for path, names in held_out.items():
        leaked = sorted(ours[stem] for stem in {_stem(name) for name in names} & set(ours))
        if leaked:
            raise LeakageError(f"leakage: {len(leaked)} training videos are held out in '{path}', '{leaked[0]}' the first")


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.casefold()


def _without(
    held_out: Mapping[Path, frozenset[str]], jobs: Iterable[VideoJob], version: str, counts: Counter[str]
) -> Iterable[VideoJob]:
    for job in jobs:
        where = next((path for path, names in held_out.items() if job.source.video_id in names), None)
        if where is None:
            yield job
        else:
            counts[f"hcstvg {version} train: removed, held out in {where.name}"] += 1


def _renamed(job: VideoJob, video: str, sample: str) -> VideoJob:
    clips = tuple(replace(clip, clip_id=video + clip.clip_id) for clip in job.clips)
    samples = tuple(replace(s, sample_id=sample + s.sample_id, clip_id=video + s.clip_id) for s in job.samples)
    return replace(job, source=replace(job.source, video_id=video + job.source.video_id), clips=clips, samples=samples)


def _merge(merged: dict[str, VideoJob], job: VideoJob, version: str, counts: Counter[str]) -> None:
    video_id = job.source.video_id
    existing = merged.get(video_id)
    if existing is None:
        merged[video_id] = job
        return
    new = [s for s in job.samples if _sentence_key(s) not in {_sentence_key(other) for other in existing.samples}]
    counts[f"hcstvg {version} train: removed, the same sentence stands in v2"] += len(job.samples) - len(new)
    merged[video_id] = replace(existing, samples=_ordered((*existing.samples, *new)))


def _sentence_key(sample: Sample) -> str:
    return " ".join(sample.sentence.casefold().split())


def _ordered(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda s: s.sample_id))


class StvgR1TrainSource(BenchmarkSource):
    """The paper's training set: HC-STVG v1 and v2 merged without what is held out, and VidSTG."""

    benchmark: ClassVar[str] = "stvg-r1-train"

    hcstvg_v1_train: Input = Field("", title="HC-STVG v1 train", description="Annotation file of HC-STVG v1's train split.")
    hcstvg_v2_train: Input = Field("", title="HC-STVG v2 train", description="Annotation file of HC-STVG v2's train split.")
    hcstvg_v1_test: Input = Field(
        "", title="HC-STVG v1 test", description="Annotation file of HC-STVG v1's test split, whose videos are held out."
    )
    hcstvg_v2_val: Input = Field(
        "", title="HC-STVG v2 val", description="Annotation file of HC-STVG v2's validation split, whose videos are held out."
    )
    hcstvg_v2_test: Input = Field(
        "",
        title="HC-STVG v2 test",
        description="File of HC-STVG v2's test split, such as query_v2.json; its videos are held out.",
    )
    hcstvg_videos: Input = Field("", title="HC-STVG videos", description="Folder that holds the videos of HC-STVG v1 and v2.")
    vidstg_train: Input = Field("", title="VidSTG train", description="The file train_annotations.json of VidSTG.")
    vidstg_videos: Input = Field("", title="VidSTG videos", description="Folder that holds VidOR's videos.")
    vidor: Input = Field("", title="VidOR annotations", description="Folder of VidOR's JSON files, which hold VidSTG's boxes.")
    vidstg_val: Located = Field(
        "",
        title="VidSTG val",
        description="File of VidSTG's validation split, such as val_files.json; its videos must not occur.",
    )
    vidstg_test: Located = Field(
        "", title="VidSTG test", description="File of VidSTG's test split, such as test_files.json; its videos must not occur."
    )

    def read(self) -> Benchmark:
        """Merge the parts, and make sure that nothing held out is among them."""
        hcstvg = HcstvgTraining(
            v1=annotation_file(self.hcstvg_v1_train),
            v2=annotation_file(self.hcstvg_v2_train),
            held_out=tuple(map(annotation_file, (self.hcstvg_v1_test, self.hcstvg_v2_val, self.hcstvg_v2_test))),
            videos=self.hcstvg_videos,
        )
        vidstg = VidstgTraining(
            train=annotation_file(self.vidstg_train),
            held_out=tuple(map(annotation_file, filter(None, (self.vidstg_val, self.vidstg_test)))),
            videos=self.vidstg_videos,
            vidor=local_folder(self.vidor),
        )
        return read_stvg_r1_train(hcstvg, vidstg)
