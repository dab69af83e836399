"""The commands `stvg nightly` and `stvg accept`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.cli.console import Bars, plain, printable, show_report, stoppable
from infra.cli.options import AsJson, Yes
from rl.evaluation.parameters import NightlyParameters

if TYPE_CHECKING:
    from pydantic import JsonValue


def nightly_command(parameters: NightlyParameters, as_json: AsJson = False) -> None:
    """Run a sweep against its accepted scores, and print the outcome of each series; fails where one dropped.

    Raises:
        NightlyError, DropError, EngineError: as `RegressionRun.check` does, after everything is printed and stored.
    """
    from infra.ray.backend import RayBackend
    from rl.evaluation.nightly import run_nightly

    with stoppable(), Bars(as_json) as bars:
        run = run_nightly(parameters, RayBackend(), bars.update)
    if as_json:
        print(run.model_dump_json())
    else:
        for one in run.series:
            plain().print(printable(one.summary), soft_wrap=True)
        if run.unchanged:
            plain().print("nothing has changed since these results were accepted: nothing was asked")
    run.check()


def accept_command(parameters: NightlyParameters, yes: Yes = False, as_json: AsJson = False) -> None:
    """Accept the results of every series, to which later runs are compared.

    Raises:
        NightlyError: a series has no results yet.
    """
    from rl.evaluation.nightly import accept
    from rl.evaluation.regression import Acceptance

    accepted = accept(parameters, store=yes)
    if as_json:
        print(Acceptance(accepted=tuple(accepted), stored=yes).model_dump_json())
    else:
        rows: list[JsonValue] = [
            {"series": one.series, one.metric: round(100 * one.mean, 2), "convention": one.convention, "results": one.key}
            for one in accepted
        ]
        show_report({"accepted": rows, **({} if yes else {"next": "add --yes to compare with these from now on"})})
