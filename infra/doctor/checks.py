"""Every check of `stvg doctor`, and how they are run together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from infra.doctor.findings import Check, Finding


def checks(root: str, address: str) -> Mapping[str, Check]:
    """Every check by name, in the order of the report.

    Args:
        root: folder of the datasets, a path or a URL.
        address: of a Ray cluster; empty checks whether a local Ray can start.
    """
    from infra.doctor import machine, services, software
    from infra.doctor.site import site_file

    return {
        "Python": machine.python,
        "GPU": machine.gpu,
        "packages": software.packages,
        "installed models": software.installed_models,
        "weights": software.weights,
        "site file": site_file,
        "Prefect server": services.prefect,
        "Ray": partial(services.ray, address),
        "disk": partial(machine.disks, root),
        "codecs": machine.codecs,
    }


def examine(named_checks: Mapping[str, Check]) -> list[Finding]:
    """The findings of checks that run at the same time; a check that raises is a finding too.

    Args:
        named_checks: checks by name.

    Returns:
        The findings in the order of the checks.
    """
    with ThreadPoolExecutor(len(named_checks), thread_name_prefix="doctor") as pool:
        return [finding for findings in pool.map(_run, named_checks.items()) for finding in findings]


def _run(item: tuple[str, Check]) -> Sequence[Finding]:
    name, check = item
    try:
        return list(check())
    except Exception as error:  # a broken machine is what the checks are for
        return [Finding(name, "absent", f"could not be looked at: {type(error).__name__}", "run it again; then look closer")]
