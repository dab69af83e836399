"""vLLM's plugin: on a CPU its layers keep their weights as they are.

vLLM 0.28 packs them for oneDNN when they are loaded and drops the originals, so that those of an update have no place to go.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def keep_weights() -> None:
    """Called by vLLM in each of its processes; does nothing on a GPU."""
    if os.environ.get("VERL_PLATFORM") == "cpu":
        kernels: Any = import_module("vllm._custom_ops")
        kernels._supports_onednn = False
