"""Plugin of vLLM: on a CPU its layers keep their weights unpacked.

vLLM 0.28 packs weights for oneDNN when they are loaded and drops the originals, so that an update has nothing to write to.
"""

from __future__ import annotations

import os

from rl.verl.private import keep_vllm_weights


def keep_weights() -> None:
    """Entry point that vLLM calls in each of its processes; does nothing on a GPU."""
    if os.environ.get("VERL_PLATFORM") == "cpu":
        keep_vllm_weights()
