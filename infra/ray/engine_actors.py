"""An engine held several times, each in a Ray actor: a batch goes whole to one that is free, as to one in this process.

A model is loaded once an actor and stays. An actor that dies is replaced by a fresh one, and its batch is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

from infra.ray.session import ray_session
from rl.engines.base import BrokenError, Decoding, Engine, EngineError, Reply, Request
from rl.engines.open import EngineConfig, open_engine
from rl.models.families import Model

TRIES = 3
"""Actors that a batch may end before the run stops."""
STARTED_WITHIN_S = 1800.0
"""For all to have loaded the model; a cluster whose GPUs are taken lets them wait."""

Opening = Callable[[], Engine]
"""Starts an engine where it is to run; picklable."""


@contextmanager
def replicated(
    config: EngineConfig, model: Model, decoding: Decoding, replicas: int = 0, address: str | None = None
) -> Iterator[Engine]:
    """An engine for the length of the block: in this process, or as replicas on Ray.

    Args:
        config: of the engine, or of each replica.
        model: which each holds.
        decoding: how answers are drawn.
        replicas: 0 takes this process.
        address: of a running Ray cluster; None starts a Ray of its own on this machine.

    Raises:
        EngineError: it cannot start.
        ClusterError: the cluster cannot be joined.
    """
    opening = partial(open_engine, config, model, decoding)
    if not replicas:
        with closing(opening()) as engine:
            yield engine
        return
    with (
        ray_session(address, replicas),
        closing(EngineActors(opening, replicas, _gpus(config))) as actors,
    ):
        yield actors


def _gpus(config: EngineConfig) -> int:
    """GPUs that each replica takes."""
    import ray

    if config.name == "vllm":
        return config.gpus
    there = "GPU" in ray.cluster_resources()
    return int(config.device.startswith("cuda") or (config.device == "auto" and there))


class _Replica:
    """Runs in a Ray worker process. The engine starts with the first call, not in the constructor: a failure has its cause."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._engine: Engine | None = None

    def identity(self) -> dict[str, Any]:
        return dict(self._opened().identity)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return self._opened().answer(requests)

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._opening()
        return self._engine


class EngineActors:
    """An `rl.engines.base.Engine` of several, to be asked from as many threads as one likes; needs a Ray session."""

    def __init__(self, opening: Opening, replicas: int, gpus: int = 0) -> None:
        """Start the engines, and wait until all have loaded their model.

        Args:
            opening: starts one engine.
            replicas: how many.
            gpus: of each.

        Raises:
            EngineError: one cannot start, or Ray has no room for them all.
        """
        import ray

        there = int(ray.cluster_resources().get("GPU", 0))
        if replicas * gpus > there:
            raise EngineError(f"{replicas} replicas take {replicas * gpus} GPUs, Ray has {there}: ask for fewer, or set --ray")
        self._remote: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Replica)
        self._opening = opening
        self._free: SimpleQueue[Any] = SimpleQueue()
        self._closed = False
        self._actors = [self._remote.remote(opening) for _ in range(replicas)]
        self._identity = self._started()[0]
        for actor in self._actors:
            self._free.put(actor)

    def _started(self) -> list[dict[str, Any]]:
        import ray

        try:
            return list(ray.get([actor.identity.remote() for actor in self._actors], timeout=STARTED_WITHIN_S))
        except ray.exceptions.GetTimeoutError as error:
            self.close()
            raise EngineError(f"not all replicas are up after {STARTED_WITHIN_S:g} s: their GPUs are taken") from error
        except ray.exceptions.RayError as error:
            self.close()
            raise _own(error) or EngineError(f"a replica cannot start: {_last_line(error)}") from error

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of any of them: they are equal."""
        return self._identity

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Let a free one answer a batch; one that dies or breaks down is replaced, and the batch asked again.

        Raises:
            EngineError: the engine cannot answer, or the batch ended one too many.
        """
        import ray

        failed: Exception | None = None
        for _ in range(TRIES):
            actor = self._free.get()
            try:
                return list(ray.get(actor.answer.remote(requests)))
            except ray.exceptions.RayError as error:
                failed, own = error, _own(error)
                if self._closed or (own is not None and not isinstance(own, BrokenError)):
                    raise own or EngineError("the engine was closed") from error
                actor = self._replaced(actor)
            finally:
                self._free.put(actor)
        assert failed is not None
        raise EngineError(
            f"a batch ended {TRIES} replicas, one after the other ({_last_line(failed)}): a smaller --batch-size may help; "
            "what was answered before is kept"
        ) from failed

    def _replaced(self, actor: Any) -> Any:
        """A fresh actor in the place of one; it loads its model when it is first asked."""
        import ray

        ray.kill(actor)
        fresh = self._remote.remote(self._opening)
        self._actors[self._actors.index(actor)] = fresh
        return fresh

    def close(self) -> None:
        """End the actors, at work or not."""
        import ray

        self._closed = True
        for actor in self._actors:
            ray.kill(actor)


def _own(error: Exception) -> EngineError | None:
    """What the engine itself raised, in its actor; None if it died or met something unforeseen."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, EngineError) else None


def _last_line(error: Exception) -> str:
    own = _own(error)
    return str(own) if own is not None else str(error).strip().splitlines()[-1]
