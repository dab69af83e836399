"""The commands `stvg nightly` and `stvg accept`."""

from __future__ import annotations

import json

from infra.cli.console import Bars, plain, printable, show_report, stoppable
from infra.cli.options import AsJson, Yes
from infra.nightly import NightlyParameters, accept, check, run_nightly


def nightly_command(parameters: NightlyParameters, as_json: AsJson = False) -> None:
    """Run a night, and print how each series fared; fails where one fell.

    Raises:
        NightlyError, DropError, EngineError: as `infra.nightly.check` does, after all is printed and kept.
    """
    with stoppable(), Bars(as_json) as bars:
        nights = run_nightly(parameters, bars.update)
    if as_json:
        print(json.dumps({"nights": [night.as_dict() for night in nights]}))
    else:
        for night in nights:
            plain().print(printable(night), soft_wrap=True)
        if all(night.state == "unchanged" for night in nights):
            plain().print("nothing has changed since these results were accepted: nothing was asked")
    check(nights)


def accept_command(parameters: NightlyParameters, yes: Yes = False, as_json: AsJson = False) -> None:
    """Accept the results of every series as what later nights are compared with.

    Raises:
        NightlyError: a series has no results yet.
    """
    found = accept(parameters, keep=yes)
    rows = [
        {"series": one.series, one.metric: round(100 * one.mean, 2), "convention": one.convention, "results": one.key}
        for one in found
    ]
    if as_json:
        print(json.dumps({"accepted": rows, "kept": yes}))
    else:
        show_report({"accepted": rows, **({} if yes else {"next": "add --yes to compare with these from now on"})})
