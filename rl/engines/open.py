"""Engines by name: start and identity."""

from __future__ import annotations

from rl.engines.base import Engine, EngineIdentity
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.server import Server
from rl.models.families import Model


def open_engine(config: EngineConfig, model: Model, decoding: DecodingConfig, server: Server | None = None) -> Engine:
    """Start an engine and load a model.

    Args:
        config: Configuration of the engine.
        model: Model to load, or the one that a server provides.
        decoding: Sampling settings of every response.
        server: Server of the engine `openai`; the other engines need none.

    Raises:
        EngineError: The engine cannot start.
    """
    if config.name == "openai":
        from rl.engines.server import ServerEngine

        assert server is not None
        return ServerEngine(model, decoding, server)
    if config.name == "vllm":
        from rl.engines.vllm import VllmEngine

        return VllmEngine(model, decoding, config)
    from rl.engines.local import TransformersEngine

    return TransformersEngine(model, decoding, config)


def engine_identity(config: EngineConfig, model: Model, server: Server | None = None) -> EngineIdentity:
    """Identity of the engine that `open_engine` would start on this machine; no model is loaded and no server is contacted.

    Args:
        config: Configuration of the engine.
        model: Model that the engine would load.
        server: Server of the engine `openai`; the other engines need none.

    Raises:
        EngineError: The engine cannot start here: vLLM is not installed, or the model's folder cannot be read.
    """
    if config.name == "vllm":
        from rl.engines.vllm import vllm_identity

        return vllm_identity(model, config.max_length)
    if config.name == "openai":
        from rl.engines.server import server_identity

        assert server is not None
        return server_identity(model, server)
    from rl.engines.local import transformers_identity

    return transformers_identity(model, config)
