from __future__ import annotations

import pytest
import typer
from pydantic import Field, ValidationError
from typer.testing import CliRunner

from infra.cli.flags import flag, options, sentence
from storage.common.config import Config, Names


class Marks(Config):
    name: str = Field("numbers", title="Style", description="What is written on an object.")
    size_px: float = Field(20, ge=5, le=80, title="Size", description="Font size in pixels.")
    bold: bool = Field(False, title="Bold", description="Draw thick strokes.")
    only: Names = Field((), title="Only", description="Categories that are marked, comma-separated.")


class Two(Config):
    size: int = Field(3, ge=1, title="Size", description="Number of videos.")
    videos: str = Field(title="Videos", description="Folder of the videos.")
    marks: Marks = Field(Marks(size_px=30), title="Marks", description="How objects are marked.")


def app() -> typer.Typer:
    made = typer.Typer()

    @made.command()
    @options(Two)
    def show(parameters: Two, loud: bool = False) -> None:
        print(parameters.model_dump_json(), loud)

    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app(), list(arguments), env={"COLUMNS": "160"})
    return result.output + (repr(result.exception) if result.exception else "")


def test_a_command_has_a_flag_for_every_field_of_every_group() -> None:
    usual = Two(videos="v")
    assert run("v") == f"{usual.model_dump_json()} False\n"
    marks = Marks(name="letters", size_px=40, bold=True, only=("dog", "cat"))
    given = ["--marks", "letters", "--marks.size-px", "40", "--marks.bold", "--marks.only", "dog, cat", "--size", "2", "--loud"]
    assert run("v", *given) == f"{Two(videos='v', size=2, marks=marks).model_dump_json()} True\n"
    assert '"bold":false' in run("v", "--no-marks.bold")
    assert "No such option: --marks.colour" in run("v", "--marks.colour", "red")


def test_help_shows_groups_sentences_defaults_and_bounds() -> None:
    shown = " ".join(run("--help").split())
    for text in ("Font size in pixels.", "--marks.size-px", "default: 30", "5<=x<=80", "Marks"):
        assert text in shown


def test_an_error_names_the_flag() -> None:
    assert flag(("marks", "name")) == "--marks"
    with pytest.raises(ValidationError) as caught:
        Two.model_validate({"videos": "v", "marks": {"size_px": "large"}})
    assert sentence(caught.value).startswith("--marks.size-px: Input should be a valid number")
