"""The command: every check at once, a table, and an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from infra.doctor.findings import Check, Finding


def checks(root: str, address: str) -> Mapping[str, Check]:
    """Every check by name, in the order of the report."""
    from infra.doctor import machine, services, software

    return {
        "Python": machine.python,
        "GPU": machine.gpu,
        "packages": software.packages,
        "weights": software.weights,
        "Prefect server": services.prefect,
        "Ray": partial(services.ray, address),
        "disk": partial(machine.disks, root),
        "codecs": machine.codecs,
    }


def examine(wanted: Mapping[str, Check]) -> list[Finding]:
    """Findings of checks that run at once, in their order. One that breaks is a finding too."""
    with ThreadPoolExecutor(len(wanted), thread_name_prefix="doctor") as pool:
        return [finding for found in pool.map(_found, wanted.items()) for finding in found]


def _found(item: tuple[str, Check]) -> Sequence[Finding]:
    name, check = item
    try:
        return list(check())
    except Exception as error:  # whatever is broken here is what a doctor is for
        return [Finding(name, "absent", f"could not be looked at: {type(error).__name__}", "run it again; then look closer")]
