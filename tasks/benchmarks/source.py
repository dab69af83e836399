"""Base of the source models of benchmarks: which files a benchmark is read from."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from storage.common.config import INPUT, Config, Input
from storage.common.site import SiteError, site
from tasks.benchmarks.samples import Benchmark


class BenchmarkSource(Config):
    """Files of a benchmark; the docstring of a subclass describes it in the command line and in forms.

    Attributes:
        benchmark: name of the benchmark in commands, deployments and dataset folders.
    """

    benchmark: ClassVar[str] = ""

    @model_validator(mode="after")
    def _has_its_inputs(self) -> Self:
        """Refuse a source without one of its files, and name the lines of the site file that would say where it is."""
        fields = type(self).model_fields.items()
        missing = [name for name, field in fields if INPUT in field.metadata and not getattr(self, name)]
        if missing:
            lines = "\n".join([f"[benchmarks.{self.benchmark}]", *(f'{name} = "..."' for name in missing)])
            names = " and ".join(missing)
            raise SiteError(f"{self.benchmark} needs {names}: set them here, or add to {site().path} (`stvg init`):\n{lines}")
        return self

    def read(self) -> Benchmark:
        """Read the annotations.

        Raises:
            AnnotationError: a file is missing or not of the benchmark's format; the message names file, record and field.
        """
        raise NotImplementedError


class AnnotatedSource(BenchmarkSource):
    """One annotation file and a folder of videos."""

    annotations: Input = Field("", title="Annotation file", description="Annotation file of the benchmark, as distributed.")
    videos: Input = Field(
        "", title="Videos folder", description="Folder that is searched in depth for the videos named in the annotations."
    )
