"""How a sample is put to a model and its answer taken: one request, or times first and then a box a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rl.engines.base import Request, Response, VisualInput
from rl.engines.inputs import round_to_factor
from rl.evaluation.samples import Asked, Clips, ShownError
from rl.models.families import Model
from rl.prompts.answers import parse_answer
from rl.prompts.boxes import parse_box
from rl.prompts.captions import parse_captions
from rl.prompts.templates import Message, prompt_named
from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.benchmarks.samples import Task
from tasks.markers.labels import Style
from tasks.masks.instances import Box


class ProtocolError(InputError):
    """A protocol that does not exist, or asks for what a dataset does not hold."""


@dataclass(frozen=True)
class Protocol:
    """A way to evaluate.

    Attributes:
        name: of the protocol.
        about: one sentence.
        marked: whether frames carry markers.
        prompts: task -> prompt; tasks without one are not asked.
        boxes: whether objects are found by a box a frame, in further requests.
        captions: whether objects are described, once a clip; there is nothing to score then.
    """

    name: str
    about: str
    marked: bool
    prompts: Mapping[Task, str]
    boxes: bool = False
    captions: bool = False

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can ask."""
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
        Protocol("marked", "The paper's: objects are named by the numbers on the frames.", True, _FIGURES),
        Protocol(
            "figures",
            "The same, figure 6 to the letter: no interval is given, no hint that several or none may be meant.",
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


@dataclass
class Taken:
    """What was taken from a sample's replies.

    Attributes:
        object_ids, span_s, answer: as `tasks.metrics.predictions.Prediction` has them.
        boxes: native frame -> box, pixels, half-open, where boxes were asked for.
        captions: object ID -> what is said of it, where objects were to be described.
        ids, span: parse status of each; empty where it was not asked for.
        formatted: whether thought and answer stand in their tags.
        thought: the model's.
        replies: what came back, in the order asked.
        failed: why nothing could be asked or answered; empty if it could.
        passing: whether another try may help.
    """

    object_ids: tuple[int, ...] = ()
    span_s: tuple[float, float] | None = None
    answer: str | None = None
    boxes: dict[int, Box] = field(default_factory=dict)
    captions: dict[int, str] = field(default_factory=dict)
    ids: str = ""
    span: str = ""
    formatted: bool = False
    thought: str = ""
    responses: list[Response] = field(default_factory=list)
    failed: str = ""
    transient: bool = False


class Asker:
    """Puts samples to a model by a protocol: `first` requests, then further ones, then what was taken."""

    def __init__(self, protocol: Protocol, model: Model, clips: Clips, style: Style = "numbers") -> None:
        self._protocol, self._model, self._clips, self._style = protocol, model, clips, style

    def first(self, asked: Asked) -> Request | None:
        """The first request; None where the protocol goes straight to boxes.

        Raises:
            ShownError: the clip cannot be shown.
        """
        if not self._protocol.prompts[asked.task]:
            return None
        visual = self._clips.marked(asked) if self._protocol.marked else self._clips.unmarked(asked)
        preface = frame_times_text(visual) if self._model.family.times == "prompt" else ""
        return Request(asked.sample_id, self.messages(asked, preface), visual)

    def messages(self, asked: Asked, preface: str = "") -> list[Message]:
        """What is said in the first request; `preface` is when the frames were taken, to models that cannot know."""
        query = asked.sentence if not asked.options else _with_options(asked)
        prompt = prompt_named(self._protocol.prompts[asked.task])
        return prompt.messages(query, self._style, asked.span_s, preface=preface)

    def take(self, asked: Asked, response: Response | None) -> Taken:
        """Read the reply to the first request."""
        if response is None:
            return Taken(span_s=asked.span_s, span="given" if asked.span_s else "missing")
        taken = Taken(responses=[response], failed=response.reason, transient=response.transient)
        if taken.failed:
            return taken
        if self._protocol.captions or asked.task is Task.QUESTION:
            taken.answer = response.text.strip()
            taken.captions = parse_captions(response.text, self._style) if self._protocol.captions else {}
            return taken
        read = parse_answer(response.text, self._style)
        taken.formatted, taken.thought = read.formatted, read.thought
        if self._protocol.marked and asked.task.needs_objects:
            taken.object_ids, taken.ids = read.object_ids, read.ids_status
        if asked.task in {Task.SPATIO_TEMPORAL, Task.TEMPORAL}:
            taken.span_s, taken.span = read.span_s, read.span_status
        return taken

    def further(self, asked: Asked, taken: Taken) -> list[Request]:
        """Box requests, one a shown frame of the taken and the true span; none where the protocol asks for no boxes.

        Raises:
            ShownError: a frame cannot be shown.
        """
        if not self._protocol.boxes or taken.span_s is None or asked.span_s is None:
            return []
        common = set(self._clips.frames_between(asked, taken.span_s)) & set(self._clips.frames_between(asked, asked.span_s))
        prompt = prompt_named(self._model.family.box_prompt)
        requests = []
        for frame in (frame for frame in dict.fromkeys(self._clips.indices(asked)) if frame in common):
            visual = self._clips.image(asked, frame)
            messages = prompt.messages(asked.sentence, size=self._seen(visual), medium="image")
            requests.append(Request(f"{asked.sample_id}#{frame}", messages, visual))
        return requests

    def add(self, asked: Asked, taken: Taken, requests: Sequence[Request], responses: Sequence[Response]) -> None:
        """Take the boxes from the replies to `further`."""
        native = self._clips.size(asked)
        for request, response in zip(requests, responses, strict=True):
            taken.responses.append(response)
            taken.failed, taken.transient = taken.failed or response.reason, taken.transient or response.transient
            box = parse_box(response.text, self._model.family.coordinates, self._seen(request.visual), native)
            if box is not None:
                taken.boxes[int(request.key.rpartition("#")[2])] = box

    def _seen(self, visual: VisualInput) -> tuple[int, int]:
        return round_to_factor(visual.size, self._model.family.factor)


def frame_times_text(visual: VisualInput) -> str:
    """When the frames were taken, for models that cannot know."""
    count, times = len(visual.frames), ", ".join(f"{time:.2f}" for time in visual.times_s)
    return f"The video lasts {count / visual.fps:.2f} seconds. Its {count} frames were taken at {times} seconds.\n"


def _with_options(asked: Asked) -> str:
    return "\n".join([asked.sentence, *asked.options, "Answer with the letter of the right option."])


def refused(error: ShownError) -> Taken:
    """What is taken from a sample that cannot be shown."""
    return Taken(failed=f"{error.reason}: {error}")


def style_of(render: Mapping[str, Mapping[str, Style]]) -> Style:
    """What is written on objects, by the `render` parameters in a dataset's manifest."""
    return render["markers"]["style"]


def check_tasks(protocol: Protocol, held: Iterable[Task]) -> None:
    """Make sure that a protocol can ask something of a dataset.

    Raises:
        ProtocolError: the dataset holds none of its tasks.
    """
    there = set(held)
    if not there & protocol.tasks:
        said = ", ".join(sorted(there)) or "nothing to be asked"
        raise ProtocolError(
            f"the protocol '{protocol.name}' asks for {', '.join(sorted(protocol.tasks))}; the dataset holds {said}"
        )
