"""Evaluation protocols by name: the form of the requests of each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.benchmarks.samples import Task


class ProtocolError(InputError):
    """A protocol that does not exist, or asks for what a dataset does not hold."""


@dataclass(frozen=True)
class Protocol:
    """The form of the requests of an evaluation.

    Attributes:
        name: of the protocol.
        about: one sentence.
        marked: whether frames have markers.
        prompts: task -> name of its prompt, empty where boxes are requested at once; samples of other tasks are left out.
        boxes: whether further requests ask for the object's box on each frame.
        captions: whether the objects of each clip are described once, which is not scored.
    """

    name: str
    about: str
    marked: bool
    prompts: Mapping[Task, str]
    boxes: bool = False
    captions: bool = False

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks of which it has requests."""
        return frozenset(self.prompts)


_FIGURES = {
    Task.SPATIO_TEMPORAL: "figure-5",
    Task.SPATIAL: "figure-6-interval",
    Task.TEMPORAL: "figure-7",
    Task.SEGMENTATION: "figure-6-several",
    Task.QUESTION: "question",
}

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "marked",
            "Objects are named by the numbers on the frames; figure 6 with the interval, or with a hint of several or none.",
            True,
            _FIGURES,
        ),
        Protocol(
            "figures",
            "The paper's prompts as printed, which its tables ask: figures 5, 6 and 7 to the letter.",
            True,
            _FIGURES | {Task.SPATIAL: "figure-6", Task.SEGMENTATION: "figure-6"},
        ),
        Protocol("released", "The released code's prompt.", True, {Task.SPATIO_TEMPORAL: "released"}),
        Protocol(
            "unmarked",
            "Frames without markers: times alone, and questions.",
            False,
            {
                Task.SPATIO_TEMPORAL: "unmarked-time",
                Task.TEMPORAL: "unmarked-time",
                Task.QUESTION: "unmarked-question",
            },
        ),
        Protocol(
            "two-stage",
            "The zero-shot baseline: times first, then a box on each shown frame of predicted and true span.",
            False,
            {Task.SPATIO_TEMPORAL: "unmarked-time", Task.SPATIAL: ""},
            boxes=True,
        ),
        Protocol(
            "caption",
            "Every person by object ID, once a clip; descriptions are kept, not scored.",
            True,
            dict.fromkeys(Task, "caption"),
            captions=True,
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        ProtocolError: there is none of this name.
    """
    return one_of(PROTOCOLS, name, "protocol", ProtocolError)


def check_tasks(protocol: Protocol, tasks: Iterable[Task]) -> None:
    """Make sure that a protocol has requests for a dataset.

    Args:
        protocol: of the evaluation.
        tasks: of the dataset's samples.

    Raises:
        ProtocolError: the dataset has no sample of its tasks.
    """
    present = set(tasks)
    if not present & protocol.tasks:
        named = ", ".join(sorted(present)) or "nothing to be asked"
        raise ProtocolError(
            f"the protocol '{protocol.name}' asks for {', '.join(sorted(protocol.tasks))}; the dataset holds {named}"
        )
