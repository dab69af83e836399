"""The shape of the house: names, layers, pins, and what must never be committed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "infra", "rl", "tasks", "storage")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\0")
    if not any(names):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if name]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_from_the_checkout(package: str) -> None:
    site = Path(sysconfig.get_paths()["purelib"])
    assert not (site / package).exists(), f"site-packages holds a stranger named {package}"
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin == str(ROOT / package / "__init__.py")


def test_tests_are_never_imported() -> None:
    pattern = re.compile(r"^\s*(from|import) tests\b", re.MULTILINE)
    assert [p for p in ROOT.glob("*/**/*.py") if ".venv" not in p.parts and pattern.search(p.read_text())] == []


def test_layers_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_pins_have_hashes_and_no_addresses() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text, path
        pins = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)


def test_pins_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = (ROOT / "requirements" / "base.txt").read_text().lower()
    cluster = (ROOT / "requirements" / "cluster.txt").read_text().lower()
    for requirement in project["dependencies"]:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        assert re.search(rf"^{re.escape(name[0].lower())}(\[.*\])?==", base, re.MULTILINE), requirement
    assert "vllm==" in cluster
    assert "vllm==" not in base


def test_nothing_private_is_committed() -> None:
    forbidden = re.compile(r"/work/|/root/|files\.pythonhosted|pypi\.org|deb\.debian|registry\.npmjs")
    assert "uv.lock" not in {path.name for path in tracked()}
    for path in tracked():
        if (
            path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".json", ".html", ""}
            and path != Path(__file__)
            and path.is_file()
        ):
            assert not forbidden.search(path.read_text(errors="ignore")), path


def test_files_stay_small() -> None:
    long = {
        path.name: n for p in PACKAGES for path in (ROOT / p).rglob("*.py") if (n := len(path.read_text().splitlines())) > 250
    }
    assert long == {}, "what are these files hiding?"
