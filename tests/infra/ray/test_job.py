"""Builds as Ray Jobs on a cluster of node processes: a head without CPUs, and two workers of one CPU each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cli.server import prefect_server
from infra.prefect.access import ask, free_port
from infra.ray.build_job import RefusedError, build_job, run_job, stop_job
from infra.ray.session import ClusterError
from storage.common.config import changed
from storage.folders.files import BusyError
from storage.manifest import load_manifest
from storage.reader import Dataset
from tasks.build.parameters import BENCHMARKS, BuildParameters
from tasks.build.run import publish_build, run_frames, run_here, run_masks

pytestmark = pytest.mark.heavy

VIDEOS = 60


class Builds:
    """Builds as jobs of a cluster."""

    def __init__(self, cluster: Any) -> None:
        self.address, self.env, self.nodes, self.actors = cluster.address, cluster.env, cluster.nodes, cluster.actors
        self.client, self.until = cluster.client, cluster.until

    def stvg(self, root: Path, name: str, videos: Path, hours: float = 1, **env: str) -> subprocess.Popen[str]:
        """`stvg build folder` as a Ray Job."""
        command = [sys.executable, "-m", "infra.cli", "build", "folder", str(videos), "--root", str(root), "--name", name]
        options = ["--detector", "motion", "--ray", self.address, "--hours", str(hours), "--json"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, *options], env={**self.env, **env}, **pipes)

    def jobs(self, parameters: BuildParameters) -> list[Any]:
        start = build_job(parameters).stem
        return [job for job in self.client.list_jobs() if (job.submission_id or "").startswith(start)]

    def job(self, parameters: BuildParameters) -> Any:
        """The one job of a build."""
        [job] = self.jobs(parameters)
        return job

    def logs(self, parameters: BuildParameters) -> str:
        return "".join(str(self.client.get_job_logs(job.submission_id)) for job in self.jobs(parameters))

    def wait_for_progress(self, parameters: BuildParameters, follower: subprocess.Popen[str]) -> None:
        """Wait until the job of a build has told progress, or who follows it has ended."""
        self.until(lambda: follower.poll() is not None or '{"progress"' in self.logs(parameters))

    def parameters(self, root: Path, name: str, videos: Path) -> BuildParameters:
        return BENCHMARKS["folder"](root=str(root), name=name, videos=str(videos), detector="motion", ray=self.address)


@pytest.fixture(scope="module")
def cluster(clusters: Any) -> Iterator[Builds]:
    with clusters(("--num-cpus", "0"), ("--num-cpus", "1"), ("--num-cpus", "1")) as made:
        yield Builds(made)


@pytest.fixture(scope="module")
def videos(square_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        (folder / f"{number}.mp4").hardlink_to(square_clip)
    return folder


def test_a_job_outlives_its_driver_and_a_node_and_builds_what_a_build_here_does(
    cluster: Builds, videos: Path, tmp_path: Path
) -> None:
    parameters = cluster.parameters(tmp_path, "there", videos)
    first = cluster.stvg(tmp_path, "there", videos)
    cluster.wait_for_progress(parameters, first)
    assert first.poll() is None, first.communicate()
    first.kill()
    first.wait()
    second = cluster.stvg(tmp_path, "there", videos)
    os.killpg(cluster.nodes[-1].pid, signal.SIGKILL)
    cluster.nodes.pop().wait()
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert json.loads(out)["counts"] == {"done": VIDEOS}
    assert cluster.job(parameters).status == "SUCCEEDED", "one job, attached to"
    assert cluster.until(lambda: cluster.actors() == [])

    here = parameters.model_copy(update={"name": "here", "ray": ""}).build()
    tracked = run_masks(here, run_here, lambda _: None)
    published = publish_build(here, tracked, run_frames(here, tracked, run_here, lambda _: None), 0)
    assert load_manifest(tmp_path / "there").content_hash == published.content_hash
    assert Dataset(tmp_path / "there").video_ids() == Dataset(tmp_path / "here").video_ids()


def test_a_stopped_job_ends_its_followers_with_a_sentence_and_leaves_no_actor(
    cluster: Builds, videos: Path, tmp_path: Path
) -> None:
    parameters = cluster.parameters(tmp_path, "stopped", videos)
    following = cluster.stvg(tmp_path, "stopped", videos)
    cluster.wait_for_progress(parameters, following)
    with pytest.raises(BusyError, match="with other parameters"):
        run_job(changed(parameters, {"markers.theta": 0.5}), lambda _: None)
    assert stop_job(parameters) == cluster.job(parameters).submission_id
    assert stop_job(parameters) is None, "nothing runs any more"
    _, err = following.communicate(timeout=60)
    assert following.returncode == 1
    assert "was stopped; run the same again to go on where it stopped" in err
    assert cluster.until(lambda: not cluster.actors())


def test_a_job_that_fails_ends_with_the_sentence_and_exit_code_of_a_build_here(
    cluster: Builds, videos: Path, tmp_path: Path
) -> None:
    """At once, since most of it is waiting. The code of one is sent along: it ends as those do that take the cluster's."""
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "bad.mp4").write_text("no video")
    late = cluster.stvg(tmp_path, "late", videos, hours=0.0005)
    absent = cluster.stvg(tmp_path, "absent", tmp_path / "nowhere", STVG_CODE="upload")
    lost = cluster.stvg(tmp_path, "lost", bad)
    stranger = cluster.stvg(tmp_path, "stranger", videos, RAY_AUTH_TOKEN="0" * 64)
    for failing, code, said in (
        (late, 1, "took longer than 0.0005 h and was stopped; raise --hours"),
        (absent, 2, "there is no folder of videos"),
        (lost, 3, "1 of 1 videos were lost (quarantined: not_a_video 1)"),
        (stranger, 2, "refuses the token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its own"),
    ):
        _, err = failing.communicate(timeout=120)
        assert failing.returncode == code, err
        assert said in err
        assert "Traceback" not in err
    sent = cluster.job(cluster.parameters(tmp_path, "absent", tmp_path / "nowhere")).runtime_env["py_modules"]
    assert [uri.startswith("gcs://_ray_pkg_") for uri in sent] == [True] * 4


