"""The command `stvg train`."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

from infra.cli.console import Bars, plain, stoppable
from infra.cli.flags import options
from infra.cli.lazy import Entry
from infra.cli.options import AsJson
from infra.forms.training import TrainParameters


def train_entries() -> dict[str, Entry]:
    """The commands of `stvg train` by recipe."""
    from infra.forms.training import TRAININGS

    return {name: Entry(model.__doc__ or "", partial(options(model), train_command)) for name, model in TRAININGS.items()}


@stoppable()
def train_command(parameters: TrainParameters, as_json: AsJson = False) -> None:
    """Train with a bar, and print what came of it."""
    from infra.train import prepare, run_training
    from rl.training.checkpoints import read_steps
    from rl.training.curves import draw_curves, summary

    prepared = prepare(parameters)
    with Bars(as_json) as bars:
        made = run_training(parameters, prepared, lambda step: bars.count("steps", step["step"], step["of"]))
    steps = read_steps(prepared.folder)
    picture = draw_curves(prepared.folder, steps)
    if as_json:
        print(json.dumps({"folder": str(prepared.folder), **asdict(made)}))
        return
    console = plain()
    for name, first, last, line in summary(steps):
        console.print(f"{name:<14} {first:10.4g} {last:10.4g}  {line}")
    console.print(f"{made.steps} steps on {prepared.record.counts['train']} sentences; curves: {picture}")
    console.print(f"model: {prepared.folder} (stvg evaluate DATASET --model {prepared.folder})", soft_wrap=True)
