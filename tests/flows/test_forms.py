from __future__ import annotations

import inspect
import json

import pytest
from prefect.utilities.schema_tools.validation import is_valid_schema, validate
from pydantic import Field, ValidationError

from flows.forms import form, takes
from storage.common.config import Config


class Marks(Config):
    name: str = Field("numbers", title="Style", description="What is written on an object.")
    size: float = Field(20, ge=5, le=80, title="Size", description="Font size.")


class Two(Config):
    size: int = Field(3, ge=1, le=9, title="Size", description="Number of videos.")
    marks: Marks = Field(Marks(size=30), title="Marks", description="How objects are marked.")
    videos: str = Field(title="Videos", description="Folder of the videos.")


@takes(Two)
def called(parameters: Two) -> Two:
    return parameters


def test_a_flow_takes_the_fields_of_its_model_required_ones_first() -> None:
    assert list(inspect.signature(called).parameters) == ["videos", "size", "marks"]
    assert called(videos="v", marks={"name": "letters"}) == Two(videos="v", marks=Marks(name="letters", size=30))
    with pytest.raises(ValidationError):
        called(videos="v", size=0)


def test_a_form_shows_groups_as_objects_with_the_defaults_of_the_model() -> None:
    schema = form(Two).model_dump()
    is_valid_schema(schema)
    assert [(name, shown["position"]) for name, shown in schema["properties"].items()] == [
        ("videos", 0),
        ("size", 1),
        ("marks", 2),
    ]
    marks = schema["properties"]["marks"]
    assert (marks["type"], marks["title"], marks["description"]) == ("object", "Marks", "How objects are marked.")
    assert marks["properties"]["size"]["default"] == marks["default"]["size"] == 30
    assert marks["properties"]["size"]["description"] == "Font size. (from 5 to 80)"
    assert "$ref" not in json.dumps(schema)
    assert validate({"videos": "v", "marks": {"size": 10}}, schema) == []
    assert validate({"videos": "v", "marks": {"size": 100}}, schema) != []
