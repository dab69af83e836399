"""What README and the pages of docs/ show can be typed as it stands: commands parse, Python compiles, every page is found."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from bench.readme import fences

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENDS = {"|", "||", "&&", "&", ";", ">", "<", "\\"}


def commands(text: str) -> list[list[str]]:
    """Words of every `stvg` command in a shell block, comments aside."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for start, word in enumerate(words):
            if Path(word).name == "stvg":
                rest = words[start + 1 :]
                found.append(rest[: next((i for i, w in enumerate(rest) if w in ENDS), len(rest))])
    return found


@pytest.fixture(scope="module")
def stvg() -> object:
    from typer.main import get_command

    from infra.cli import app, register

    register()
    return get_command(app)


def parse(command: object, words: list[str]) -> None:
    """Parse a command as the shell would give it, and run nothing."""
    if hasattr(command, "commands"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        parse(command.commands[words[0]], words[1:])
    elif "--help" not in words:
        command.make_context(command.name, list(words))  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_can_be_typed(page: Path, stvg: object) -> None:
    for fence in fences(page.read_text()):
        if fence.language == "python":
            ast.parse(fence.text)
            continue
        for words in commands(fence.text):
            try:
                parse(stvg, words)
            except Exception as error:  # whatever click says of it
                pytest.fail(f"{page.name}, line {fence.line}: stvg {' '.join(words)}: {error}")


def test_every_block_is_read() -> None:
    """A block that is not fenced as `bench.readme` reads it would be followed by nobody."""
    for page in PAGES:
        opened = re.findall(r"^```(?:sh|bash|shell|python)\b", page.read_text(), re.MULTILINE)
        assert len(opened) == len(fences(page.read_text())), page


def test_every_page_is_in_the_menu() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    menu = set(re.findall(r"[\w/.-]+\.md", str(site["nav"])))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]} == menu
