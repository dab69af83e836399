"""Checks of a Prefect server and of a Ray cluster, if they are named, and of a local Ray."""

from __future__ import annotations

import os
import socket
import urllib.error
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from infra.doctor.findings import Finding
from infra.prefect.access import ask
from storage.common.environment import environment, variable

_TIMEOUT_S = 2.0


def prefect() -> Iterator[Finding]:
    """Whether the server of $PREFECT_API_URL answers, accepts the password, and has the version of this installation."""
    url = variable("PREFECT_API_URL")
    if not url:
        yield Finding("Prefect server", "absent", "PREFECT_API_URL is not set", "for deployments and the UI: make serve")
        return
    where = _without_secrets(url)
    try:
        server_version = ask(environment(), "admin/version", timeout_s=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        refused = error.code in {401, 403}
        remedy = 'export PREFECT_API_AUTH_STRING="$(cat .stvg/auth)"' if refused else "look at the server's log"
        yield Finding("Prefect server", "absent", f"{where} answers {error.code}", remedy)
    except (OSError, ValueError):
        yield Finding("Prefect server", "absent", f"nothing answers at {where}", "make serve, or correct PREFECT_API_URL")
    else:
        auth = "with a password" if variable("PREFECT_API_AUTH_STRING") else "without a password"
        summary, installed = f"{server_version} at {where}, {auth}", version("prefect")
        if server_version == installed:
            yield Finding("Prefect server", "there", summary)
        else:
            yield Finding("Prefect server", "absent", summary, f"install {installed} there")


def ray(address: str) -> Iterator[Finding]:
    """Whether a cluster answers at `address`; without an address, whether a local Ray can start."""
    if address:
        yield _cluster(address)
        return
    spec = find_spec("ray")
    raylet = Path(spec.origin).parent / "core" / "src" / "ray" / "raylet" / "raylet" if spec and spec.origin else None
    if raylet is None or not os.access(raylet, os.X_OK):
        yield Finding("Ray", "needed", "its raylet is not there", "make install")
    else:
        yield Finding("Ray", "there", "a build starts one here for itself; --ray asks a cluster")


def _cluster(address: str) -> Finding:
    from infra.ray.client import connect
    from infra.ray.session import ClusterError

    where = _without_secrets(address)
    if address == "auto":
        return Finding("Ray", "there", "auto joins the one that runs here, when a build asks for it")
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        socket.create_connection((parts.hostname or "", parts.port or 8265), timeout=_TIMEOUT_S).close()
        if address.startswith("http"):
            connect(address)
    except ClusterError as error:
        return Finding("Ray", "absent", str(error).replace(address, where), "docs/cluster.md")
    except (OSError, ValueError):
        return Finding("Ray", "absent", f"no cluster answers at {where}", "start it, or correct --ray")
    return Finding("Ray", "there", f"a cluster answers at {where}")


def _without_secrets(url: str) -> str:
    """An address without user, password and query."""
    scheme, separator, rest = url.partition("://")
    place = (rest if separator else scheme).partition("?")[0].partition("#")[0]
    host, slash, path = place.partition("/")
    return f"{scheme + separator if separator else ''}{host.rpartition('@')[2]}{slash}{path}"
