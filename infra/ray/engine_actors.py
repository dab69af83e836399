"""Replicas of an engine, each in a Ray actor; together they have the interface of one engine.

Each actor loads the model once. A batch goes to an idle actor. An actor that dies is replaced, and its batch is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

from infra.ray.session import ray_session
from rl.engines.base import Engine, EngineCrashError, EngineError, EngineIdentity, Request, Response
from rl.engines.config import EngineConfig
from rl.engines.open import open_engine
from rl.engines.server import Server
from rl.evaluation.parameters import EvaluateParameters
from rl.models.families import Model

MAX_CRASHES = 3
"""Actors that one batch may crash before the run stops."""
START_TIMEOUT_S = 1800.0
"""Seconds in which all replicas must have loaded the model; on a cluster without idle GPUs they wait."""

EngineOpener = Callable[[], Engine]
"""Starts an engine in the process that calls it; picklable."""


@contextmanager
def replicated(parameters: EvaluateParameters, model: Model, server: Server | None = None) -> Iterator[Engine]:
    """Context manager: an engine in this process, or its replicas on Ray.

    Args:
        parameters: The engine, the number of its replicas and the Ray cluster.
        model: Model to load.
        server: Server of the engine openai; the other engines need none.

    Raises:
        EngineError: The engine cannot start.
        ClusterError: The cluster cannot be joined.
    """
    opener = partial(open_engine, parameters.engine, model, parameters.decoding, server)
    if not parameters.replicas:
        with closing(opener()) as engine:
            yield engine
        return
    with (
        ray_session(parameters.ray or None, parameters.replicas),
        closing(EngineActors(opener, parameters.replicas, _gpus(parameters.engine))) as actors,
    ):
        yield actors


def _gpus(config: EngineConfig) -> int:
    """GPUs of each replica."""
    import ray

    if config.name == "vllm":
        return config.gpus
    automatic = config.device == "auto" and "GPU" in ray.cluster_resources()
    return int(config.device.startswith("cuda") or automatic)


class _Replica:
    """Actor in a Ray worker process; the engine starts with the first call, since a failed constructor would hide its cause."""

    def __init__(self, opener: EngineOpener) -> None:
        self._opener = opener
        self._engine: Engine | None = None

    def identity(self) -> EngineIdentity:
        return dict(self._open().identity)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        return self._open().answer(requests)

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = self._opener()
        return self._engine


class EngineActors:
    """An `rl.engines.base.Engine` of several replicas, safe to use from several threads; needs a Ray session."""

    def __init__(self, opener: EngineOpener, replicas: int, gpus: int = 0) -> None:
        """Start the replicas and wait until all have loaded the model.

        Args:
            opener: Starts one engine.
            replicas: Number of replicas.
            gpus: GPUs of each replica.

        Raises:
            EngineError: A replica cannot start, or Ray has too few GPUs for all of them.
        """
        import ray

        total = int(ray.cluster_resources().get("GPU", 0))
        if replicas * gpus > total:
            raise EngineError(f"{replicas} replicas take {replicas * gpus} GPUs, Ray has {total}: ask for fewer, or set --ray")
        self._remote: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Replica)
        self._opener = opener
        self._idle: SimpleQueue[Any] = SimpleQueue()
        self._closed = False
        self._actors = [self._remote.remote(opener) for _ in range(replicas)]
        self._identity = self._start()[0]
        for actor in self._actors:
            self._idle.put(actor)

    def _start(self) -> list[EngineIdentity]:
        import ray

        try:
            return list(ray.get([actor.identity.remote() for actor in self._actors], timeout=START_TIMEOUT_S))
        except ray.exceptions.GetTimeoutError as error:
            self.close()
            raise EngineError(f"not all replicas are up after {START_TIMEOUT_S:g} s: their GPUs are taken") from error
        except ray.exceptions.RayError as error:
            self.close()
            raise _engine_error(error) or EngineError(f"a replica cannot start: {_last_line(error)}") from error

    @property
    def identity(self) -> EngineIdentity:
        """Identity of any replica; all are equal."""
        return self._identity

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Let an idle replica answer a batch; a replica that crashes is replaced, and the batch is sent again.

        Raises:
            EngineError: The engine cannot answer, or the batch crashed `MAX_CRASHES` replicas.
        """
        import ray

        failure: Exception | None = None
        for _ in range(MAX_CRASHES):
            actor = self._idle.get()
            try:
                if self._closed:
                    raise EngineError("the engine was closed")
                return list(ray.get(actor.answer.remote(requests)))
            except ray.exceptions.RayError as error:
                failure, own = error, _engine_error(error)
                if self._closed or (own is not None and not isinstance(own, EngineCrashError)):
                    raise own or EngineError("the engine was closed") from error
                actor = self._replace(actor)
            finally:
                self._idle.put(actor)
        assert failure is not None
        raise EngineError(
            f"a batch ended {MAX_CRASHES} replicas, one after the other ({_last_line(failure)}): a smaller --batch-size may "
            "help; what was answered before is kept"
        ) from failure

    def _replace(self, actor: Any) -> Any:
        """Kill an actor and start another, which loads its model with its first batch."""
        import ray

        ray.kill(actor)
        replacement = self._remote.remote(self._opener)
        self._actors[self._actors.index(actor)] = replacement
        return replacement

    def close(self) -> None:
        """Kill the actors, busy or not."""
        import ray

        self._closed = True
        for actor in self._actors:
            ray.kill(actor)


def _engine_error(error: Exception) -> EngineError | None:
    """The engine's own error in its actor; None if the actor died or raised anything else."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, EngineError) else None


def _last_line(error: Exception) -> str:
    own = _engine_error(error)
    return str(own) if own is not None else str(error).strip().splitlines()[-1]
