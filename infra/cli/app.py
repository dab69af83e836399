"""The `stvg` command: the same builds as the deployments, without a server.

Exit codes: 0 done; 1 the run failed; 2 the input cannot be used; 3 the error budget is exceeded; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.text import Text

from infra.cli.build import build_command, check_command, plan_command
from infra.cli.console import plain, printable, stoppable
from infra.cli.doctor import doctor
from infra.cli.evaluate import evaluate_command
from infra.cli.export import export
from infra.cli.flags import options, sentence
from infra.cli.ground import ground_command
from infra.cli.inspect import inspect, preview, quality, score
from infra.cli.maintain import gc, replay, requeue, trust
from infra.cli.nightly import accept_command, nightly_command
from infra.cli.options import AsJson
from infra.cli.report import report
from infra.cli.reproduce import reproduce_command
from infra.cli.sweep import sweep_command
from infra.cli.train import train_command
from infra.forms.benchmarks import BENCHMARKS
from infra.forms.evaluation import EvaluateParameters
from infra.forms.imports import IMPORTS, UNUSED
from infra.forms.training import TRAININGS
from infra.ground import GroundParameters
from infra.nightly import NightlyParameters
from infra.prefect.access import HOST
from infra.prefect.setup import SetupParameters, set_up
from infra.ray.build_job import job
from infra.sweeps import SweepParameters
from infra.tables.form import ReproduceParameters
from storage.common.errors import InputError, StvgError

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Object-centric datasets for video grounding.")
build_app = typer.Typer(no_args_is_help=True, help="Build a dataset: detect, track, mark, publish.")
plan_app = typer.Typer(no_args_is_help=True, help="Show what a build would do, and do nothing.")
train_app = typer.Typer(no_args_is_help=True, help="Train a model by GRPO or on true answers; stopped, it goes on.")
check_app = typer.Typer(no_args_is_help=True, help="Tell which videos of a benchmark are there, missing or broken.")
import_app = typer.Typer(no_args_is_help=True, help="Build a dataset from masks that another tool has left.")
app.add_typer(build_app, name="build")
app.add_typer(plan_app, name="plan")
app.add_typer(check_app, name="check")
app.add_typer(train_app, name="train")
app.add_typer(import_app, name="import")

app.command()(score)
app.command()(quality)
app.command()(inspect)
app.command()(preview)
app.command()(report)
app.command()(export)
app.command()(requeue)
app.command()(replay)
app.command()(gc)
app.command()(trust)
app.command()(doctor)
app.command(hidden=True)(job)


def register() -> None:
    """Give the app the commands that are made of parameter models."""
    app.command("setup", help=_SETUP)(options(SetupParameters)(_setup))
    for name, model in BENCHMARKS.items():
        for group, function in ((build_app, build_command), (plan_app, plan_command), (check_app, check_command)):
            group.command(name, help=model.__doc__)(options(model)(function))
    for name, layout in IMPORTS.items():
        import_app.command(name, help=layout.__doc__)(options(layout, UNUSED)(build_command))
    for recipe, asked in TRAININGS.items():
        train_app.command(recipe, help=asked.__doc__)(options(asked)(_stoppably(train_command)))
    app.command("ground", help=GroundParameters.__doc__)(options(GroundParameters)(_stoppably(ground_command)))
    app.command("evaluate", help=EvaluateParameters.__doc__)(options(EvaluateParameters)(_stoppably(evaluate_command)))
    app.command("sweep", help=SweepParameters.__doc__)(options(SweepParameters)(sweep_command))
    app.command("reproduce", help=ReproduceParameters.__doc__)(options(ReproduceParameters)(reproduce_command))
    app.command("nightly", help=NightlyParameters.__doc__)(options(NightlyParameters)(nightly_command))
    app.command("accept", help=_ACCEPT)(options(NightlyParameters)(accept_command))


def _stoppably(command: Callable[[T, bool], None]) -> Callable[[T, bool], None]:
    def run(parameters: T, as_json: AsJson = False) -> None:
        with stoppable():
            command(parameters, as_json)

    return run


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port of the UI; 0 takes a free one.")] = 4200,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    auth: Annotated[bool, typer.Option("--auth/--no-auth", help="Ask for the password in .stvg/auth.")] = True,
) -> None:
    """Keep a Prefect server, its UI and the deployments up until interrupted."""
    from infra.prefect.local import serve as keep_up

    keep_up(port, host=host, auth=auth)


_ACCEPT = "Let the results that there are now be those with which later nights are compared."
_SETUP = "Give the server of $PREFECT_API_URL its limits and automations; done again, it changes only what differs."


def _setup(parameters: SetupParameters) -> None:
    sys.exit(set_up(parameters))


@app.command()
def demo() -> None:
    """Start a server, run `build-dataset/sample` from it, say where everything is, and stop the server."""
    from infra.prefect.local import demo as run_demo

    sys.exit(run_demo())


def run() -> None:
    """Run `stvg`; a foreseen error is one sentence and an exit code, never a traceback."""
    register()
    _guarded(lambda: app(standalone_mode=True))


def _guarded(command: Callable[[], None]) -> None:
    try:
        command()
    except ValidationError as error:
        _fail(sentence(error), InputError.exit_code)
    except StvgError as error:
        _fail(str(error), error.exit_code)


def _fail(message: str, code: int) -> NoReturn:
    plain(stderr=True).print(Text.assemble(("error:", "red"), f" {printable(message)}"), soft_wrap=True)
    sys.exit(code)
