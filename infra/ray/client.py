"""What a process outside a Ray cluster needs to send it work: a client it lets in, the same versions, the code."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.ray.session import ClusterError, same_version, set_environment, unreachable
from storage.common.environment import variable
from storage.folders.files import hash8, sha256_of

PACKAGES = ("infra", "rl", "tasks", "storage")
"""What a job needs of the project."""


def connect(address: str) -> Any:
    """A `JobSubmissionClient` of the cluster whose dashboard is at `address`.

    Raises:
        ClusterError: it does not answer, refuses the token or runs another Ray.
    """
    set_environment(local=False)
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.WARNING)  # its notes of closed connections
    try:
        client = JobSubmissionClient(address)
    except AuthenticationError:
        sentence = "refuses the token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its own"
        raise ClusterError(f"the Ray cluster at {address} {sentence}") from None
    except (OSError, RuntimeError, ValueError):
        raise ClusterError(unreachable(address)) from None
    same_version("Ray", client._server_ray_version, version("ray"))
    return client


def code_version() -> str:
    """Hash of the project's own code."""
    files = {str(p.relative_to(f.parent)): sha256_of(p) for f in _folders() for p in sorted(f.rglob("*.py"))}
    return hash8(files)


def code_sent() -> dict[str, Any]:
    """The runtime environment of a job: the code of the cluster's image, or the code here if $STVG_CODE is `upload`."""
    if variable("STVG_CODE") != "upload":
        return {}
    return {"py_modules": [str(folder) for folder in _folders()], "excludes": ["__pycache__"]}


def _folders() -> list[Path]:
    return [Path(__file__).resolve().parents[2] / name for name in PACKAGES]
