"""The table of commands: the name, the help and the function of each, without an import of any of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature

from infra.cli.lazy import Entry, LazyGroup


def _function(module: str, name: str) -> Callable[[], Callable[..., None]]:
    """Imports a function whose own signature is that of the command."""

    def load() -> Callable[..., None]:
        function: Callable[..., None] = getattr(import_module(f"infra.cli.{module}"), name)
        return function

    return load


def _of_model(module: str, name: str) -> Callable[[], Callable[..., None]]:
    """Imports a function of a parameter model; the fields of the model are the options of the command."""

    def load() -> Callable[..., None]:
        from infra.cli.flags import options

        function = _function(module, name)()
        model, *_ = signature(function, eval_str=True).parameters.values()
        return options(model.annotation)(function)

    return load


def _group(name: str, module: str, entries: str, text: str) -> Entry:
    """A group; its module is imported for the names of its commands."""

    def load() -> LazyGroup:
        return LazyGroup(getattr(import_module(f"infra.cli.{module}"), entries)(), name=name, help=text)

    return Entry(text, load)


COMMANDS = {
    "init": Entry(
        "Write stvg.toml and nightly.toml, commented: where benchmarks, folders and models are on this machine.",
        _function("init", "init"),
    ),
    "build": _group("build", "build", "build_entries", "Build a dataset: detect, track, mark, publish."),
    "plan": _group("plan", "build", "plan_entries", "Show what a build would do, and do nothing."),
    "check": _group("check", "build", "check_entries", "Show which videos of a benchmark are present, missing or broken."),
    "import": _group("import", "build", "import_entries", "Build a dataset from masks of another tool."),
    "requeue": Entry(
        "Run again only the videos that ended for a reason, and publish; without --reason, show the reasons.",
        _function("maintain", "requeue"),
    ),
    "replay": Entry(
        "Run one stage of one video again in this process and compare it with what is stored; the dataset stays as it is.",
        _function("maintain", "replay"),
    ),
    "gc": Entry(
        "List the files of a dataset that nothing refers to, with sizes; with --yes, remove them.", _function("maintain", "gc")
    ),
    "migrate": Entry(
        "Bring a dataset of an earlier version to this one; nothing is detected, tracked or rendered again.",
        _function("maintain", "migrate"),
    ),
    "inspect": Entry(
        "Show the content of a dataset: its counts, a video, or a frame; or whether all files are undamaged.",
        _function("inspect", "inspect"),
    ),
    "preview": Entry(
        "Write the dataset's preview page anew, or a clip of one video, and print its path.", _function("inspect", "preview")
    ),
    "export": Entry("Write a dataset in the layout of another tool.", _function("export", "export")),
    "quality": Entry(
        "Show what the best possible answers on a dataset would score, per size filter, and how stable identities are.",
        _function("inspect", "quality"),
    ),
    "score": Entry(
        "Score predictions under a named convention: a case file, or a dataset with a predictions file.",
        _function("inspect", "score"),
    ),
    "ground": Entry(
        "Find where and when a sentence is in a video: a tube of boxes and masks, and a clip with it drawn.",
        _of_model("ground", "ground_command"),
    ),
    "evaluate": Entry(
        "Run a model on every sentence of a dataset, and score its answers.",
        _of_model("evaluate", "evaluate_command"),
    ),
    "sweep": Entry(
        "Evaluate checkpoints on benchmarks by protocols and marker settings; finished cells are not run again.",
        _of_model("sweep", "sweep_command"),
    ),
    "report": Entry(
        "Write report.html: scores, the paper's tables, nightly runs, and samples with frames and answers by kind of failure.",
        _function("report", "report"),
    ),
    "nightly": Entry(
        "Evaluate what has changed, and fail where a model scores lower than when its results were accepted.",
        _of_model("nightly", "nightly_command"),
    ),
    "accept": Entry(
        "Accept the current results of every series as the baseline of later nightly runs.",
        _of_model("nightly", "accept_command"),
    ),
    "train": _group("train", "train", "train_entries", "Train a model by GRPO or supervised; a stopped training continues."),
    "reproduce": Entry(
        "Build, train and evaluate for a table of the paper, and show the results beside the paper's numbers.",
        _of_model("reproduce", "reproduce_command"),
    ),
    "serve": Entry("Keep a Prefect server, its UI and the deployments up until interrupted.", _function("server", "serve")),
    "setup": Entry(
        "Give the server of $PREFECT_API_URL its limits and automations; repeated, it changes only what differs.",
        _of_model("server", "setup"),
    ),
    "demo": Entry(
        "Start a server, run `build-dataset/sample` from it, print the paths of the results, and stop the server.",
        _function("server", "demo"),
    ),
    "doctor": Entry(
        "Show what is installed, what is missing and the remedies; exit code 1 if the defaults need what is missing.",
        _function("doctor", "doctor"),
    ),
    "trust": Entry(
        "Let a pickled weight file run code of its own when it is loaded; trust only files of known origin.",
        _function("maintain", "trust"),
    ),
    "job": Entry("Build inside a Ray Job, and print progress and the dataset as JSON lines.", _function("build", "job"), True),
}
"""Command -> its help and function, in the order of the help of `stvg`."""
