"""What a person sets for an evaluation; shown as a form in the Prefect UI and as `stvg evaluate` options."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from infra.forms.asked import AskingParameters
from infra.forms.benchmarks import BENCHMARKS
from rl.evaluation.protocols import protocol_named
from rl.evaluation.results import conventions_of
from rl.evaluation.run import Evaluation
from rl.models.families import ModelError, differences
from storage.common.config import comma_separated, with_defaults
from storage.folders.folder import Folder
from storage.folders.open import folder_at, resolve_folder
from storage.reader import Dataset
from tasks.metrics.cases import find_rules


class EvaluateParameters(AskingParameters):
    """Ask a model every sentence of a built dataset, and score what it says."""

    dataset: str = Field(title="Dataset", description="Name of a dataset below the datasets folder, or its folder.")
    root: str = Field("datasets", title="Datasets folder", description="Where datasets are looked for by name.")
    out: str = Field("evaluations", title="Evaluations folder", description="Predictions and results are kept below it.")
    protocol: str = Field(
        "marked", title="Protocol", description="marked, figures, released, unmarked, two-stage or caption: see docs/asking.md."
    )
    conventions: str = Field(
        "", title="Conventions", description="Comma-separated; empty takes the benchmark's own and the paper's."
    )
    batch_size: int = Field(8, title="Batch size", ge=1, le=4096, description="Samples asked together; vLLM likes hundreds.")
    limit: int = Field(0, title="Limit", ge=0, le=10_000_000, description="Only so many samples, by key; 0 asks all.")
    replicas: int = Field(
        0,
        title="Replicas",
        ge=0,
        le=1024,
        description="Copies of the model, each in a Ray actor with GPUs of its own; 0 takes this process.",
    )
    ray: str = Field(
        "",
        title="Ray cluster",
        pattern=r"^(auto|[^\s/:]+:\d+)?$",
        description="Where replicas run: empty starts a Ray here, auto or host:port joins one.",
    )
    strict: bool = Field(
        False, title="Strict", description="Refuse a dataset that shows frames otherwise than the model's training did."
    )

    @field_validator("replicas")
    @classmethod
    def _replicas_hold_a_model(cls, replicas: int, info: ValidationInfo) -> int:
        """Refuse copies of what a server holds."""
        if replicas and info.data.get("engine") == "openai":
            raise ValueError("replicas hold a model, and openai asks a server that does: set at_once instead")
        return replicas

    def folder(self) -> Folder:
        """The dataset's folder: as given, a path or a URL, or by name below the datasets folder."""
        return resolve_folder(self.dataset, self.root)

    def evaluation(self) -> Evaluation:
        """What is asked of whom; everything that can be wrong is found here, before a model is loaded.

        Raises:
            DatasetError, ModelError, WeightsError, ProtocolError, ScoreError: something named is not there.
        """
        protocol, conventions = protocol_named(self.protocol), self.named_conventions()
        for convention in conventions:
            find_rules(convention)
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
        return comma_separated(self.conventions) or conventions_of(self.folder().name)


def shown_in(dataset: Dataset) -> dict[str, Any]:
    """How a dataset shows frames: the `render` parameters in its manifest."""
    shown: dict[str, Any] = dataset.manifest.stages["frames"].params["render"]
    return shown


EVALUATIONS = {
    name: with_defaults(EvaluateParameters, f"Evaluate{name.title().replace('-', '')}", dataset=name) for name in BENCHMARKS
}
"""Benchmark -> its parameters; each is a deployment `evaluate/<benchmark>`."""
