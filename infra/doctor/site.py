"""Check of the site file: its tables and settings, and the files that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from infra.doctor.findings import Finding
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.parameters import EvaluateParameters, NightlyParameters, SweepParameters
from rl.paper.parameters import ReproduceParameters
from rl.training.parameters import GrpoParameters
from storage.common.config import INPUT, Config
from storage.common.site import Site, SiteError, site
from tasks.build.parameters import BUILDS, BuildParameters

_COMMANDS: Sequence[type[Config]] = (
    BuildParameters,
    EvaluateParameters,
    GrpoParameters,
    GroundParameters,
    SweepParameters,
    NightlyParameters,
    ReproduceParameters,
)
_MODELS: Mapping[str, type[Config]] = {model.site_tables[-1]: model for model in (*_COMMANDS, *BUILDS.values())}
"""Table -> the parameters whose defaults it sets."""
_OTHERS = ("folders", "setup")
"""Tables without parameters of that kind, or whose parameters are known to another part of `infra`."""


def site_file() -> Iterator[Finding]:
    """Every table that cannot be used, and every file of a benchmark that does not exist."""
    try:
        defaults = site()
    except SiteError as error:
        yield Finding("site file", "needed", str(error), "correct it, or move it away")
        return
    if not defaults.tables:
        yield Finding("site file", "absent", f"no settings in {defaults.path}", "stvg init writes one to fill in")
        return
    problems = list(_problems(defaults))
    yield from problems
    if not problems:
        yield Finding("site file", "there", f"{defaults.path}: {', '.join(sorted(defaults.tables))}")


def _problems(defaults: Site) -> Iterator[Finding]:
    for table in defaults.tables:
        try:
            if table in _MODELS:
                yield from _missing_files(defaults.configured(_MODELS[table]), table)
            elif table not in _OTHERS:
                hint = get_close_matches(table, [*_MODELS, *_OTHERS], 1)
                yield Finding("site file", "needed", f"there is no table [{table}]", f"[{hint[0]}]" if hint else "remove it")
        except SiteError as error:
            yield Finding("site file", "needed", str(error), f"correct it in {defaults.path}")


def _missing_files(parameters: type[Config], table: str) -> Iterator[Finding]:
    for name, field in parameters.model_fields.items():
        place = str(field.default)
        if INPUT in field.metadata and "://" not in place and not (place and Path(place).exists()):
            summary = f"[{table}] {name}: " + (f"there is no {place}" if place else "is not set")
            yield Finding("site file", "needed", summary, "correct the path")
