"""The source model of the generated benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from storage.common.config import DatasetsFolder
from storage.folders.cache import cache_folder
from storage.folders.open import is_url
from tasks.benchmarks.samples import Benchmark
from tasks.benchmarks.source import BenchmarkSource


class SampleSource(BenchmarkSource):
    """A generated benchmark in HC-STVG v2's format, with a few broken files on purpose."""

    benchmark: ClassVar[str] = "sample"

    root: DatasetsFolder = Field(
        "datasets", title="Datasets folder", description="Path or s3:// URL of the folder below which datasets are published."
    )
    videos: int = Field(
        20, title="Videos", ge=1, le=10_000, description="Number of videos that are generated, not counting the broken ones."
    )
    like: Literal["hcstvg-v2", "st-align-stvg", "st-align-svg", "mevis", "charades-sta", "tvgbench", "mme-videoocr"] = Field(
        "hcstvg-v2", title="Like", description="Benchmark in whose format the sample is written and read."
    )

    def read(self) -> Benchmark:
        """Generate the sample below the datasets folder (below the cache, for a URL) unless it exists, and read it."""
        from tasks.sample import SampleConfig, generate, read_in_format

        folder = (cache_folder() if is_url(self.root) else Path(self.root)) / "sources" / f"sample-{self.videos}"
        generate(folder, SampleConfig(videos=self.videos))
        return read_in_format(folder, self.like)
