"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]
