"""Parameters of an evaluation: the options of `stvg evaluate` and the form of the deployments `evaluate/<benchmark>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from rl.engines.config import DecodingConfig, EngineConfig, ServerConfig
from storage.common.config import RUNTIME, Config, DatasetsFolder, EvaluationsFolder, Names

if TYPE_CHECKING:
    from rl.engines.server import Server
    from rl.evaluation.run import Evaluation
    from rl.evaluation.sweep import Sweep
    from rl.models.families import Model
    from storage.folders.folder import Folder


class InferenceParameters(Config):
    """A model, the engine that runs it, and the sampling of its responses."""

    model: str = Field(
        title="Model",
        description="Name of a known model, the folder of a model or of a training, or with openai the name that is served.",
    )
    engine: EngineConfig = Field(EngineConfig(), title="Engine")
    decoding: DecodingConfig = Field(DecodingConfig(), title="Decoding")
    server: ServerConfig = Field(ServerConfig(), title="Server")

    def located_model(self) -> Model:
        """The model, with local weights unless a server has them.

        Raises:
            ModelError: the model is unknown or not supported.
            WeightsError: its weights are not on this machine.
        """
        from rl.models.registry import find_model, served_model

        return served_model(self.model, self.server.family) if self.engine.name == "openai" else find_model(self.model)

    def server_here(self) -> Server | None:
        """The server that the environment names, for the engine openai; None for the other engines.

        Raises:
            EngineError: the environment names no server.
        """
        from rl.engines.server import server_from_environment

        return server_from_environment(self.server) if self.engine.name == "openai" else None


class EvaluateParameters(InferenceParameters):
    """Run a model on every sentence of a dataset, and score its answers."""

    site_tables: ClassVar[tuple[str, ...]] = ("evaluate",)

    dataset: str = Field(
        title="Dataset", description="Name of a dataset in the datasets folder, or the path or URL of its folder."
    )
    root: DatasetsFolder = Field("datasets", title="Datasets folder", description="Folder in which datasets are found by name.")
    out: EvaluationsFolder = Field(
        "evaluations", title="Evaluations folder", description="Folder in which predictions and results are written."
    )
    protocol: str = Field(
        "marked",
        title="Protocol",
        description="Form of the requests: marked, figures, released, unmarked, two-stage or caption (docs/asking.md).",
    )
    conventions: Names = Field(
        (),
        title="Conventions",
        description="Comma-separated conventions of the scores; empty uses the benchmark's own and the paper's.",
    )
    batch_size: int = Field(
        8, title="Batch size", ge=1, le=4096, description="Number of samples in a batch; vLLM is fastest with hundreds."
    )
    limit: int = Field(
        0, title="Limit", ge=0, le=10_000_000, description="Maximum number of samples, the first by key; 0 evaluates all."
    )
    replicas: Annotated[int, RUNTIME] = Field(
        0,
        title="Replicas",
        ge=0,
        le=1024,
        description="Number of copies of the model, each in a Ray actor with its own GPUs; 0 runs the model in this process.",
    )
    ray: Annotated[str, RUNTIME] = Field(
        "",
        title="Ray cluster",
        pattern=r"^(auto|[^\s/:]+:\d+)?$",
        description="Ray cluster of the replicas: auto or host:port joins one, empty starts Ray on this machine.",
    )
    strict: bool = Field(
        False,
        title="Strict",
        description="Refuse a dataset whose frames are rendered differently than in the model's training.",
    )

    @field_validator("replicas")
    @classmethod
    def _replicas_hold_a_model(cls, replicas: int, info: ValidationInfo) -> int:
        """Refuse copies of a model that a server holds."""
        engine = info.data.get("engine")
        if replicas and engine is not None and engine.name == "openai":
            raise ValueError("replicas hold a model, and openai asks a server that does: set server.concurrency instead")
        return replicas

    def folder(self) -> Folder:
        """The dataset's folder: as given, a path or a URL, or by name in the datasets folder."""
        from storage.folders.open import resolve_folder

        return resolve_folder(self.dataset, self.root)

    def evaluation(self) -> Evaluation:
        """The evaluation; every error of input is raised here, before a model is loaded.

        Raises:
            DatasetError, ModelError, WeightsError, ProtocolError, ScoreError: something named does not exist.
        """
        from rl.evaluation.protocols import protocol_named
        from rl.evaluation.run import Evaluation
        from rl.models.families import ModelError
        from storage.folders.open import folder_at
        from storage.reader import Dataset
        from tasks.metrics.cases import find_rules

        protocol = protocol_named(self.protocol)
        for convention in self.scored_by():
            find_rules(convention)
        dataset = Dataset(self.folder())
        evaluation = Evaluation(
            dataset=dataset,
            protocol=protocol,
            model=self.located_model(),
            decoding=self.decoding,
            folder=folder_at(self.out).child(dataset.folder.name),
            batch_size=self.batch_size,
            limit=self.limit,
        )
        if self.strict and (differences := evaluation.rendering_differences()):
            raise ModelError(
                f"'{dataset.folder.name}' is not shown as '{evaluation.model.name}' was trained: {'; '.join(differences)}"
            )
        evaluation.samples()
        return evaluation

    def scored_by(self) -> list[str]:
        """Names of the conventions, in the order of the results; none for a protocol that is not scored."""
        from rl.evaluation.protocols import protocol_named
        from rl.evaluation.results import conventions_of

        if protocol_named(self.protocol).captions:
            return []
        return list(self.conventions) or conventions_of(self.folder().name)


class SweepParameters(Config):
    """Evaluate checkpoints on benchmarks by protocols and marker settings; finished evaluations are not run again."""

    site_tables: ClassVar[tuple[str, ...]] = ("sweep",)

    file: str = Field(title="Sweep file", description="TOML file that names what is combined (docs/sweeps.md).")
    checkpoints: Names = Field(
        (), title="Checkpoints", description="Comma-separated models that replace those of the file; empty keeps those."
    )
    root: DatasetsFolder = Field(
        "datasets", title="Datasets folder", description="Folder of the datasets and of their variants with other markers."
    )
    out: EvaluationsFolder = Field(
        "evaluations", title="Evaluations folder", description="Folder in which predictions and results are written."
    )
    at_once: int = Field(1, title="Concurrent cells", ge=1, le=64, description="Number of evaluations that run at once.")

    def sweep(self) -> Sweep:
        """The sweep that the file describes.

        Raises:
            SweepError: the file does not exist, is not a sweep file, or combines to nothing.
            ProtocolError: there is no such protocol.
        """
        from rl.evaluation.sweep import Sweep

        return Sweep.from_file(self.file, self.root, self.out, self.checkpoints)


NIGHTLY = "nightly.toml"


class NightlyParameters(SweepParameters):
    """Evaluate what has changed, and fail where a model scores lower than when its results were accepted."""

    site_tables: ClassVar[tuple[str, ...]] = ("nightly",)

    file: str = Field(NIGHTLY, title="Nightly file", description="TOML file in the form of a sweep file (docs/sweeps.md).")
    tolerance: float = Field(
        1, title="Tolerance", ge=0, le=100, description="Largest fall of a mean that passes, in per cent points."
    )

    @property
    def folder(self) -> Folder:
        """Folder of the accepted scores and the history."""
        from storage.folders.open import folder_at

        return folder_at(self.out).child("nightly")
