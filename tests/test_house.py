"""The shape of the house: names, layers, pins, and what must never be committed."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from bench import house

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
    assert [path for path in tracked() if path.suffix == ".py" and pattern.search(path.read_text())] == []


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


BANNED = {
    "told": "record, message, reason",
    "asked": "requested, samples, queries",
    "said": "response, message, text",
    "found": "detections, matches, result",
    "made": "created, built, result",
    "taken": "selected, occupied, result",
    "shown": "rendered, marked, visible",
    "held": "cached, stored, locked",
    "there": "existing, present, indices",
    "standing": "status",
    "ran": "result",
    "lack": "missing, unavailable",
    "at_hand": "cached, local",
    "wanted": "requested, selected",
    "usual": "default, typical",
    "beside": "adjacent, additional",
}
"""Part of an identifier -> terms to use instead, by what it names."""
BANNED_EXCEPTIONS = {"held_out", "held_out_names"}
"""Identifiers in which the word is the field's own: a held-out split."""
BANNED_FIELDS = {
    "infra/cli/doctor.py": {"found"},
    "infra/doctor/findings.py": {"found"},
    "rl/training/records.py": {"shown"},
    "storage/rows.py": {"found_at"},
}
"""File -> stored fields whose names older files and readers of `--json` know."""


TWO_DEFINITIONS = {
    "main": "entry point of a program",
    "run": "a family's main flow; the program's entry point",
    "job": "Prefect shows a task by its function's name; a command has its function's name",
    "frames": "Prefect shows a task by its function's name",
    "publish": "Prefect shows a task by its function's name",
    "preview": "Prefect shows a task by its function's name; a command has its function's name",
    "replay": "a command has its function's name",
    "requeue": "a command has its function's name",
    "read": "protocol of import formats",
    "places": "protocol of import formats",
    "write": "protocol of export formats",
}
"""Public function or class that several modules define -> why."""


def test_identifiers_use_the_terms_of_the_field() -> None:
    assert set(BANNED) == set(house.BANNED)
    uses = {
        path.relative_to(ROOT).as_posix(): names
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if (names := set(filter(house.is_banned, house.identifiers(ast.parse(path.read_text())))) - BANNED_EXCEPTIONS)
    }
    assert uses == BANNED_FIELDS, f"use {BANNED}"


def test_one_name_means_one_thing() -> None:
    """Public functions and classes at the top of modules; rl/learn, a second trainer for demonstrations, stands apart."""
    modules: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    modules.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    doubles = {
        name: paths
        for name, paths in modules.items()
        if name not in TWO_DEFINITIONS and sum(not path.startswith("rl/learn/") for path in paths) > 1
    }
    assert doubles == {}
    assert [name for name in TWO_DEFINITIONS if len(modules.get(name, ())) < 2] == [], "an exception that nothing needs"