def test_another_ray_or_python_is_refused_before_any_work(
    cluster: Builds, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = cluster.parameters(tmp_path, "other", videos)
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    with pytest.raises(RefusedError, match=r"the cluster runs Python 3\.1\d\.\d+, and this machine 3\.12\.1: install the same"):
        run_job(parameters, lambda _: None)
    monkeypatch.setattr("infra.ray.client.version", lambda _: "2.1.0")
    with pytest.raises(ClusterError, match=r"the cluster runs Ray 2\.\d+\.\d, and this machine 2\.1\.0: install the same"):
        run_job(parameters, lambda _: None)
    assert not (tmp_path / "other").exists()


def test_cancelling_the_flow_run_stops_the_job_and_the_next_run_finishes_it(
    cluster: Builds, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = cluster.parameters(tmp_path, "flow", videos)
    given = parameters.model_dump(include={"root", "name", "videos", "detector", "ray"})
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    with prefect_server(free_port(), tmp_path / "prefect") as env:

        def state(run: str) -> str:
            return str(ask(env, f"flow_runs/{run}")["state_type"])

        deployment = ask(env, "deployments/name/build-dataset/folder")["id"]
        first = ask(env, f"deployments/{deployment}/create_flow_run", {"parameters": given})["id"]
        cluster.until(lambda: '{"progress"' in cluster.logs(parameters))
        ask(env, f"flow_runs/{first}/set_state", {"state": {"type": "CANCELLING"}})
        cluster.until(lambda: state(first) == "CANCELLED")
        assert [job.status for job in cluster.jobs(parameters)] == ["STOPPED"]
        second = ask(env, f"deployments/{deployment}/create_flow_run", {"parameters": given})["id"]
        assert cluster.until(lambda: state(second) in {"COMPLETED", "FAILED", "CRASHED"} and state(second)) == "COMPLETED"
        assert sorted(job.status for job in cluster.jobs(parameters)) == ["STOPPED", "SUCCEEDED"]
        artifacts = ask(env, "artifacts/filter", {"flow_runs": {"id": {"any_": [second]}}})
        [progress] = [a for a in artifacts if a["type"] == "progress"]
        assert float(progress["data"]) == 100
        assert progress["description"] == f"frames: {VIDEOS} of {VIDEOS} videos, 0 lost"
    assert load_manifest(tmp_path / "flow").counts == {"done": VIDEOS}
