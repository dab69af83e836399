"""Secrets come from the environment or from Prefect's blocks, and stay there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.register import registrations
from infra.prefect.setup import SetupParameters

SECRET = re.compile(r"password|passwd|token(?!s$)|secret|credential|auth|(^|_)(key|url|dsn)$")


FORMS = {name: registration.form for name, registration in registrations().items()} | {"setup": SetupParameters}


@pytest.mark.parametrize("name", FORMS)
def test_no_form_asks_for_a_secret(name: str) -> None:
    names = list(field_names(FORMS[name].model_json_schema()))
    assert len(names) >= len(FORMS[name].model_fields)
    assert [field for field in names if SECRET.search(field)] == []


def field_names(schema: Any) -> Iterator[str]:
    """The names of all fields in a JSON schema, those of groups too."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from field_names(part)


@pytest.mark.heavy
def test_no_secret_of_the_environment_gets_into_what_a_run_leaves(
    server: Any, planted: dict[str, str], tmp_path: Path, clips: Path
) -> None:
    output, run = server.run_by_command(
        "build-dataset/folder", root=str(tmp_path), videos=str(clips), detector={"name": "motion"}
    )
    assert run["state_type"] == "COMPLETED", output
    logs = server.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    assert len(logs) > 3
    told = json.dumps([logs, server.flow_run(run["id"]), server.artifacts(run)]) + output
    home = Path(server.env["PREFECT_HOME"])
    files = [path for folder in (tmp_path / "folder", home) for path in folder.rglob("*") if path.is_file()]
    assert {"manifest.json", "server.log", "deployments.log", "prefect.db"} <= {path.name for path in files}
    password = server.env["PREFECT_API_AUTH_STRING"].split(":")[1]
    for secret in (*planted.values(), password):
        assert secret not in told
        assert [path.name for path in files if secret.encode() in path.read_bytes()] == ["auth"] * (secret == password)
