"""The driver of a Ray Job: the same build, told to whoever follows its log.

The log is JSON lines of progress and, last, of the dataset; an error is the command's usual sentence and exit code.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import Annotated

import typer

from infra.benchmarks import BENCHMARKS
from infra.build import Built, build_dataset, seldom
from infra.ray_session import same_version
from tasks.build import Progress

_TOLD: dict[str, type[Progress | Built]] = {"progress": Progress, "built": Built}


def job(
    benchmark: Annotated[str, typer.Argument(help="Name of the benchmark.")],
    parameters: Annotated[str, typer.Argument(help="Its parameters, as one JSON object.")],
    python: Annotated[str, typer.Option(help="Version of Python that whoever submitted the job runs.")],
) -> None:
    """Build inside a Ray Job, and tell progress and the dataset as JSON lines."""
    same_version("Python", platform.python_version(), python)
    asked = BENCHMARKS[benchmark].model_validate_json(parameters)
    tell(build_dataset(asked, seldom(tell)))


def tell(event: Progress | Built) -> None:
    """Print an event as one line."""
    kind = next(name for name, made in _TOLD.items() if isinstance(event, made))
    values = {name: value for name, value in asdict(event).items() if name != "outcome"}
    print(json.dumps({kind: values}), flush=True)


def told(line: str) -> Progress | Built | None:
    """The event in a line of a job's log; None where there is none."""
    if not line.startswith('{"'):
        return None
    try:
        [(kind, values)] = json.loads(line).items()
        return _TOLD[kind](**values)
    except (ValueError, KeyError, TypeError):
        return None
