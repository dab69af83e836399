from __future__ import annotations

from pathlib import Path

from infra.cli.reference import commands_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "commands.md"


def test_the_commands_are_as_they_were() -> None:
    """The command line is a public surface: a change shows in review as a change of its page."""
    assert PAGE.read_text() == commands_page(), f"if wanted: python -m infra.cli.reference > {PAGE}"
