"""`stvg train`: train a model, and print its curves."""

from __future__ import annotations

import json
from functools import partial

from infra.cli.console import Bars, plain, stoppable
from infra.cli.flags import options
from infra.cli.lazy import Entry
from infra.cli.options import AsJson
from rl.training.parameters import TrainParameters


def train_entries() -> dict[str, Entry]:
    """The commands of `stvg train` by recipe."""
    from rl.training.parameters import TRAININGS

    return {name: Entry(model.__doc__ or "", partial(options(model), train_command)) for name, model in TRAININGS.items()}


@stoppable()
def train_command(parameters: TrainParameters, as_json: AsJson = False) -> None:
    """Train with a progress bar, and print the result.

    Args:
        parameters: of the training.
        as_json: print the lineage as one JSON object, without bars and curves.
    """
    from infra.ray.train_job import training_driver
    from rl.training.checkpoints import read_metrics
    from rl.training.curves import curves, draw_curves
    from rl.training.launch import run_training, step_progress
    from rl.training.prepare import prepare_run

    plan = prepare_run(parameters)
    with Bars(as_json) as bars:
        driver = training_driver(parameters)
        lineage = run_training(plan.folder, lambda metrics: bars.update(step_progress(metrics)), driver)
    steps = read_metrics(plan.folder)
    picture = draw_curves(plan.folder, steps)
    if as_json:
        print(json.dumps({"folder": str(plan.folder), **lineage.model_dump(mode="json")}))
        return
    console = plain()
    for curve in curves(steps):
        console.print(f"{curve.name:<15} {curve.first:10.4g} {curve.last:10.4g}  {curve.blocks}")
    sentences = sum(rows.record.counts["train"] for rows in plan.rows)
    console.print(f"{lineage.steps} steps on {sentences} sentences; curves: {picture}")
    console.print(f"model: {plan.folder} (stvg evaluate DATASET --model {plan.folder})", soft_wrap=True)
