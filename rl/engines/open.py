"""Engines by name: configuration, start and identity."""

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
    """Configuration of an engine.

    Attributes:
        name: Engine to start.
        device: Device of transformers: `auto`, `cpu`, `cuda` or one such as `cuda:1`.
        precision: Number format of transformers' weights.
        gpus: GPUs that vLLM splits a model over.
        max_length: Most tokens of a prompt and its answer together, for transformers and vLLM.
        server: Server of the OpenAI-compatible engine.
    """

    name: EngineName = "transformers"
    device: str = "auto"
    precision: Precision = "auto"
    gpus: int = 1
    max_length: int = 16384
    server: Server | None = None


def open_engine(config: EngineConfig, model: Model, decoding: Decoding) -> Engine:
    """Start an engine and load a model.

    Args:
        config: Configuration of the engine.
        model: Model to load, or the one that a server provides.
        decoding: Sampling settings of every response.

    Raises:
        EngineError: The engine cannot start.
    """
    if config.name == "openai":
        from rl.engines.server import ServerEngine

        assert config.server is not None
        return ServerEngine(model, decoding, config.server)
    if config.name == "vllm":
        from rl.engines.vllm import VllmEngine

        return VllmEngine(model, decoding, config.gpus, config.max_length)
    from rl.engines.local import TransformersEngine

    return TransformersEngine(model, decoding, config.device, config.precision, config.max_length)


def identity_of(config: EngineConfig, model: Model, decoding: Decoding) -> Mapping[str, Any]:
    """Identity of the engine that `open_engine` would start on this machine; no model is loaded and no server is contacted.

    Args:
        config: Configuration of the engine.
        model: Model that the engine would load.
        decoding: Sampling settings of every response.

    Raises:
        EngineError: The engine cannot start here: vLLM is not installed, or the model's folder cannot be read.
    """
    if config.name == "vllm":
        from rl.engines.vllm import vllm_identity

        return vllm_identity(model, config.max_length)
    if config.name == "openai":
        with closing(open_engine(config, model, decoding)) as engine:
            return engine.identity
    from rl.engines.local import transformers_identity

    return transformers_identity(model, config.device, config.precision, config.max_length)
