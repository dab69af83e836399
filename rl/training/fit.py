"""Training itself: a Ray, free devices, and verl's trainer of the recipe's kind in this very process.

verl would put its trainer into an actor of its own; here, a process less imports torch, and its errors arrive as they are.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rl.training.check import Checked
from rl.training.checkpoints import METRICS
from rl.training.errors import TrainingError
from rl.training.recipe import Recipe

_PLUGIN = "rl.verl.plugin"
_SLOTS = 16
"""Logical CPUs of a Ray of our own: verl's actors take one each, however few there are."""
_STORE_BYTES = 300 * 2**20
"""Its object store: a tiny model's weights, once."""
_QUEUE = ("TransferQueueController", "transfer_queue")
"""verl's queue, an actor that a second training on the cluster would take for its own."""
PATIENCE_S, LOOK_S = 60.0, 1.0
"""How long a killed training's queue may take to vanish, and how often it is looked for."""


def fit(folder: Path, checked: Checked, start: int) -> None:
    """Train from a checkpoint's step to the last.

    Raises:
        TrainingError: the cluster has too few free devices, or another training; or it broke.
    """
    recipe = checked.recipe
    environment = _environment(recipe)
    os.environ.update(environment)
    _before_ray()
    trainer: Any = import_module(f"rl.training.{recipe.kind}")
    config = trainer.configured(folder, checked, start)
    with _ray(recipe, environment):
        _wait_alone()
        _check_devices(recipe)
        trainer.run(config, partial(_tell, folder / METRICS))


def _environment(recipe: Recipe) -> dict[str, str]:
    """What every process of the training must know before it imports verl."""
    cpu = {"VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"} if recipe.platform == "cpu" else {}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {"VERL_USE_EXTERNAL_MODULES": _PLUGIN, "TRANSFER_QUEUE_ENABLE": "1", **offline, **cpu}


def _before_ray() -> None:
    """What Ray reads once, when verl imports it: a Ray of our own has a token of its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def _ray(recipe: Recipe, environment: Mapping[str, str]) -> Iterator[None]:
    """The cluster of RAY_ADDRESS, or a Ray of our own, with this training's environment for all its processes."""
    address = os.environ.get("RAY_ADDRESS")
    import ray
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    known: Any = get_ppo_ray_runtime_env()
    known["env_vars"] |= environment
    with tempfile.TemporaryDirectory(prefix="stvg-ray-", ignore_cleanup_errors=True) as temporary:
        own: dict[str, Any] = {"include_dashboard": False, "_temp_dir": temporary}
        if recipe.platform == "cpu":
            slots = max(_SLOTS, os.cpu_count() or 1)
            own |= {"num_cpus": slots, "num_gpus": recipe.devices, "object_store_memory": _STORE_BYTES}
        try:
            ray.init(runtime_env=known, **({} if address else own))
            yield
        finally:
            ray.shutdown()


def _wait_alone() -> None:
    """Wait for the remains of a killed training to vanish.

    Raises:
        TrainingError: it does not: another training is at work.
    """
    import ray

    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            ray.get_actor(_QUEUE[0], namespace=_QUEUE[1])
        except ValueError:
            return
        time.sleep(LOOK_S)
    raise TrainingError("another training is at work on this Ray cluster, and verl takes one at a time: wait or stop it")


def _check_devices(recipe: Recipe) -> None:
    import ray

    free, there = (int(found.get("GPU", 0)) for found in (ray.available_resources(), ray.cluster_resources()))
    if free < recipe.devices:
        kind = "GPUs" if recipe.gpus else "training slots (nodes started with --num-gpus)"
        raise TrainingError(f"{recipe.devices} {kind} are needed, and {free} of the cluster's {there} are free")


def _tell(metrics: Path, step: Mapping[str, Any]) -> None:
    """Keep what a step told, and print it for whoever follows."""
    line = json.dumps(step)
    with metrics.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(json.dumps({"step": step}), flush=True)
