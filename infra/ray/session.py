"""A Ray session: a local Ray that ends with the block, or a running cluster that is joined."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from infra.ray.private import patient_start
from infra.ray.retry import WorkerError
from storage.common.environment import set_defaults, variable
from storage.common.errors import InputError

_CONNECT_TIMEOUT_S = 10.0
START_WITHIN_S = 300.0
"""Seconds that a local Ray has to start on a busy machine; Ray itself gives up after 30."""


class ClusterError(InputError):
    """A Ray cluster that does not answer, refuses the token, or has other versions than this process."""


@contextmanager
def ray_session(address: str | None, workers: int) -> Iterator[None]:
    """Join a cluster, or start a Ray on this machine, for the length of the block.

    Args:
        address: `host:port` of a running cluster, or `auto`; None starts a local Ray.
        workers: number of actors for which a local Ray has CPUs; it has at least as many as this machine.

    Raises:
        ClusterError: the cluster cannot be joined.
        WorkerError: a local Ray did not start in time.
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
        _check_listening(address)
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    except RuntimeError as error:
        _same_versions(str(error))
        raise ClusterError(f"the Ray cluster at {address} cannot be joined: {error}") from error
    except (OSError, ValueError):
        raise ClusterError(f"{unreachable(address)}; or it refuses the token of RAY_AUTH_TOKEN") from None


def _check_listening(address: str) -> None:
    """Fail within seconds if nothing listens at `host:port`; Ray itself takes minutes."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def _same_versions(message: str) -> None:
    """Raise Ray's message of several lines on differing versions, the cluster's first, as one sentence."""
    for tool in ("Ray", "Python"):
        if len(versions := re.findall(rf"^ +{tool}: (\S+)$", message, re.MULTILINE)) == 2:
            same_version(tool, *versions)


def same_version(tool: str, cluster: str, here: str) -> None:
    """Refuse a cluster that runs another version of Ray or Python.

    Args:
        tool: `Ray` or `Python`.
        cluster: its version on the cluster.
        here: its version in this process.

    Raises:
        ClusterError: the versions differ.
    """
    if cluster != here:
        raise ClusterError(f"the cluster runs {tool} {cluster}, and this machine {here}: install the same on both")


def unreachable(address: str) -> str:
    """The sentence on a cluster that does not answer.

    Args:
        address: of the cluster, as it was given.
    """
    return f"no Ray cluster answers at {address}: start it, or correct --ray"


def _start_here(temporary: str, workers: int, tries: int = 2) -> None:
    import ray

    try:
        with patient_start(START_WITHIN_S):
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
        ray.shutdown()
        if tries > 1:
            return _start_here(temporary, workers, tries - 1)
        raise WorkerError(
            "Ray did not start on this machine in time: wait until less is at work here, and run it again"
        ) from error


def set_environment(local: bool) -> None:
    """Set the variables that Ray reads when it is first imported; afterwards, do nothing.

    Args:
        local: whether a local Ray will be started. It gets a random token, which keeps out other users of this machine and
            writes no file into the home folder; the token of a cluster is in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.
    """
    if "ray" in sys.modules:
        return
    set_defaults({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AUTH_MODE": "token"})
    if local:
        set_defaults({"RAY_gcs_server_port_wait_time_s": f"{START_WITHIN_S:.0f}"})
    if local and variable("RAY_AUTH_MODE") == "token":
        set_defaults({"RAY_AUTH_TOKEN": secrets.token_hex(32)})
