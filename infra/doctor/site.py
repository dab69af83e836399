"""Check of the site file: its tables and settings, and the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel

from infra.doctor.findings import Finding
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.parameters import EvaluateParameters, NightlyParameters, SweepParameters
from rl.paper.parameters import ReproduceParameters
from rl.training.parameters import GrpoParameters
from storage.common.config import INPUT
from storage.common.site import Site, SiteError, site
from tasks.build.parameters import BENCHMARKS, BuildParameters, build_parameters

_TABLES: dict[str, type[BaseModel]] = {
    "build": BuildParameters,
    "evaluate": EvaluateParameters,
    "train": GrpoParameters,
    "ground": GroundParameters,
    "sweep": SweepParameters,
    "nightly": NightlyParameters,
    "reproduce": ReproduceParameters,
}


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
        kind, _, name = table.partition(".")
        try:
            if kind == "benchmarks" and name in BENCHMARKS:
                yield from _missing_files(name)
            elif kind in _TABLES and not name:
                defaults.configured(_TABLES[kind], kind)
            elif table not in {"folders", "setup"}:
                hint = get_close_matches(table, [*_TABLES, "folders", *(f"benchmarks.{name}" for name in BENCHMARKS)], 1)
                yield Finding("site file", "needed", f"there is no table [{table}]", f"[{hint[0]}]" if hint else "remove it")
        except SiteError as error:
            yield Finding("site file", "needed", str(error), f"correct it in {defaults.path}")


def _missing_files(benchmark: str) -> Iterator[Finding]:
    for name, field in build_parameters(benchmark).model_fields.items():
        place = str(field.default)
        if INPUT in field.metadata and "://" not in place and not (place and Path(place).exists()):
            summary = f"[benchmarks.{benchmark}] {name}: " + (f"there is no {place}" if place else "is not set")
            yield Finding("site file", "needed", summary, "correct the path")
