"""Parameter models of builds and imports, one per benchmark and layout, derived from its source model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue, create_model

from storage.common.config import DatasetsFolder, merged, nested
from storage.folders.open import folder_at, is_url
from storage.manifest import DatasetError
from storage.specification import BuildRequest, read_build_request
from tasks.benchmarks.registry import SOURCES
from tasks.benchmarks.samples import Benchmark
from tasks.benchmarks.source import BenchmarkSource
from tasks.build.plan import Build
from tasks.build.pool import PoolConfig
from tasks.build.stages import BuildConfig, ImportConfig
from tasks.build.upgrade import upgraded_build
from tasks.detection.base import DetectorConfig
from tasks.exchange.imports import RecordedConfig
from tasks.exchange.sources import IMPORT_SOURCES
from tasks.markers.config import FramesConfig
from tasks.sample.source import SampleSource
from tasks.tracking.annotator import NO_WEIGHTS, AnnotatorConfig, AnnotatorWeights, find_annotator_weights

_PLACE = {"ray", "hours"}
"""Parameters that say where a build runs; they are not stored with the dataset, which somebody may rebuild elsewhere."""


class DatasetParameters(FramesConfig):
    """Parameters of everything that makes a dataset: of each build and each import."""

    benchmark: ClassVar[str] = ""

    root: DatasetsFolder = Field(
        "datasets", title="Datasets folder", description="Path or s3:// URL of the folder below which datasets are published."
    )
    name: str = Field(
        "",
        title="Dataset name",
        pattern=r"^([a-z0-9][a-z0-9._-]*)?$",
        description="Name of the dataset, in lower case; empty takes the name of the benchmark.",
    )
    pool: PoolConfig = Field(PoolConfig(), title="Workers", description="How the videos are spread over workers.")
    error_budget: float = Field(
        0.05,
        title="Error budget",
        ge=0,
        le=1,
        description="Share of the videos that may be lost before the build fails; above 0, one may fail unexpectedly.",
    )
    ray: str = Field(
        "",
        title="Ray cluster",
        pattern=r"^(auto|[^\s/:]+:\d+|https?://\S+)?$",
        description="Ray of the workers: empty starts one here, auto or host:port joins one, http://head:8265 sends a job.",
    )
    hours: float = Field(72, title="Longest job", gt=0, le=8760, description="Hours after which a Ray Job is stopped.")

    def read(self) -> Benchmark:
        """Read the benchmark; a source model does it."""
        raise NotImplementedError

    def config(self) -> BuildConfig | ImportConfig:
        """Everything that shapes the dataset."""
        raise NotImplementedError

    def weights(self) -> AnnotatorWeights:
        """Weights of detector and tracker; none where masks are read from files."""
        return NO_WEIGHTS

    def build(self) -> Build:
        """The build that these parameters describe.

        Raises:
            AnnotationError: the annotations or the videos folder cannot be used.
            WeightsError: a weight file or folder is missing, or the detector has no random weights.
        """
        local = self.located()
        parameters = local if self.ray else self
        return Build(
            folder=folder_at(parameters.folder),
            benchmark=parameters.read(),
            config=parameters.config(),
            weights=parameters.weights(),
            request=BuildRequest(self.benchmark, local.model_dump(mode="json", exclude=_PLACE)),
        )

    @property
    def folder(self) -> str:
        """Folder of the dataset."""
        return f"{self.root}/{self.name or self.benchmark}"

    @property
    def as_job(self) -> bool:
        """Whether the build runs as a Ray Job, with its driver on the cluster."""
        return self.ray.startswith("http")


class BuildParameters(DatasetParameters, AnnotatorConfig):
    """Parameters of every build."""

    site_tables: ClassVar[tuple[str, ...]] = ("build",)

    def config(self) -> BuildConfig:
        """Everything that shapes the dataset, with the tracker's device and precision resolved."""
        groups = {name: getattr(self, name) for name in BuildConfig.model_fields}
        return BuildConfig(**{**groups, "tracker": self.tracker.resolved(gpu=self.pool.gpus_per_worker > 0)})

    def weights(self) -> AnnotatorWeights:
        """Weights of detector and tracker by the names that were given, or their own.

        Raises:
            WeightsError: a file or folder is missing, or the detector has no random weights.
        """
        return find_annotator_weights(self)


class ImportParameters(DatasetParameters):
    """Parameters of every import."""

    def recorded(self) -> RecordedConfig:
        """How the masks are read; a source model does it."""
        raise NotImplementedError

    def config(self) -> ImportConfig:
        """Everything that shapes the dataset."""
        groups = {name: getattr(self, name) for name in FramesConfig.model_fields}
        return ImportConfig(recorded=self.recorded(), **groups)


class SampleParameters(SampleSource, BuildParameters):
    """A generated benchmark in HC-STVG v2's format, with a few broken files on purpose."""

    site_tables: ClassVar[tuple[str, ...]] = (f"benchmarks.{SampleSource.benchmark}",)  # drawn figures need its own detector

    detector: DetectorConfig = Field(
        DetectorConfig(name="motion"), title="Detector", description="The detector that finds objects."
    )
    error_budget: float = Field(
        0.5,
        title="Error budget",
        ge=0,
        le=1,
        description="Share of the videos that may be lost before the build fails; above 0, one may fail unexpectedly.",
    )


def _combined(source: type[BenchmarkSource], base: type[DatasetParameters]) -> type[Any]:
    name = source.__name__.removesuffix("Source") + base.__name__
    tables: Any = (ClassVar[tuple[str, ...]], (*base.site_tables, f"benchmarks.{source.benchmark}"))
    return create_model(name, __base__=(source, base), __doc__=source.__doc__, site_tables=tables)


BENCHMARKS: Mapping[str, type[BuildParameters]] = {
    SampleSource.benchmark: SampleParameters,
    **{name: _combined(source, BuildParameters) for name, source in SOURCES.items()},
}
"""Name of a benchmark -> its parameters; each is a deployment `build-dataset/<name>` and a command `stvg build <name>`."""

IMPORTS: Mapping[str, type[ImportParameters]] = {
    name: _combined(source, ImportParameters) for name, source in IMPORT_SOURCES.items()
}
"""Name of a layout -> its parameters; each is a command `stvg import <name>`."""

BUILDS: Mapping[str, type[DatasetParameters]] = {**BENCHMARKS, **IMPORTS}
"""Everything that a dataset is made from, by the name in its specification."""


def parameters_of(dataset: str, changes: Mapping[str, JsonValue] | None = None) -> DatasetParameters:
    """Parameters of the last build in a dataset's folder.

    Args:
        dataset: path or URL of the folder.
        changes: values by dotted path, `{"markers.size": 40}`, that replace those of the build.

    Raises:
        DatasetError: the folder does not say how it was built, or names a benchmark that is not known here.
        ValidationError: a change names no parameter, or is out of bounds.
    """
    request = read_build_request(dataset)
    if request.benchmark not in BUILDS:
        raise DatasetError(f"'{dataset}' was built from '{request.benchmark}', which is no benchmark known here")
    model = BUILDS[request.benchmark]
    stored = nested(upgraded_build(request.parameters, set(model.model_fields)))
    place = dataset.rstrip("/") if is_url(dataset) else str(Path(dataset).resolve())
    root, _, name = place.rpartition("/")
    return model.model_validate({**merged(stored, nested(changes or {})), "root": root or "/", "name": name})
