"""Images, Compose and KubeRay files, as far as they can be judged where no container engine is at hand."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "infra" / "docker").glob("Dockerfile.*"))
COMPOSE = ROOT / "infra" / "compose.yaml"
KUBERNETES = sorted((ROOT / "infra" / "kuberay").glob("*.yaml"))
REQUIRED = {
    "RayCluster": ("rayVersion", "headGroupSpec", "workerGroupSpecs"),
    "Deployment": ("selector", "template"),
    "StatefulSet": ("selector", "template", "serviceName"),
    "Service": ("selector", "ports"),
}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text()))


def objects() -> list[dict[str, Any]]:
    return [made for path in KUBERNETES for made in yaml.safe_load_all(path.read_text())]


def templates() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and specification of every pod."""
    for made in objects():
        spec = made["spec"]
        if made["kind"] == "RayCluster":
            yield "head", spec["headGroupSpec"]["template"]["spec"]
            yield from ((group["groupName"], group["template"]["spec"]) for group in spec["workerGroupSpecs"])
        elif "template" in spec:
            yield made["metadata"]["name"], spec["template"]["spec"]


def instructions(path: Path) -> list[str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def pinned(name: str) -> str:
    found = re.search(rf"^{name}(?:\[.*\])?==([\w.]+)", (ROOT / "requirements" / "base.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_pinned_small_and_not_roots(path: Path) -> None:
    lines = instructions(path)
    [base] = [line for line in lines if line.startswith("FROM")]
    assert re.fullmatch(r"FROM python:\$\{PYTHON_VERSION\}-slim-\w+", base)
    for line in lines:
        assert not line.startswith(("ADD", "MAINTAINER"))
        assert "sudo" not in line
        if "apt-get install" in line:
            assert "--no-install-recommends" in line
            assert "rm -rf /var/lib/apt/lists" in line
        if "pip install" in line and "uv pip" not in line:
            assert "==" in line
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    users = [line for line in lines if line.startswith("USER")]
    assert users == ["USER stvg"]
    assert lines.index("USER stvg") > max(n for n, line in enumerate(lines) if line.startswith(("RUN", "COPY")))
    assert any("--require-hashes -r requirements/base.txt" in line for line in lines)
    assert "RAY_AUTH_MODE=token" in path.read_text()


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {part.split("/")[0] for path in DOCKERFILES for line in instructions(path) if line.startswith("COPY")
              for part in line.split()[1:-1]}  # fmt: skip
    assert kept == copied
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {name for name in packages if (ROOT / name).is_dir()} <= kept


def test_images_and_files_agree_on_python_and_ray() -> None:
    versions = {re.search(r"ARG PYTHON_VERSION=(\S+)", path.read_text())[1] for path in DOCKERFILES}  # type: ignore[index]
    [python] = versions
    assert re.fullmatch(r"3\.(11|12)\.\d+", python), "within requires-python, to the patch: Ray compares all three"
    [cluster] = [made for made in objects() if made["kind"] == "RayCluster"]
    assert cluster["spec"]["rayVersion"] == pinned("ray")


def test_images_are_tagged_and_built_from_files_that_exist() -> None:
    services = compose()["services"]
    built = {service["image"]: service["build"] for service in services.values() if "build" in service}
    for build in built.values():
        assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file()
    named = {service["image"] for service in services.values()}
    named |= {container["image"] for _, pod in templates() for container in pod["containers"]}
    for image in named:
        assert re.search(r":[\w.-]*\d", image), f"{image} has no tag that stays what it is"
    assert {image for image in named if image.startswith("stvg-")} == set(built)


def test_every_variable_has_a_default_or_is_demanded_and_no_secret_has_one() -> None:
    found = re.findall(r"(?<!\$)\$\{(\w+)(:[-?][^}]*)?\}", COMPOSE.read_text())
    assert found
    stated = {name for name, rest in found if rest}
    for name, rest in found:
        assert name in stated, name
        if re.search("PASSWORD|TOKEN|AUTH", name) and rest:
            assert rest.startswith(":?"), f"{name} is a secret: it must be asked for"


def test_published_ports_are_on_loopback() -> None:
    for service in compose()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    for made in objects():
        kind = made["spec"].get("type", made["spec"].get("headGroupSpec", {}).get("serviceType", "ClusterIP"))
        assert kind == "ClusterIP", "nothing is published outside the cluster"


def test_every_service_restarts_and_tells_its_health() -> None:
    for name, service in compose()["services"].items():
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service or name == "deployments", name
        for other in service.get("depends_on", {}):
            assert "healthcheck" in compose()["services"][other]


def test_ray_is_never_started_without_its_token() -> None:
    for name, service in compose()["services"].items():
        if "ray" in name:
            assert service["environment"]["RAY_AUTH_MODE"] == "token"
            assert "RAY_AUTH_TOKEN" in service["environment"]
    for name, pod in templates():
        env = {one["name"]: one for container in pod["containers"] for one in container.get("env", ())}
        if name in {"head", "cpu", "gpu", "deployments"}:
            assert env["RAY_AUTH_MODE"]["value"] == "token"
            assert "secretKeyRef" in env["RAY_AUTH_TOKEN"]["valueFrom"]
        for variable, given in env.items():
            if re.search("PASSWORD|TOKEN|AUTH_STRING", variable):
                assert "secretKeyRef" in given["valueFrom"], f"{variable} is a secret"


def test_pods_are_nobodys_root_and_mount_what_they_declare() -> None:
    for name, pod in templates():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False, name
        declared = {volume["name"] for volume in pod.get("volumes", ())} | {"database"}
        for container in pod["containers"]:
            assert {"requests", "limits"} <= set(container["resources"]), name
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= declared


def test_kubernetes_objects_have_what_their_kinds_require() -> None:
    names = [(made["kind"], made["metadata"]["name"]) for made in objects()]
    assert len(names) == len(set(names))
    for made in objects():
        assert made["apiVersion"] == {"RayCluster": "ray.io/v1", "Service": "v1"}.get(made["kind"], "apps/v1")
        assert set(REQUIRED[made["kind"]]) <= set(made["spec"])
        if "template" in made["spec"]:
            assert made["spec"]["selector"]["matchLabels"] == made["spec"]["template"]["metadata"]["labels"]
    [cluster] = [made["spec"] for made in objects() if made["kind"] == "RayCluster"]
    for group in cluster["workerGroupSpecs"]:
        assert {"groupName", "template", "rayStartParams"} <= set(group)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert [group["groupName"] for group in cluster["workerGroupSpecs"]] == ["cpu", "gpu"]
    assert "nvidia.com/gpu" in cluster["workerGroupSpecs"][1]["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_commands_name_what_the_image_holds() -> None:
    commands = [service["command"] for service in compose()["services"].values() if "command" in service]
    commands += [container["command"] for _, pod in templates() for container in pod["containers"] if "command" in container]
    for command in commands:
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2]) is not None, command
        else:
            assert Path(sys.executable).with_name(command[0]).exists(), command


@pytest.mark.heavy
@pytest.mark.parametrize("command", [["ray", "start"], ["prefect", "server", "start"]], ids=" ".join)
def test_commands_take_the_options_they_are_given(command: list[str]) -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"},
    ).stdout  # fmt: skip
    services = [list(map(str, s["command"])) for s in compose()["services"].values() if s.get("command")]
    given = [given for given in services if given[: len(command)] == command]
    assert given
    for option in (part.split("=")[0] for parts in given for part in parts if part.startswith("--")):
        assert option in told, option


def test_compose_itself_reads_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no 'docker compose' here")
    secrets = {"POSTGRES_PASSWORD": "a", "PREFECT_AUTH": "a:b", "RAY_AUTH_TOKEN": "c"}
    done = subprocess.run([docker, "compose", "--file", COMPOSE, "--profile", "gpu", "config", "--quiet"],
                          env={**os.environ, **secrets}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
