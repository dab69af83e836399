"""A Ray to work on: one of our own on this machine, ended with the block, or a running cluster."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from infra.ray.poison import WorkerError
from storage.common.environment import set_defaults, variable
from storage.common.errors import InputError

_KNOCK_S = 10.0


class ClusterError(InputError):
    """A Ray cluster that does not answer, refuses the token, or has other versions than this process."""


@contextmanager
def ray_session(address: str | None, workers: int) -> Iterator[None]:
    """Join a cluster, or start a Ray on this machine, for the length of the block.

    Args:
        address: of a running cluster; None starts one here.
        workers: how many actors a local Ray must have room for; it has at least one CPU a core.

    Raises:
        ClusterError: the cluster cannot be joined.
    """
    set_environment(local=address is None)
    import ray

    with tempfile.TemporaryDirectory(prefix="stvg-ray-", ignore_cleanup_errors=True) as temporary:
        try:
            if address is None:
                _start_here(temporary, workers)
            else:
                _join(address)
            yield
        finally:
            ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    except RuntimeError as error:
        _same_versions(str(error))
        raise ClusterError(f"the Ray cluster at {address} cannot be joined: {error}") from error
    except (OSError, ValueError):
        raise ClusterError(f"{unreachable(address)}; or it refuses the token of RAY_AUTH_TOKEN") from None


def _knock(address: str) -> None:
    """Find out in seconds whether anything listens at `host:port`; Ray takes minutes to give up."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _same_versions(said: str) -> None:
    """Tell in one sentence what Ray says of versions in several lines, theirs first."""
    for tool in ("Ray", "Python"):
        if len(versions := re.findall(rf"^ +{tool}: (\S+)$", said, re.MULTILINE)) == 2:
            same_version(tool, *versions)


def same_version(tool: str, cluster: str, here: str) -> None:
    """Refuse a cluster that runs another version of Ray or Python.

    Raises:
        ClusterError: the versions differ.
    """
    if cluster != here:
        raise ClusterError(f"the cluster runs {tool} {cluster}, and this machine {here}: install the same on both")


def unreachable(address: str) -> str:
    """What to say of a cluster that does not answer."""
    return f"no Ray cluster answers at {address}: start it, or correct --ray"


def _start_here(temporary: str, workers: int) -> None:
    import ray

    try:
        ray.init(
            num_cpus=max(workers, os.cpu_count() or 1),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="WARNING",
            object_store_memory=100 * 2**20,
            _temp_dir=temporary,
        )
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray has no type of its own for it
            raise
        raise WorkerError(
            "Ray did not start on this machine in time: wait until less is at work here, and run it again"
        ) from error


def set_environment(local: bool) -> None:
    """Set what Ray reads once, when it is first imported; too late, it is left alone.

    A local Ray gets a token of its own: it keeps strangers on this machine out, and no file goes to the home folder.
    Of a cluster the token is given, as RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.
    """
    if "ray" in sys.modules:
        return
    set_defaults({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AUTH_MODE": "token"})
    if local and variable("RAY_AUTH_MODE") == "token":
        set_defaults({"RAY_AUTH_TOKEN": secrets.token_hex(32)})
