"""Base of the source models of benchmarks: which files a benchmark is read from."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from storage.common.config import Config, Located
from tasks.benchmarks.samples import Benchmark


class BenchmarkSource(Config):
    """Files of a benchmark; the docstring of a subclass describes it in the command line and in forms.

    Attributes:
        benchmark: name of the benchmark in commands, deployments and dataset folders.
    """

    benchmark: ClassVar[str] = ""

    def read(self) -> Benchmark:
        """Read the annotations.

        Raises:
            AnnotationError: a file is missing or not of the benchmark's format; the message names file, record and field.
        """
        raise NotImplementedError


class AnnotatedSource(BenchmarkSource):
    """One annotation file and a folder of videos."""

    annotations: Located = Field(title="Annotation file", description="Annotation file of the benchmark, as it is distributed.")
    videos: Located = Field(
        title="Videos folder", description="Folder that is searched in depth for the videos named in the annotations."
    )
