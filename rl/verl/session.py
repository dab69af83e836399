"""The Ray session of a training: the one place outside `infra` that starts or joins Ray.

verl's processes need an environment that is set before verl is imported, so the driver opens the session itself.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from rl.verl.errors import TrainingError

Platform = Literal["cuda", "cpu"]

_PLUGIN = "rl.verl.plugin"
_CPU_SLOTS = 16
"""Logical CPUs of a local Ray: each actor of verl reserves one, however few there are."""
_STORE_BYTES = 300 * 2**20
"""Object store of a local Ray on a CPU: holds a tiny model's weights once."""
_QUEUE = ("TransferQueueController", "transfer_queue")
"""Name and namespace of verl's queue, an actor that a second training on the cluster would use as its own."""
QUEUE_TIMEOUT_S, QUEUE_POLL_S = 60.0, 1.0
"""How long the queue of a killed training may take to vanish, and the interval of checks, seconds."""


def set_training_environment(platform: Platform) -> dict[str, str]:
    """Set the variables that every process of a training needs before it imports verl or Ray; returns them."""
    cpu = {"VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"} if platform == "cpu" else {}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    environment = {"VERL_USE_EXTERNAL_MODULES": _PLUGIN, "TRANSFER_QUEUE_ENABLE": "1", **offline, **cpu}
    os.environ.update(environment)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return environment


@contextmanager
def training_session(platform: Platform, devices: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Join the cluster of RAY_ADDRESS, or start a local Ray, for one training.

    Args:
        platform: a local Ray on `cpu` gets logical devices.
        devices: GPUs, or logical devices, that the training needs.
        environment: variables for all processes of the training, from `set_training_environment`.

    Raises:
        TrainingError: the cluster has too few free devices, or runs another training.
    """
    import ray
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    runtime_env: Any = get_ppo_ray_runtime_env()
    runtime_env["env_vars"] |= environment
    with tempfile.TemporaryDirectory(prefix="stvg-ray-", ignore_cleanup_errors=True) as temporary:
        try:
            _start(runtime_env, _local_options(platform, devices, temporary))
            wait_for_queue()
            check_devices(platform, devices)
            yield
        finally:
            ray.shutdown()


def _start(runtime_env: Any, options: Mapping[str, bool | int | str]) -> None:
    import ray

    try:
        ray.init(runtime_env=runtime_env, **options)
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray has no type of its own for it
            raise
        raise TrainingError("Ray did not start in time: wait until this machine has less to do, and start it again") from error


def _local_options(platform: Platform, devices: int, temporary: str) -> dict[str, bool | int | str]:
    """Options of a local Ray; none where a cluster is joined."""
    if os.environ.get("RAY_ADDRESS"):
        return {}
    options: dict[str, bool | int | str] = {"include_dashboard": False, "_temp_dir": temporary}
    if platform == "cpu":
        slots = max(_CPU_SLOTS, os.cpu_count() or 1)
        options |= {"num_cpus": slots, "num_gpus": devices, "object_store_memory": _STORE_BYTES}
    return options


def wait_for_queue() -> None:
    """Wait until the queue of a killed training has vanished.

    Raises:
        TrainingError: it does not, so another training is running.
    """
    import ray

    deadline = time.monotonic() + QUEUE_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            ray.get_actor(_QUEUE[0], namespace=_QUEUE[1])
        except ValueError:
            return
        time.sleep(QUEUE_POLL_S)
    raise TrainingError("another training is running on this Ray cluster, and verl allows one at a time: wait or stop it")


def check_devices(platform: Platform, devices: int) -> None:
    """Check that the cluster has enough free devices.

    Args:
        platform: names the devices in the message.
        devices: GPUs, or logical devices, that the training needs.

    Raises:
        TrainingError: it has not; the message counts them.
    """
    import ray

    free, total = (int(resources.get("GPU", 0)) for resources in (ray.available_resources(), ray.cluster_resources()))
    if free < devices:
        kind = "GPUs" if platform == "cuda" else "training slots (nodes started with --num-gpus)"
        raise TrainingError(f"{devices} {kind} are needed, and {free} of the cluster's {total} are free")
