"""Events that the driver of a training prints between verl's lines, one JSON object per line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rl.verl.metrics import StepMetrics


class StepEvent(BaseModel):
    """An update of the weights has ended.

    Attributes:
        metrics: of the step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Literal["step"] = "step"
    metrics: StepMetrics


class EndEvent(BaseModel):
    """The training has ended and its model is published.

    Attributes:
        folder: of the training.
        steps: updates of the weights.
        sha256: hash of the model's files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Literal["end"] = "end"
    folder: str
    steps: int
    sha256: str


DriverEvent = StepEvent | EndEvent
_ADAPTER: TypeAdapter[DriverEvent] = TypeAdapter(Annotated[DriverEvent, Field(discriminator="event")])


def print_driver_event(event: DriverEvent) -> None:
    """Print an event as one line of its own."""
    print(event.model_dump_json(exclude_none=True), flush=True)


def parse_event(line: str) -> DriverEvent | None:
    """The event in a line of the driver's output; None in a line of verl's."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None
