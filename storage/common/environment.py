"""Environment variables: those that the project reads, with defaults, and the environments of other processes.

No other module reads `os.environ`, except those of verl's worker processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

VARIABLES: Mapping[str, str] = {
    "AWS_ENDPOINT_URL": "",
    "PREFECT_API_AUTH_STRING": "",
    "PREFECT_API_DATABASE_CONNECTION_URL": "",
    "PREFECT_API_URL": "",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL": "",
    "RAY_ADDRESS": "",
    "RAY_AUTH_MODE": "",
    "STVG_CACHE": "",
    "STVG_CACHE_GB": "50",
    "STVG_CODE": "image",
    "STVG_LOG": "WARNING",
    "STVG_SERVER_KEY": "",
    "STVG_SERVER_URL": "",
    "STVG_SITE": "",
    "STVG_WEIGHTS": "",
}
"""Variable -> its value where it is unset or empty."""


def variable(name: str) -> str:
    """The value of one of `VARIABLES`, or its default."""
    return os.environ.get(name) or VARIABLES[name]


def environment() -> dict[str, str]:
    """A copy of the whole environment, for a process to be started."""
    return dict(os.environ)


def module_environment(**defaults: str) -> dict[str, str]:
    """An environment in which another Python finds the modules that this process finds.

    Args:
        defaults: variables for the other process where this one has them unset.
    """
    return {**defaults, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def set_variables(values: Mapping[str, str]) -> None:
    """Set variables that a library reads in this process and in those that it starts."""
    os.environ.update(values)


def set_defaults(values: Mapping[str, str]) -> None:
    """Set those of the variables that are unset, for a library that reads them."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
