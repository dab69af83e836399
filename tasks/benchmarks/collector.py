"""Collector of samples by video, used by adapters while they read annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from tasks.benchmarks.reading import video_path
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, VideoFacts, VideoJob
from tasks.benchmarks.videos import Videos
from tasks.video.reader import Source


@dataclass
class SampleCollector:
    """Samples grouped by video, with counts of records, corrections and omissions."""

    videos: Videos
    counts: Counter[str] = field(default_factory=Counter)
    _jobs: dict[str, VideoJob] = field(default_factory=dict)
    _clips: dict[str, dict[str, Clip]] = field(default_factory=dict)
    _samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add_video(self, name: Any, where: str, facts: VideoFacts | None = None) -> str:
        """Register a video file by the name in an annotation and return its ID, which is the name without folders.

        Args:
            name: file name in an annotation.
            where: position of the name, for error messages.
            facts: properties that the annotations state.
        """
        path = video_path(name, where)
        if path.name not in self._jobs:
            location = self.videos.find(path, where)
            self.counts["videos missing"] += location is None
            self.add_source(Source(path.name, location or self.videos.below(PurePosixPath(path.name), where)), facts)
        return path.name

    def add_source(self, source: Source, facts: VideoFacts | None = None) -> str:
        """Register a video by its source and return its ID.

        Args:
            source: location of the video.
            facts: properties that the annotations state.
        """
        if source.video_id not in self._jobs:
            self._jobs[source.video_id] = VideoJob(source, (), (), facts or VideoFacts())
            self._clips[source.video_id], self._samples[source.video_id] = {}, []
        return source.video_id

    def add_sample(self, video_id: str, clip: Clip, sample: Sample, duration_s: float | None = None) -> None:
        """Add a clip of a video and a sentence about it.

        Args:
            video_id: ID of the video, its path below the videos folder.
            clip: clip of the video.
            sample: sentence about the clip.
            duration_s: annotated duration of the clip in seconds, if any.
        """
        self._clips[video_id].setdefault(clip.clip_id, clip)
        self._samples[video_id].append(sample)
        self.counts["empty sentences"] += not sample.sentence
        if sample.start_s is not None and sample.end_s is not None:
            self.counts["spans before their clip"] += sample.start_s < 0
            self.counts["spans of no length"] += sample.end_s <= sample.start_s
            self.counts["ends beyond the duration"] += duration_s is not None and sample.end_s > duration_s
        if sample.task.needs_objects and not sample.targets:
            self.counts["samples without true boxes"] += 1

    def benchmark(self) -> Benchmark:
        """The collected benchmark.

        Raises:
            AnnotationError: two samples have the same ID.
        """
        seen: set[str] = set()
        repeated = 0
        for samples in self._samples.values():
            sentences = Counter((s.clip_id, s.sentence.casefold()) for s in samples)
            repeated += sum(sentences.values()) - len(sentences)
            for sample in samples:
                if sample.sample_id in seen:
                    raise AnnotationError(f"two samples have the ID '{sample.sample_id}': sample IDs must be unique")
                seen.add(sample.sample_id)
        jobs = [
            replace(job, clips=tuple(self._clips[video_id].values()), samples=tuple(self._samples[video_id]))
            for video_id, job in sorted(self._jobs.items())
        ]
        counts = {"samples": len(seen), "videos": len(jobs), **self.counts, "sentences repeated within a clip": repeated}
        return Benchmark(jobs, {reason: count for reason, count in counts.items() if count})
