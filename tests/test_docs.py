"""What README and the pages of docs/ show can be typed as it stands: commands parse, Python compiles, every page is found."""

from __future__ import annotations

import ast
import json
import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.readme import fences
from flows.register import registrations
from infra.cli.app import app
from infra.cli.lazy import LazyGroup
from tasks.benchmarks.samples import AnnotationError
from tasks.detection.base import DetectorConfig
from tasks.metrics.tubes import Case, Tube
from tasks.video.reader import Source, open_video

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENDS = {"|", "||", "&&", "&", ";", ">", "<", "\\"}


def commands(text: str, program: str = "stvg") -> list[list[str]]:
    """Words of every command of a program in a shell block, comments aside."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for start, word in enumerate(words):
            if Path(word).name == program:
                rest = words[start + 1 :]
                found.append(rest[: next((i for i, w in enumerate(rest) if w in ENDS), len(rest))])
    return found


@pytest.fixture(scope="module")
def stvg() -> Any:
    return app()


def parse(command: Any, words: list[str]) -> None:
    """Parse a command as the shell would give it, and run nothing."""
    if isinstance(command, LazyGroup):
        assert words[0] in command.entries, f"there is no command {words[0]}"
        parse(command.load(words[0]), words[1:])
    elif "--help" not in words:
        command.make_context(command.name, list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_can_be_typed(page: Path, stvg: Any) -> None:
    for fence in fences(page.read_text()):
        if fence.language == "python":
            ast.parse(fence.text)
            continue
        for words in commands(fence.text):
            try:
                parse(stvg, words)
            except Exception as error:  # whatever click says of it
                pytest.fail(f"{page.name}, line {fence.line}: stvg {' '.join(words)}: {error}")


def test_deployments_that_are_shown_exist_and_take_what_they_are_given() -> None:
    blocks = [fence.text for page in PAGES for fence in fences(page.read_text()) if fence.language == "sh"]
    shown = [words for text in blocks for words in commands(text, "prefect")]
    runs = [words[2:] for words in shown if words[:2] == ["deployment", "run"]]
    assert runs
    for name, *rest in runs:
        assert name in registrations()
        given = {after.partition("=")[0] for before, after in pairwise(rest) if before == "--param"}
        assert given <= set(registrations()[name].form.model_fields), name


def test_every_block_is_read() -> None:
    """A block that is not fenced as `bench.readme` reads it would be followed by nobody."""
    for page in PAGES:
        opened = re.findall(r"^```(?:sh|bash|shell|python)\b", page.read_text(), re.MULTILINE)
        assert len(opened) == len(fences(page.read_text())), page


def test_every_page_is_in_the_menu() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    menu = set(re.findall(r"[\w/.-]+\.md", str(site["nav"])))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]} == menu


def test_the_map_of_readme_is_of_this_tree() -> None:
    _, _, told = (ROOT / "README.md").read_text().partition("## Where things are")
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", told.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) > 10
    for places, what in rows:
        folders = [ROOT / place for place in re.findall(r"`([^`]+)`", places)]
        assert all(folder.exists() for folder in folders), places
        for name in re.findall(r"`([a-z_]+)`", what.replace("`stvg`", "")):
            assert any((folder / f"{name}.py").exists() or (folder / name).is_dir() for folder in folders), f"{places}: {name}"


def shown_in(page: str, *names: str) -> dict[str, Any]:
    """What the Python blocks of a page define, beside the given modules' names."""
    space: dict[str, Any] = {}
    for name in names:
        space |= vars(import_module(name))
    for fence in fences((ROOT / "docs" / page).read_text()):
        exec(fence.text, space)
    return space


def test_the_detector_of_the_how_to_finds_what_is_coloured(square_clip: Path) -> None:
    made = shown_in("how-to/detector.md")["VividDetector"](DetectorConfig(name="motion"))
    video = open_video(Source("a", square_clip))
    [[first], [later]] = made.detect(video, [0, 30])
    assert first.category == "colour"
    assert first.box != later.box, "the squares move"


def test_the_adapter_of_the_how_to_reads_and_refuses(tmp_path: Path, square_clip: Path) -> None:
    read = shown_in("how-to/dataset.md")["read_shots"]
    shots = tmp_path / "shots.json"
    record = {"video": square_clip.name, "text": "It moves.", "from": 0.5, "to": 1}
    shots.write_text(json.dumps([record]))
    [job] = read(shots, square_clip.parent).jobs
    [sample] = job.samples
    assert (sample.sentence, sample.start_s, sample.end_s) == ("It moves.", 0.5, 1.0)
    shots.write_text(json.dumps([{**record, "from": "soon"}]))
    with pytest.raises(AnnotationError, match="record 0"):
        read(shots, square_clip.parent)


def test_the_convention_of_the_how_to_scores() -> None:
    rule = shown_in("how-to/metric.md", "tasks.metrics.conventions")["truth_alone"]
    true, found = (Tube(start, 9, np.arange(start, 10), np.tile([0.0, 0, 4, 4], (10 - start, 1))) for start in (0, 5))
    assert tuple(rule(Case("a", 10, 10, true, found)))[:2] == (0.5, 0.5)
