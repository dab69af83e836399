"""What a person sets for an evaluation; shown as a form in the Prefect UI and as `stvg evaluate` options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from infra.benchmarks import BENCHMARKS
from rl.engines.base import Decoding
from rl.engines.build import EngineConfig, EngineName
from rl.engines.server import Server, Wire, server_from_environment
from rl.evaluate import Evaluation
from rl.models import MODEL_NAMES, Model, ModelError, differences, find_model, served_model
from rl.protocols import protocol_named
from rl.results import conventions_of
from storage.folders import Folder, folder_at, is_url
from storage.reader import Dataset
from tasks.metrics.cases import rules_named


class EvaluateParameters(BaseModel):
    """Ask a model every sentence of a built dataset, and score what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(title="Dataset", description="Name of a dataset below the datasets folder, or its folder.")
    model: str = Field(
        title="Model", description=f"{', '.join(MODEL_NAMES)}, or a model's folder; with openai, the name that is served."
    )
    root: str = Field("datasets", title="Datasets folder", description="Where datasets are looked for by name.")
    out: str = Field("evaluations", title="Evaluations folder", description="Predictions and results are kept below it.")
    protocol: str = Field(
        "marked", title="Protocol", description="marked, figures, released, unmarked, two-stage or caption: see docs/asking.md."
    )
    conventions: str = Field(
        "", title="Conventions", description="Comma-separated; empty takes the benchmark's own and the paper's."
    )
    engine: EngineName = Field("transformers", title="Engine", description="Who answers: in this process, vLLM, or a server.")
    batch_size: int = Field(8, title="Batch size", ge=1, le=4096, description="Samples asked together; vLLM likes hundreds.")
    limit: int = Field(0, title="Limit", ge=0, le=10_000_000, description="Only so many samples, by key; 0 asks all.")
    max_tokens: int = Field(1024, title="Most tokens", ge=1, le=32_768, description="After which an answer is cut off.")
    temperature: float = Field(0, title="Temperature", ge=0, le=10, description="0 takes the likeliest token.")
    top_p: float = Field(1, title="Top p", gt=0, le=1, description="Share of probability that is drawn from.")
    seed: int = Field(0, title="Seed", ge=0, le=2**31 - 1, description="Of draws, with each sample's key.")
    device: str = Field("auto", title="Device", description="Of transformers: auto, cpu, cuda or cuda:1, say.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", title="Precision", description="Of transformers: auto takes bfloat16 on a GPU, else float32."
    )
    gpus: int = Field(1, title="GPUs", ge=1, le=64, description="Over which vLLM splits the model.")
    max_length: int = Field(16_384, title="Most tokens in all", ge=1024, le=1_048_576, description="Prompt and answer in vLLM.")
    family: str = Field("", title="Family", description="Of a served model with an unknown name: qwen2.5-vl, say.")
    wire: Wire = Field("video", title="Frames travel as", description="To a server: a video of JPEGs (vLLM), or images.")
    at_once: int = Field(16, title="Requests at once", ge=1, le=1024, description="To a server.")
    tries: int = Field(5, title="Tries", ge=1, le=100, description="Of a request that meets a rate limit or a server's error.")
    timeout_s: float = Field(300, title="Timeout", gt=0, le=86_400, description="Seconds that a server has for an answer.")
    strict: bool = Field(
        False, title="Strict", description="Refuse a dataset that shows frames otherwise than the model's training did."
    )

    def folder(self) -> Folder:
        """The dataset's folder: as given, a path or a URL, or by name below the datasets folder."""
        given = is_url(self.dataset) or Path(self.dataset).is_dir()
        return folder_at(self.dataset) if given else folder_at(self.root).child(self.dataset)

    def asked_model(self) -> Model:
        """The model, with its weights where an engine of ours needs them.

        Raises:
            ModelError, WeightsError: there is no such model, or it is not here.
        """
        return served_model(self.model, self.family) if self.engine == "openai" else find_model(self.model)

    def decoding(self) -> Decoding:
        """How answers are drawn."""
        return Decoding(self.max_tokens, self.temperature, self.top_p, self.seed)

    def engine_config(self, server: Server | None = None) -> EngineConfig:
        """Which engine; a server is that of the environment unless one is given.

        Raises:
            EngineError: no server is named.
        """
        if self.engine == "openai" and server is None:
            server = server_from_environment(**self.server_settings())
        return EngineConfig(self.engine, self.device, self.precision, self.gpus, self.max_length, server)

    def server_settings(self) -> dict[str, Any]:
        """How patiently a server is asked."""
        return {"at_once": self.at_once, "tries": self.tries, "timeout_s": self.timeout_s, "wire": self.wire}

    def evaluation(self) -> Evaluation:
        """What is asked of whom; everything that can be wrong is found here, before a model is loaded.

        Raises:
            DatasetError, ModelError, WeightsError, ProtocolError, ScoreError: something named is not there.
        """
        protocol, conventions = protocol_named(self.protocol), self.named_conventions()
        for convention in conventions:
            rules_named(convention)
        dataset = Dataset(self.folder())
        model = self.asked_model()
        if self.strict and (told := differences(model, shown_in(dataset))):
            raise ModelError(f"'{dataset.folder.name}' is not shown as '{model.name}' was trained: {'; '.join(told)}")
        folder = folder_at(self.out).child(dataset.folder.name)
        made = Evaluation(dataset, protocol, model, self.decoding(), folder, self.batch_size, self.limit)
        made.samples()
        return made

    def named_conventions(self) -> list[str]:
        """By whose rules is scored."""
        named = [name.strip() for name in self.conventions.split(",") if name.strip()]
        return named or conventions_of(self.folder().name)


def shown_in(dataset: Dataset) -> dict[str, Any]:
    """How a dataset shows frames: the `render` parameters in its manifest."""
    shown: dict[str, Any] = dataset.manifest.stages["frames"].params["render"]
    return shown


def _of(benchmark: str) -> type[EvaluateParameters]:
    """The form of one benchmark: its dataset's usual name is filled in."""
    field = Field(benchmark, title="Dataset", description="Name of the dataset below the datasets folder, or its folder.")
    name = f"Evaluate{benchmark.title().replace('-', '')}"
    return create_model(name, __base__=EvaluateParameters, __doc__=EvaluateParameters.__doc__, dataset=(str, field))


EVALUATIONS: dict[str, type[EvaluateParameters]] = {name: _of(name) for name in BENCHMARKS}
"""Benchmark -> its parameters; each is a deployment `evaluate/<benchmark>`."""
