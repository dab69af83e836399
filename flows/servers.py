"""Which server a flow asks: that of the secret blocks, or of the environment."""

from __future__ import annotations

from prefect.blocks.system import Secret

from infra.forms.asked import AskingParameters
from rl.engines.open import EngineConfig
from rl.engines.server import Server, server_from_environment

URL_BLOCK = "stvg-server-url"
KEY_BLOCK = "stvg-server-key"
"""Secret blocks that name a server and its key; without them, the environment does."""


def engine_of(parameters: AskingParameters) -> EngineConfig:
    """The engine of a flow; its server is that of the blocks, or of the environment."""
    return parameters.engine_config(_server(parameters) if parameters.engine == "openai" else None)


def _server(parameters: AskingParameters) -> Server:
    """The server of the blocks, or of the environment."""
    url, key = _secret(URL_BLOCK), _secret(KEY_BLOCK)
    settings = parameters.server_settings()
    return Server(url, key, **settings) if url else server_from_environment(**settings)


def _secret(name: str) -> str:
    try:
        return str(Secret.load(name).get())  # type: ignore[union-attr]
    except ValueError:  # there is no such block
        return ""
