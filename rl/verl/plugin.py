"""verl's plugin: imported by every process that imports verl.

`rl.training.run` names it in VERL_USE_EXTERNAL_MODULES, where an error is raised; as an entry point of `verl.plugins`,
where verl swallows one, it serves those who start verl themselves. Unless VERL_PLATFORM is `cpu`, or the training is this
project's, it does nothing.
"""

from __future__ import annotations

import os
from typing import Any

NAME = "rl.verl.plugin"
CPU = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
OURS = NAME in os.environ.get("VERL_USE_EXTERNAL_MODULES", "").split(",")


def load_replica() -> Any:
    """The rollout's replica, imported when it is asked for."""
    from rl.verl.rollout import Replica

    return Replica


if CPU or OURS:
    from rl.verl.private import open_equal_lengths

    open_equal_lengths()

if CPU:
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    from rl.verl import platform  # noqa: F401
    from rl.verl.private import open_gloo, open_rollout

    open_gloo()
    open_rollout("transformers", "rl.verl.rollout.Adapter")
    RolloutReplicaRegistry.register("transformers", load_replica)
