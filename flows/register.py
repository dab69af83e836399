"""The register of deployments: family, name, tag and form of each, without an import of Prefect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel

from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.parameters import EvaluateParameters, NightlyParameters, SweepParameters
from rl.paper.parameters import TABLES
from rl.training.parameters import TRAININGS, deployment_of
from storage.common.config import with_defaults
from storage.common.site import site
from tasks.build.parameters import BENCHMARKS, build_parameters

EVALUATIONS = {
    name: with_defaults(EvaluateParameters, f"Evaluate{name.title().replace('-', '')}", dataset=name) for name in BENCHMARKS
}
"""Benchmark -> parameters of its deployment `evaluate/<benchmark>`."""


@dataclass(frozen=True)
class Registration:
    """A deployment.

    Attributes:
        family: the name of its flow.
        name: tells it from the other deployments of its family.
        tag: groups families in the UI.
        form: the parameter model; its docstring describes the deployment.
    """

    family: str
    name: str
    tag: str
    form: type[BaseModel]

    @property
    def full_name(self) -> str:
        """`family/name`, by which a person starts it."""
        return f"{self.family}/{self.name}"


@cache
def registrations() -> dict[str, Registration]:
    """Every deployment by its full name, in the order of registration, with the defaults of the site.

    Raises:
        SiteError: the site file cannot be used.
    """
    configured = site().configured
    every = [
        *(Registration("build-dataset", name, "build", build_parameters(name)) for name in BENCHMARKS),
        *(Registration("evaluate", name, "evaluate", configured(form, "evaluate")) for name, form in EVALUATIONS.items()),
        *(Registration(*deployment_of(recipe), "train", configured(form, "train")) for recipe, form in TRAININGS.items()),
        Registration("ground", "video", "ground", configured(GroundParameters, "build", "ground")),
        Registration("sweep", "file", "sweep", configured(SweepParameters, "sweep")),
        *(Registration("reproduce", name, "reproduce", configured(form, "reproduce")) for name, form in TABLES.items()),
        Registration("nightly", "benchmarks", "nightly", configured(NightlyParameters, "nightly")),
    ]
    return {registration.full_name: registration for registration in every}
