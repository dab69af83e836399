"""A Ray to work on: one of our own on this machine, ended with the block, or a running cluster."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ray_session(address: str | None, workers: int) -> Iterator[None]:
    """Connect to a cluster, or start a Ray on this machine, for the length of the block.

    Args:
        address: of a running cluster; None starts one here.
        workers: how many actors a local Ray must have room for; it has at least one CPU a core.
    """
    _set_environment(local=address is None)
    import ray

    temporary = tempfile.mkdtemp(prefix="stvg-ray-") if address is None else None
    try:
        if temporary is not None:
            _start_here(temporary, workers)
        else:
            ray.init(address=address, log_to_driver=False, logging_level="WARNING")
        yield
    finally:
        ray.shutdown()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _start_here(temporary: str, workers: int) -> None:
    import ray

    ray.init(
        num_cpus=max(workers, os.cpu_count() or 1),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="WARNING",
        object_store_memory=100 * 2**20,
        _temp_dir=temporary,
    )


def _set_environment(local: bool) -> None:
    """Set what Ray reads once, when it is first imported; too late, it is left alone.

    A local Ray gets a token of its own: it keeps strangers on this machine out, and no file goes to the home folder.
    """
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if local and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
