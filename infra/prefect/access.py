"""Access to a Prefect server: its address, its password, the environments that hold them, and requests."""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.common.environment import environment as process_environment
from storage.common.environment import variable
from storage.common.errors import InputError
from storage.common.log import NAME as LOGGER
from storage.folders.files import atomic_file

HOST = "127.0.0.1"
AUTH_FILE = "auth"
_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104
_DATABASE = ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")
"""Prefect's two names of one setting."""
_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105


class AccessError(InputError):
    """A server that other machines could use without a password."""


def check_access(host: str, auth: bool) -> None:
    """Refuse an address that other machines can reach for a server without a password.

    Args:
        host: address on which the server listens.
        auth: whether it asks for a password.

    Raises:
        AccessError: other machines could use the server.
    """
    if not auth and not _loopback(host):
        raise AccessError(f"'{host}' can be reached from other machines: leave out --no-auth, or --host")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def auth_string(home: Path) -> str:
    """`user:password` of the server with its state in `home`; created once, in a file that only its owner can read."""
    path = home / AUTH_FILE
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(f"stvg:{secrets.token_urlsafe(24)}\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def prefect_environment(port: int, home: Path, host: str = HOST, auth: bool = True) -> dict[str, str]:
    """The environment of the clients of a server: its address and password, without telemetry.

    Args:
        port: TCP port of the server.
        home: folder of its state.
        host: address on which it listens.
        auth: whether it asks for a password.
    """
    address = HOST if host in _EVERY_ADDRESS else host
    env = {name: value for name, value in process_environment().items() if name not in {*_DATABASE, _PASSWORD}}
    env |= {
        "PREFECT_HOME": str(home.resolve()),
        "PREFECT_API_URL": f"http://{address}:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_COLORS": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGER,
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    env.pop("PREFECT_API_AUTH_STRING", None)
    return {**env, "PREFECT_API_AUTH_STRING": auth_string(home)} if auth else env


def server_environment(client: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server: that of its clients, its database and its own password, which no flow run sees.

    Args:
        client: the environment of its clients, of `environment`.
    """
    home = client["PREFECT_HOME"]
    named = {name: value for name in _DATABASE if (value := variable(name))}
    database = named or {_DATABASE[0]: f"sqlite+aiosqlite:///{home}/prefect.db"}
    auth = {_PASSWORD: client["PREFECT_API_AUTH_STRING"]} if "PREFECT_API_AUTH_STRING" in client else {}
    own = {
        "PREFECT_SERVER_UI_API_URL": "/api",
        # Prefect has two UIs: the second one is experimental, and the forms are checked in the first.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # In memory, as by default, the slots of a limit would stay occupied for ever after the server was killed.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    return {**client, **database, **auth, **own}


def ask(env: Mapping[str, str], path: str, body: object = None, timeout_s: float = 30) -> Any:
    """Send one request to the API of a server: GET or, with a body, POST.

    Args:
        env: environment that holds the address and the password.
        path: below the address of the API, such as `flow_runs/filter`.
        body: sent as JSON; None sends a GET request.
        timeout_s: seconds until the request fails.

    Returns:
        The JSON of the response.

    Raises:
        urllib.error.URLError: the server does not answer, or refuses.
    """
    headers = {"Content-Type": "application/json"}
    if auth := env.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{env['PREFECT_API_URL']}/{path}", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        return json.load(answer)
