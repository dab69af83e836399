"""Private members of Ray: what is absent is one sentence that names the file to adapt."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from infra.ray.private import cluster_version, dashboard_nodes


def test_a_ray_without_the_members_is_named() -> None:
    for read in (cluster_version, dashboard_nodes):
        with pytest.raises(RuntimeError, match=r"the job client of Ray .* has no _\w+: adapt infra/ray/private\.py"):
            read(SimpleNamespace())


def test_the_installed_ray_has_the_members() -> None:
    from ray.dashboard.modules.dashboard_sdk import SubmissionClient

    assert hasattr(SubmissionClient, "_do_request")
    assert "self._server_ray_version =" in inspect.getsource(SubmissionClient)


def test_a_dashboard_that_refuses_has_no_nodes() -> None:
    def refuse(_method: str, _path: str) -> Any:
        return SimpleNamespace(ok=False)

    assert dashboard_nodes(SimpleNamespace(_do_request=refuse)) == []
