"""The source models of imports: folders of masks that another tool has written, and the videos to which they belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from storage.common.config import Input, Located
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.own import read_own
from tasks.benchmarks.reading import annotation_file
from tasks.benchmarks.samples import Benchmark
from tasks.benchmarks.source import BenchmarkSource
from tasks.exchange.imports import RecordedConfig, recorded_videos, with_masks


class ImportSource(BenchmarkSource):
    """A folder of masks and a folder of videos; the name of the benchmark is that of the layout of the masks."""

    masks: Input = Field("", title="Masks folder", description="Folder that holds the masks, as the layout arranges them.")
    videos: Input = Field(
        "", title="Videos folder", description="Folder that is searched in depth for the videos that have masks."
    )
    annotations: Located = Field(
        "",
        title="Annotation file",
        description="HC-STVG's JSON file, or JSON Lines of your own (.jsonl); empty for a dataset without sentences.",
    )

    def read(self) -> Benchmark:
        """List the videos that have masks, or give masks to those that are annotated."""
        if not self.annotations:
            return recorded_videos(self.benchmark, self.masks, self.videos)
        read = read_own if self.annotations.endswith(".jsonl") else read_hcstvg
        return with_masks(read(annotation_file(self.annotations), self.videos), self.benchmark, self.masks)

    def recorded(self) -> RecordedConfig:
        """How the masks are read."""
        return RecordedConfig(layout=self.benchmark)


class ReleasedSource(ImportSource):
    """The released STVG-R1 code's mask database: a folder a video, and in its mask_data a JSON file a frame."""

    benchmark: ClassVar[str] = "released"


class SavSource(ImportSource):
    """SA-V's training annotations: a JSON file a video, made by hand (_manual) or not (_auto)."""

    benchmark: ClassVar[str] = "sa-v"

    hold: bool = Field(
        True,
        title="Hold masks",
        description="Masks hold over the 3 frames up to the next annotated frame; otherwise those frames have no masks.",
    )

    def recorded(self) -> RecordedConfig:
        """How the masks are read, and what becomes of the frames between annotated ones."""
        return RecordedConfig(layout=self.benchmark, hold=self.hold)


IMPORT_SOURCES: Mapping[str, type[ImportSource]] = {source.benchmark: source for source in (ReleasedSource, SavSource)}
"""Name of a layout, as in `tasks.exchange.imports.IMPORTS` -> its source model."""
