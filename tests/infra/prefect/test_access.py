from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from infra.prefect.access import AccessError, auth_string, check_access, prefect_environment, server_environment

DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"


def test_the_password_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = auth_string(tmp_path / "home")
    path = tmp_path / "home" / "auth"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    user, password = made.split(":")
    assert user == "stvg"
    assert len(password) >= 32
    assert path.read_text().strip() == made == auth_string(tmp_path / "home")
    assert auth_string(tmp_path / "other") != made


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org"])
def test_an_address_that_others_reach_is_refused_without_a_password(host: str) -> None:
    with pytest.raises(AccessError, match=f"'{host}' can be reached from other machines"):
        check_access(host, auth=False)
    check_access(host, auth=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_password(host: str) -> None:
    check_access(host, auth=False)


def test_clients_know_the_password_and_not_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE, "postgresql+asyncpg://me:hidden@db/prefect")
    client = prefect_environment(1234, tmp_path)
    assert client["PREFECT_API_URL"] == "http://127.0.0.1:1234/api"
    assert client["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert client["PREFECT_API_AUTH_STRING"] == auth_string(tmp_path)
    assert not any("hidden" in value for value in client.values())
    server = server_environment(client)
    assert server[DATABASE] == os.environ[DATABASE], "a database that is named is kept"
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == auth_string(tmp_path)


def test_a_server_without_a_database_named_keeps_its_state_at_home(tmp_path: Path) -> None:
    server = server_environment(prefect_environment(1234, tmp_path, auth=False))
    assert server[DATABASE] == f"sqlite+aiosqlite:///{tmp_path}/prefect.db"
    assert "PREFECT_SERVER_API_AUTH_STRING" not in server
    assert not (tmp_path / "auth").exists()


def test_clients_go_to_the_address_the_server_listens_on(tmp_path: Path) -> None:
    assert prefect_environment(1, tmp_path, "0.0.0.0")["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert prefect_environment(1, tmp_path, "10.0.0.5")["PREFECT_API_URL"] == "http://10.0.0.5:1/api"
