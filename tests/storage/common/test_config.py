from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from storage.common.config import (
    RUNTIME,
    Config,
    ConfigError,
    Located,
    Names,
    changed,
    leaves,
    nested,
    read_config,
    shaping,
    with_defaults,
)


class Memory(Config):
    size_mb: Annotated[int, RUNTIME] = Field(10, ge=0)
    spill: bool = True


class Finder(Config):
    name: Literal["fast", "exact"] = "fast"
    score: float = Field(0.25, ge=0, le=1)
    words: Names = ()
    weights: Annotated[str, RUNTIME] = ""
    memory: Memory = Memory()

    def unused(self) -> frozenset[str]:
        return frozenset({"words"}) if self.name == "fast" else frozenset()


class Parameters(Config):
    videos: Located
    finder: Finder = Field(Finder(name="exact", memory=Memory(size_mb=7)), title="Finder")
    workers: Annotated[int, RUNTIME] = 0


def test_a_group_is_a_mapping_a_name_or_a_model_and_its_other_fields_keep_the_defaults_of_the_field_that_holds_it() -> None:
    assert Parameters(videos="v", finder={"score": 0.5}).finder == Finder(name="exact", score=0.5, memory=Memory(size_mb=7))
    assert Parameters(videos="v", finder={"memory": {"spill": False}}).finder.memory == Memory(size_mb=7, spill=False)
    assert Parameters(videos="v", finder="fast").finder == Finder(name="fast", memory=Memory(size_mb=7))
    assert Parameters(videos="v", finder=Finder()).finder == Finder()
    with pytest.raises(ValidationError, match=r"finder\.score"):
        Parameters(videos="v", finder={"score": 2})
    with pytest.raises(ValidationError, match=r"finder\.scores"):
        Parameters(videos="v", finder={"scores": 1})


def test_only_what_shapes_an_output_is_hashed_and_it_is_read_back_as_itself() -> None:
    exact = Finder(name="exact", words="a, b,, c", weights="x.pt", memory={"size_mb": 3})
    assert exact.words == ("a", "b", "c")
    stored = shaping(exact)
    assert stored == {"name": "exact", "score": 0.25, "words": ["a", "b", "c"], "memory": {"spill": True}}
    assert read_config(Finder, stored, "x.json") == Finder(name="exact", words=("a", "b", "c"))
    assert shaping(Finder(score=1)) == {"name": "fast", "score": 1.0, "memory": {"spill": True}}
    with pytest.raises(ConfigError, match=r"stored in x\.json cannot be read here \(score: .* number"):
        read_config(Finder, {"score": "high"}, "x.json")


def test_values_are_named_by_their_dotted_paths() -> None:
    assert nested({"finder.score": 1, "finder": "fast", "finder.memory.spill": False, "videos": "v"}) == {
        "finder": {"score": 1, "name": "fast", "memory": {"spill": False}},
        "videos": "v",
    }
    parameters = Parameters(videos="v", finder={"words": "a"})
    other = changed(parameters, {"finder.score": "0.5", "finder.memory.size_mb": 1})
    assert other.finder == Finder(name="exact", score=0.5, words=("a",), memory=Memory(size_mb=1))
    assert changed(parameters, {"finder": "fast"}).finder.name == "fast"
    with pytest.raises(ValidationError, match=r"finder\.speed"):
        changed(parameters, {"finder.speed": 1})
    names = [(leaf.name, leaf.default, leaf.group) for leaf in leaves(Parameters)][1:]
    assert names == [
        ("finder", "exact", "Finder"),
        ("finder.score", 0.25, "Finder"),
        ("finder.words", (), "Finder"),
        ("finder.weights", "", "Finder"),
        ("finder.memory.size_mb", 7, "memory"),
        ("finder.memory.spill", True, "memory"),
        ("workers", 0, ""),
    ]


def test_a_subclass_with_other_defaults_keeps_types_bounds_and_marks() -> None:
    other = with_defaults(Parameters, "Other", videos="there", workers=4)
    assert other().videos == "there"
    assert [leaf.default for leaf in leaves(other) if leaf.name == "workers"] == [4]
    assert "workers" not in shaping(other())
    assert "located" in other.model_fields["videos"].metadata
    bounded = with_defaults(Finder, "Bounded", score=0.5)
    with pytest.raises(ValidationError):
        bounded(score=3)
