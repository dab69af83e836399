"""The command: every check at once, a table, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from infra.doctor.findings import Check, Finding
from infra.results import AsJson


def doctor(
    root: Annotated[str, typer.Option(help="Where datasets go.")] = "datasets",
    ray: Annotated[
        str, typer.Option(help="A Ray cluster to ask, as builds name it; empty looks whether one can start here.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what is here, what is missing and what to do; exit code 1 if the defaults need what is missing."""
    findings = examine(checks(root, ray))
    needed = [finding for finding in findings if finding.state == "needed"]
    if as_json:
        print(json.dumps({"findings": [asdict(f) for f in findings], "needed": [f.name for f in needed]}))
    else:
        _show(findings)
    if needed:
        raise typer.Exit(1)


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


_MARKS = {"there": ("ok", "green"), "absent": ("-", "yellow"), "needed": ("missing", "red")}


def _show(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from infra.console import plain, printable

    table = Table.grid(padding=(0, 2))
    for finding in findings:
        remedy = Text(f"; {printable(finding.remedy)}" if finding.remedy else "", "bold")
        table.add_row(Text(*_MARKS[finding.state]), finding.name, Text(printable(finding.found)) + remedy)
    console = plain()
    console.print(table)
    needed = sum(finding.state == "needed" for finding in findings)
    console.print(f"{needed} missing that the defaults need" if needed else "all that the defaults need is here")
