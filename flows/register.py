"""The register of deployments: family, name, tag and form of each, without an import of Prefect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.parameters import EvaluateParameters, NightlyParameters, SweepParameters
from rl.paper.parameters import TABLES
from rl.training.parameters import TRAININGS, deployment_of
from storage.common.config import Config, with_defaults
from storage.common.site import site
from tasks.build.parameters import BENCHMARKS

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
    form: type[Config]

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
    every = [
        *(Registration("build-dataset", name, "build", form) for name, form in BENCHMARKS.items()),
        *(Registration("evaluate", name, "evaluate", form) for name, form in EVALUATIONS.items()),
        *(Registration(*deployment_of(recipe), "train", form) for recipe, form in TRAININGS.items()),
        Registration("ground", "video", "ground", GroundParameters),
        Registration("sweep", "file", "sweep", SweepParameters),
        *(Registration("reproduce", name, "reproduce", form) for name, form in TABLES.items()),
        Registration("nightly", "benchmarks", "nightly", NightlyParameters),
    ]
    configured = site().configured
    return {registration.full_name: replace(registration, form=configured(registration.form)) for registration in every}
