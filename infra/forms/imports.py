"""Every layout that can be imported, by name: the parameters of a build whose masks are read instead of found."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from infra.forms.benchmarks import BENCHMARKS
from infra.forms.build import BuildParameters, Located
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.own import read_own
from tasks.benchmarks.reading import annotation_file
from tasks.benchmarks.samples import Benchmark
from tasks.build.workers import BuildConfig
from tasks.exchange.imports import RecordedConfig, recorded_videos, with_masks


class ImportParameters(BuildParameters):
    """Parameters of every import. Those of detection and tracking, which it does without, stay at their defaults."""

    masks: Located = Field(title="Masks folder", description="Holds the masks, as the layout arranges them.")
    videos: Located = Field(title="Videos folder", description="Searched in depth for the videos that have masks.")

    annotations: Located = Field(
        "", title="Annotation file", description="HC-STVG's JSON, or JSON Lines of your own (.jsonl); empty for no sentences."
    )

    def benchmark(self) -> Benchmark:
        """List the videos that have masks, or give masks to those that are annotated."""
        if not self.annotations:
            return recorded_videos(self.dataset, self.masks, self.videos)
        read = read_own if self.annotations.endswith(".jsonl") else read_hcstvg
        return with_masks(read(annotation_file(self.annotations), self.videos), self.dataset, self.masks)

    def config(self) -> BuildConfig:
        """What shapes the dataset: the layout, and how frames are rendered."""
        return replace(super().config(), recorded=RecordedConfig(self.dataset))


class ReleasedParameters(ImportParameters):
    """The released STVG-R1 code's mask database: a folder a video, and in its mask_data a JSON file a frame."""

    dataset: ClassVar[str] = "released"


class SavParameters(ImportParameters):
    """SA-V's training annotations: a JSON file a video, made by hand (_manual) or not (_auto)."""

    dataset: ClassVar[str] = "sa-v"

    hold: bool = Field(
        True, title="Hold masks", description="Over the 3 frames up to the next annotated one; else those show nobody."
    )

    def config(self) -> BuildConfig:
        """As of every import, and what becomes of the frames between."""
        return replace(super().config(), recorded=RecordedConfig(self.dataset, self.hold))


IMPORTS: dict[str, type[ImportParameters]] = {model.dataset: model for model in (ReleasedParameters, SavParameters)}
"""Layouts by name, those of `tasks.exchange.imports`."""

BUILDS: dict[str, type[BuildParameters]] = {**BENCHMARKS, **IMPORTS}
"""Whatever a dataset can have been built from, by the name that its request holds."""

_FIELDS = list(BuildParameters.model_fields)
UNUSED = (*_FIELDS[_FIELDS.index("detector") : _FIELDS.index("max_objects") + 1], "gpus_per_worker")
"""Parameters of detection and tracking, which an import does not ask for: they stand together in a build's form."""
