"""The way of four commands from a person to its effect: how many functions of this project are entered in between.

A walk starts at the entry of the command line with the arguments that a person types, and ends when its effect begins: videos
are handed to the workers, the engine gets its first requests, the driver of a training is started. Three numbers are counted
between these points, in every thread, each function once however often it is called:

- hops: public functions and methods, the ones that a reader goes through from one module to the next. Functions with a
  leading underscore, properties and validators of parameter models are details of their module and do not count;
- functions: the same with all of these;
- files: in which the functions stand.

Methods that Python calls by itself (`__init__`), lambdas, comprehensions, code that runs while a module is imported, and the
registration of commands are never counted. Each walk is a process of its own, in a folder with two clips and, but for
`build`, their dataset. The pool of workers is a loop in the same process, no model is loaded, and no server gets a request.
`python -m bench.walks NAME` prints the functions of one walk in the order in which they were entered.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from bench.figures import Figure, at_most, told
from bench.house import PACKAGES, ROOT

FILES = ROOT / "tests" / "fixtures" / "legacy"
"""Clips, their sentences, and the folder of a small model."""
ENTRY = "infra.cli:main"
"""Where every walk starts."""
IN_PROCESS = "tasks.build.run:run_here"
"""Runs videos one after another in this process; workers get them from a function like this."""
POOL = "infra.ray.build:RayPool"
"""What `stvg build` opens to run videos on workers."""
BUILD = {"annotations": "own.jsonl", "videos": "videos", "detector": {"name": "motion", "every_frames": 5}}


@dataclass(frozen=True)
class Walk:
    """One command.

    Attributes:
        arguments: what a person types after `stvg`.
        effect: `module:function` at which the walk ends.
        hops: as counted in the tree of commit 8a64f1c; at most half of them are asked for.
        datasets: names of datasets that are there before, of the same clips.
    """

    arguments: str
    effect: str
    hops: int
    datasets: Sequence[str] = field(default=("own",))


WALKS: Mapping[str, Walk] = {
    "build": Walk("build folder videos --detector motion", IN_PROCESS, hops=44, datasets=()),
    "evaluate": Walk("evaluate own --engine openai --model tiny", "rl.engines.server:ServerEngine.answer", hops=86),
    "train": Walk(
        "train sample --dataset own --model model --validation 0.4 --steps 2", "rl.training.launch:run_local_driver", hops=92
    ),
    "reproduce": Walk(
        "reproduce table-1 --file setup.toml", "rl.engines.server:ServerEngine.answer", hops=125, datasets=("hcstvg-v1",)
    ),
}
SETUP = """
models = { "internvl3-8b" = "tiny", "qwen2.5-vl-7b" = "tiny" }
[evaluate]
engine = "openai"
server.family = "qwen2.5-vl"
"""


def run() -> list[Figure]:
    """Take every walk and count."""
    rows = []
    for name, walk in WALKS.items():
        functions = functions_of(name)
        public = [function for function in functions if not _is_detail(function)]
        files = {function.partition(":")[0] for function in functions}
        rows.append(at_most(f"{name}, hops", len(public), walk.hops / 2, f"stvg {walk.arguments}; {walk.hops} before"))
        rows.append(told(f"{name}, functions", len(functions), "private ones, properties and validators too"))
        rows.append(told(f"{name}, files", len(files), "of these functions"))
    return rows


def functions_of(name: str) -> list[str]:
    """Functions of one walk as `path/of/file.py:Class.function`, in the order in which they were entered.

    Raises:
        CalledProcessError: the walk ended without its effect.
    """
    with tempfile.TemporaryDirectory(prefix="stvg-walk-") as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "STVG_SERVER_URL": "http://127.0.0.1:9/v1"}
        command = [sys.executable, "-m", "bench.walks", name, "here"]
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    functions: list[str] = json.loads(done.stdout.splitlines()[-1])
    return functions


def _take(walk: Walk) -> None:
    """Take a walk in the working folder, print its functions as JSON, and end the process at the effect."""
    _prepare(walk)
    effect, main = _named(walk.effect), _named(ENTRY)
    _replace(POOL, lambda *_: nullcontext(_named(IN_PROCESS)))
    _load_commands(walk.arguments.split())
    sys.argv = ["stvg", *walk.arguments.split()]
    entered: dict[str, None] = {}

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or (function := _function(frame)) is None:
            return
        if frame.f_code is effect.__code__:
            print(json.dumps(list(entered)), flush=True)
            os._exit(0)
        entered[function] = None

    threading.setprofile(see)
    sys.setprofile(see)
    main()


def _prepare(walk: Walk) -> None:
    """Put clips, sentences, datasets, a model and the setup of tables into the working folder."""
    for name in ("videos", "own.jsonl"):
        (shutil.copytree if (FILES / name).is_dir() else shutil.copy)(FILES / name, name)
    shutil.copytree(FILES / "models" / "small", "model")
    Path("videos", "broken.mp4").unlink()
    lines = Path("own.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    Path("own.jsonl").write_text("".join(line for line in lines if "broken.mp4" not in line), encoding="utf-8")
    Path("setup.toml").write_text(SETUP, encoding="utf-8")
    for name in walk.datasets:
        from tasks.build.parameters import BENCHMARKS
        from tasks.build.run import run_build, run_here

        build = BENCHMARKS["own"].model_validate({**BUILD, "name": name}).build()
        run_build(build, run_here, lambda _: None, 0.0)


def _load_commands(arguments: Sequence[str]) -> None:
    """Register the options of the command before the walk starts."""
    from infra.cli.app import app
    from infra.cli.lazy import LazyGroup

    group: Any = app()
    loaded: dict[str, Any] = {}
    for argument in arguments:
        if not isinstance(group, LazyGroup):
            break
        group = loaded[argument] = group.load(argument)
    setattr(LazyGroup, "load", lambda _, name: loaded[name])  # noqa: B010  mypy: a method is replaced


def _named(name: str) -> Any:
    module, _, path = name.partition(":")
    value: Any = import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _replace(name: str, value: Any) -> None:
    module, _, attribute = name.partition(":")
    setattr(import_module(module), attribute, value)


def _function(frame: FrameType) -> str | None:
    """A frame's function, if it is one of this project's that has a name and is not called by an import."""
    code = frame.f_code
    path = _path(code.co_filename)
    last = code.co_qualname.rpartition(".")[2]
    if path is None or last.endswith((">", "__")) or _imported(frame.f_back):
        return None
    return f"{path}:{code.co_qualname}"


@cache
def _path(filename: str) -> str | None:
    path = Path(filename)
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in PACKAGES:
        return None
    return path.relative_to(ROOT).as_posix()


def _imported(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_detail(function: str) -> bool:
    path, _, name = function.partition(":")
    return name.rpartition(".")[2].startswith("_") or name in _decorated(path)


@cache
def _decorated(path: str) -> set[str]:
    """Properties and validators of a file, as `Class.function`."""
    classes = [node for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    methods = [(owner, method) for owner in classes for method in owner.body if isinstance(method, ast.FunctionDef)]
    return {
        f"{owner.name}.{method.name}"
        for owner, method in methods
        if any(word in ast.unparse(decorator) for decorator in method.decorator_list for word in ("property", "validator"))
    }


if __name__ == "__main__":
    if len(sys.argv) > 2:
        _take(WALKS[sys.argv[1]])
    else:
        print("\n".join(functions_of(sys.argv[1])))
