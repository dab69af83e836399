"""What sweeps and nights are tried with: a small built dataset, and an engine that says what it is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.scripted_engine import ScriptedEngine
from rl.engines.base import Response
from rl.evaluation.parameters import SweepParameters
from tasks.build.parameters import BENCHMARKS
from tasks.build.run import run_build, run_here

SWEEP = """
checkpoints = ["tiny"]
benchmarks = ["own"]
protocols = ["marked", "unmarked"]
[evaluate]
decoding.max_tokens = 8
[markers.built]
[markers.size-40]
"markers.size" = 40
[markers.theta-0]
"markers.theta" = 0
"""


class Says(ScriptedEngine):
    """Counts how often it is opened, takes two seconds a sample, and has its text for identity, as weights are."""

    opened = 0
    says = ""

    def __init__(self) -> None:
        super().__init__(self.says)
        type(self).opened += 1

    def answer(self, requests: Any) -> list[Response]:
        return [Response(self.text, seconds=2.0 * len(requests)) for _ in requests]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[Says]:
    """In place of every engine."""
    Says.opened, Says.says = 0, "<think>It is red.</think><answer>Target ID: 1, Time range: 0.5 to 2.5</answer>"
    monkeypatch.setattr("infra.ray.engine_actors.open_engine", lambda *_: Says())
    for module in ("rl.evaluation.sweep", "rl.evaluation.sweep_run"):
        monkeypatch.setattr(f"{module}.engine_identity", lambda *_: ScriptedEngine(Says.says).identity)
    return Says


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny model is made, once."""
    return tmp_path_factory.mktemp("home")


Swept = Callable[..., Any]
"""Parameters of a sweep file, in which some texts are replaced by others; of nights with their model given."""


@pytest.fixture(scope="session")
def two_videos(tmp_path_factory: pytest.TempPathFactory, square_clip: Path, models_in_place: Any) -> Path:
    """A folder with `sets/own`, a dataset of two videos with a sentence each, built once."""
    root = tmp_path_factory.mktemp("two")
    videos, lines = root / "videos", []
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(square_clip, videos / name)
        lines.append(json.dumps({"video": name, "sentence": "It moves.", "span_s": [0.5, 2.5], "boxes": _boxes()}))
    (root / "own.jsonl").write_text("\n".join(lines))
    build = BENCHMARKS["own"](
        annotations=str(root / "own.jsonl"), videos=str(videos), root=str(root / "sets"), detector="motion"
    ).build()
    with models_in_place():
        run_build(build, run_here, lambda _: None, 0.0)
    return root


@pytest.fixture
def sweep_of(
    tmp_path: Path, two_videos: Path, models: Any, home: Path, engine: type[Says], monkeypatch: pytest.MonkeyPatch
) -> Swept:
    """Sweeps over a built dataset of two videos with a sentence each."""
    assert models.opened == 0
    monkeypatch.chdir(home)
    shutil.copytree(two_videos, tmp_path, dirs_exist_ok=True)

    def make(*changes: tuple[str, str], model: type[SweepParameters] = SweepParameters) -> SweepParameters:
        text = SWEEP
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "sweep.toml").write_text(text)
        return model(file=str(tmp_path / "sweep.toml"), root=str(tmp_path / "sets"), out=str(tmp_path / "out"))

    return make


def _boxes() -> dict[str, list[float]]:
    return {str(frame): [10.0 + frame, 20, 50 + frame, 60] for frame in range(5, 26)}
