"""Secrets come from the environment or from Prefect's blocks, and stay there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.forms.benchmarks import BENCHMARKS
from infra.prefect.setup import SetupParameters

SECRET = re.compile(r"password|passwd|token|secret|credential|auth|(^|_)(key|url|dsn)$")


@pytest.mark.parametrize("name", [*BENCHMARKS, "setup"])
def test_no_form_asks_for_a_secret(name: str) -> None:
    model = SetupParameters if name == "setup" else BENCHMARKS[name]
    assert [field for field in model.model_fields if SECRET.search(field)] == []


@pytest.mark.heavy
def test_no_secret_of_the_environment_gets_into_what_a_run_leaves(
    server: Any, planted: dict[str, str], tmp_path: Path, clips: Path
) -> None:
    output, run = server.run("build-dataset/folder", root=str(tmp_path), videos=str(clips), detector="motion")
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
