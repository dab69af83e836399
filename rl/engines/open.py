"""Engines by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rl.engines.base import Decoding, Engine
from rl.engines.local import Precision
from rl.engines.server import Server
from rl.models.families import Model

EngineName = Literal["transformers", "vllm", "openai"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class EngineConfig:
    """Which engine, and how it runs.

    Attributes:
        name: of the engine.
        device, precision: of transformers.
        gpus: over which vLLM splits a model.
        max_length: most tokens of a prompt and its answer, of transformers and vLLM.
        server: of an OpenAI-compatible engine.
    """

    name: EngineName = "transformers"
    device: str = "auto"
    precision: Precision = "auto"
    gpus: int = 1
    max_length: int = 16384
    server: Server | None = None


def open_engine(config: EngineConfig, model: Model, decoding: Decoding) -> Engine:
    """Start an engine with a model.

    Raises:
        EngineError: it cannot start.
    """
    if config.name == "openai":
        from rl.engines.server import Served

        assert config.server is not None
        return Served(model, decoding, config.server)
    if config.name == "vllm":
        from rl.engines.vllm import Vllm

        return Vllm(model, decoding, config.gpus, config.max_length)
    from rl.engines.local import Local

    return Local(model, decoding, config.device, config.precision, config.max_length)


def identity_of(config: EngineConfig, model: Model, decoding: Decoding) -> Mapping[str, Any]:
    """Identity of the engine that `open_engine` would start here; no model is loaded, no server asked.

    Raises:
        EngineError: it could not start: no vLLM here, a folder that cannot be read.
    """
    if config.name == "vllm":
        from rl.engines.vllm import identity_here as of_vllm

        return of_vllm(model, config.max_length)
    if config.name == "openai":
        with closing(open_engine(config, model, decoding)) as served:
            return served.identity
    from rl.engines.local import identity_here as of_local

    return of_local(model, config.device, config.precision, config.max_length)
