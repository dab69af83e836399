"""The server of a flow: from the secret blocks, or from the environment."""

from __future__ import annotations

from prefect.blocks.system import Secret

from rl.engines.server import Server
from rl.evaluation.parameters import InferenceParameters

URL_BLOCK = "stvg-server-url"
KEY_BLOCK = "stvg-server-key"
"""Secret blocks with the address of a server and its key; without them, the environment has both."""


def server_of(parameters: InferenceParameters) -> Server | None:
    """The server of the blocks, or without them of the environment; None for an engine without a server."""
    if parameters.engine.name != "openai":
        return None
    url, key = _secret(URL_BLOCK), _secret(KEY_BLOCK)
    return Server(url, key, parameters.server) if url else parameters.server_here()


def _secret(name: str) -> str:
    try:
        return str(Secret.load(name).get())  # type: ignore[union-attr]
    except ValueError:  # there is no such block
        return ""
