"""Access to a Ray cluster from outside: a job client of the same version, and the code that a job runs."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.ray.private import cluster_version
from infra.ray.session import ClusterError, same_version, set_environment, unreachable
from storage.common.environment import variable
from storage.folders.files import hash8, sha256_of

PACKAGES = ("infra", "rl", "tasks", "storage")
"""Packages of the project that a job imports."""


def connect(address: str) -> Any:
    """A `JobSubmissionClient` of a cluster.

    Args:
        address: of the cluster's dashboard, such as `http://head:8265`.

    Raises:
        ClusterError: it does not answer, refuses the token or runs another version of Ray.
    """
    set_environment(local=False)
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.WARNING)  # it warns of every closed connection
    try:
        client = JobSubmissionClient(address)
    except AuthenticationError:
        sentence = "refuses the token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its own"
        raise ClusterError(f"the Ray cluster at {address} {sentence}") from None
    except (OSError, RuntimeError, ValueError):
        raise ClusterError(unreachable(address)) from None
    same_version("Ray", cluster_version(client), version("ray"))
    return client


def code_version() -> str:
    """Hash of the project's own code."""
    files = {str(p.relative_to(f.parent)): sha256_of(p) for f in _folders() for p in sorted(f.rglob("*.py"))}
    return hash8(files)


def code_sent() -> dict[str, Any]:
    """The runtime environment of a job: the code of the cluster's image, or this code if `STVG_CODE` is `upload`."""
    if variable("STVG_CODE") != "upload":
        return {}
    return {"py_modules": [str(folder) for folder in _folders()], "excludes": ["__pycache__"]}


def _folders() -> list[Path]:
    return [Path(__file__).resolve().parents[2] / name for name in PACKAGES]
