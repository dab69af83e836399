from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.ray.engine_actors import MAX_CRASHES, EngineActors
from infra.ray.session import ray_session
from rl.engines.base import EngineCrashError, EngineError, Request, Response, VisualInput
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.open import open_engine
from rl.evaluation.parameters import EvaluateParameters
from rl.models.families import FAMILIES, Model
from tasks.weights import Weights

pytestmark = pytest.mark.heavy


class Scripted:
    """An engine that does what a request's key says, and says in which process it did and as its how manieth batch."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._batches = folder, 0
        if (folder / "no-model").exists():
            raise EngineError("'tiny' cannot be used: no such folder")
        (folder / f"opened-{os.getpid()}-{os.urandom(4).hex()}").touch()

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"engine": "scripted"}

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        self._batches += 1
        for request in requests:
            self._do(request.key.split("-")[0])
        return [Response(f"{request.key} {os.getpid()} {self._batches}") for request in requests]

    def _do(self, what: str) -> None:
        first = self._folder / what
        if what == "die" or (what == "dieonce" and not first.exists()):
            first.touch()
            os._exit(1)
        if what == "break" and not first.exists():
            first.touch()
            raise EngineCrashError("vLLM broke down")
        if what == "refuse":
            raise EngineError("'tiny' does not fit on the GPU")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    with ray_session(None, 2):
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield


@pytest.fixture
def actors(ray_here: None, tmp_path: Path) -> Iterator[EngineActors]:
    made = EngineActors(partial(Scripted, tmp_path), 2)
    yield made
    made.close()


def batch(*keys: str) -> list[Request]:
    return [Request(key, [], VisualInput((b"x",), (28, 28))) for key in keys]


def texts(responses: Sequence[Response]) -> list[list[str]]:
    return [response.text.split() for response in responses]


def test_batches_go_whole_to_replicas_that_were_opened_once(actors: EngineActors, tmp_path: Path) -> None:
    assert actors.identity == {"engine": "scripted"}
    asked = [batch(f"{n}-a", f"{n}-b", f"{n}-c") for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        answered = [texts(responses) for responses in threads.map(actors.answer, asked)]
    assert [[key for key, *_ in rows] for rows in answered] == [[request.key for request in some] for some in asked]
    where = [{tuple(rest) for _, *rest in rows} for rows in answered]
    assert all(len(places) == 1 for places in where), "a batch has one replica, and is asked of it once"
    assert len({place for places in where for place in places}) == 12
    assert len({pid for [(pid, _)] in where}) == 2
    assert len(list(tmp_path.glob("opened-*"))) == 2


@pytest.mark.parametrize("ends", ["dieonce", "break"])
def test_a_replica_that_dies_or_breaks_down_is_replaced_and_its_batch_asked_again(
    actors: EngineActors, tmp_path: Path, ends: str
) -> None:
    [[before, *_]] = texts(actors.answer(batch("good")))
    assert before == "good"
    assert [key for key, *_ in texts(actors.answer(batch("first", f"{ends}-1", "last")))] == ["first", f"{ends}-1", "last"]
    after = [texts(actors.answer(batch(f"good-{n}"))) for n in range(4)]
    assert len({pid for [(_, pid, _)] in after}) == 2, "two again"
    assert len(list(tmp_path.glob("opened-*"))) == 3, "one more than at first"


def test_a_batch_that_ends_every_replica_stops_the_run_in_a_sentence(actors: EngineActors, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=rf"^a batch ended {MAX_CRASHES} replicas, .*; what was answered before is kept$"):
        actors.answer(batch("die"))
    assert len(actors.answer(batch("good", "better"))) == 2


def test_what_the_engine_cannot_do_is_not_tried_again(actors: EngineActors, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^'tiny' does not fit on the GPU$"):
        actors.answer(batch("refuse"))
    assert len(list(tmp_path.glob("opened-*"))) == 2


def test_a_closed_engine_lets_go_of_whoever_waits_for_it(actors: EngineActors) -> None:
    actors.close()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(actors.answer, batch("good")) for _ in range(3)]
        assert all(isinstance(asked.exception(timeout=30), EngineError) for asked in waiting)


def test_what_cannot_start_says_why(ray_here: None, tmp_path: Path) -> None:
    (tmp_path / "no-model").touch()
    with pytest.raises(EngineError, match=r"^'tiny' cannot be used: no such folder$"):
        EngineActors(partial(Scripted, tmp_path), 2)
    with pytest.raises(EngineError, match=r"^2 replicas take 128 GPUs, Ray has \d+: ask for fewer, or set --ray$"):
        EngineActors(partial(Scripted, tmp_path), 2, 64)


def test_a_model_that_cannot_be_loaded_is_the_same_sentence_as_in_this_process(ray_here: None, tmp_path: Path) -> None:
    nobody = Model("nobody", FAMILIES["qwen2.5-vl"], Weights(tmp_path, "0" * 64))
    opening = partial(open_engine, EngineConfig(device="cpu"), nobody, DecodingConfig())
    with pytest.raises(EngineError, match="cannot be used") as here:
        opening()
    with pytest.raises(EngineError, match="cannot be used") as there:
        EngineActors(opening, 1)
    assert str(there.value) == str(here.value)


def test_a_server_has_no_replicas() -> None:
    with pytest.raises(ValidationError, match="replicas hold a model, and openai asks a server that does: set server"):
        EvaluateParameters(dataset="sample", model="tiny", engine="openai", replicas=2)
