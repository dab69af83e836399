"""Plugin of verl: every process that imports verl imports this module.

A training of this project names it in VERL_USE_EXTERNAL_MODULES, where an error is raised. As an entry point of `verl.plugins`,
where verl swallows errors, it serves those who start verl themselves. It does nothing unless VERL_PLATFORM is `cpu` or the
training is this project's.
"""

from __future__ import annotations

import os
from typing import Any

PLUGIN = "rl.verl.plugin"
_ON_CPU = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
_OWN_TRAINING = PLUGIN in os.environ.get("VERL_USE_EXTERNAL_MODULES", "").split(",")


def load_replica() -> Any:
    """Import the class of the rollout's server, when verl needs it."""
    from rl.verl.rollout import Replica

    return Replica


if _ON_CPU or _OWN_TRAINING:
    from rl.verl.private import use_ragged_positions

    use_ragged_positions()

if _ON_CPU:
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    from rl.verl import platform  # noqa: F401
    from rl.verl.private import register_rollout, use_gloo

    use_gloo()
    register_rollout("transformers", "rl.verl.rollout.Adapter")
    RolloutReplicaRegistry.register("transformers", load_replica)
