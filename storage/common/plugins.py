"""Classes known by name: a registry maps a name to `module:Class`, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast


def load_plugin(registry: Mapping[str, str], name: str, kind: str) -> type:
    """Class registered under `name`; ValueError listing the known names otherwise.

    Args:
        registry: name -> `module:Class`.
        name: registered name.
        kind: kind of plugin, for the message.
    """
    if name not in registry:
        raise ValueError(f"there is no {kind} '{name}'; known: {', '.join(sorted(registry))}")
    module, _, attribute = registry[name].partition(":")
    return cast(type, getattr(import_module(module), attribute))
