"""`stvg doctor`: checks the machine and the installation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from infra.cli.console import plain, printable
from infra.cli.options import AsJson
from infra.doctor.checks import checks, examine
from infra.doctor.findings import Finding


def doctor(
    root: Annotated[str, typer.Option(help="Folder of the datasets, a path or an s3:// URL.")] = "datasets",
    ray: Annotated[
        str, typer.Option(help="Address of a Ray cluster to check; empty checks whether a local Ray can start.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Print the findings of every check; exit code 1 if the defaults need something that is missing."""
    findings = examine(checks(root, ray))
    needed = [finding for finding in findings if finding.state == "needed"]
    if as_json:
        print(json.dumps({"findings": [asdict(f) for f in findings], "needed": [f.name for f in needed]}))
    else:
        _show(findings)
    if needed:
        raise typer.Exit(1)


_MARKS = {"there": ("ok", "green"), "absent": ("-", "yellow"), "needed": ("missing", "red")}


def _show(findings: Sequence[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        remedy = Text(f"; {printable(finding.remedy)}" if finding.remedy else "", "bold")
        table.add_row(Text(*_MARKS[finding.state]), finding.name, Text(printable(finding.found)) + remedy)
    console = plain()
    console.print(table)
    needed = sum(finding.state == "needed" for finding in findings)
    console.print(f"{needed} missing that the defaults need" if needed else "all that the defaults need is here")
