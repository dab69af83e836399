"""Requests of samples by a protocol, and the parsing of their responses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import NamedTuple

from rl.engines.base import Request, Response, VisualInput
from rl.engines.inputs import round_to_factor
from rl.evaluation.protocols import Protocol
from rl.evaluation.samples import ClipError, Clips, EvalSample
from rl.models.families import Model
from rl.prompts.answers import Field, parse_answer
from rl.prompts.boxes import parse_box
from rl.prompts.captions import parse_captions
from rl.prompts.tags import split_response
from rl.prompts.templates import Message, prompt_named
from tasks.benchmarks.samples import Task
from tasks.markers.labels import Style
from tasks.masks.instances import Box


@dataclass
class ParsedResponse:
    """Everything that was parsed from the responses to one sample.

    Attributes:
        object_ids, span_s, answer: as `tasks.metrics.predictions.Prediction` has them.
        boxes: native frame -> box, pixels, half-open, where boxes were requested.
        captions: object ID -> its description, where descriptions were requested.
        ids_status, span_status: status of parsing each; empty where it was not requested.
        formatted: whether thought and answer are in their tags.
        thought: of the model.
        responses: in the order of their requests.
        failure: reason why there is no request or no response; empty if there is.
        transient: whether another attempt may succeed.
    """

    object_ids: tuple[int, ...] = ()
    span_s: tuple[float, float] | None = None
    answer: str | None = None
    boxes: dict[int, Box] = field(default_factory=dict)
    captions: dict[int, str] = field(default_factory=dict)
    ids_status: str = ""
    span_status: str = ""
    formatted: bool = False
    thought: str = ""
    responses: list[Response] = field(default_factory=list)
    failure: str = ""
    transient: bool = False


class BoxRequest(NamedTuple):
    """A request for the object's box on one frame.

    Attributes:
        frame: native index, 0-based.
        request: with the frame as its image.
    """

    frame: int
    request: Request


class Requester:
    """Makes the requests of samples by a protocol, and parses their responses."""

    def __init__(self, protocol: Protocol, model: Model, clips: Clips, style: Style = "numbers") -> None:
        """Make requests for a model.

        Args:
            protocol: the form of the requests.
            model: whose family shapes prompts and images.
            clips: frames of the dataset.
            style: of the markers on the frames.
        """
        self._protocol, self._model, self._clips, self._style = protocol, model, clips, style

    def first_request(self, sample: EvalSample) -> Request | None:
        """The first request of a sample; None where the protocol begins with boxes.

        Raises:
            ClipError: the clip cannot be shown.
        """
        if not self._protocol.prompts[sample.task]:
            return None
        visual = self._clips.marked(sample) if self._protocol.marked else self._clips.unmarked(sample)
        preface = frame_times_text(visual) if self._model.family.times == "prompt" else ""
        return Request(sample.sample_id, self.messages(sample, preface), visual)

    def messages(self, sample: EvalSample, preface: str = "") -> list[Message]:
        """Chat messages of the first request.

        Args:
            sample: to be answered.
            preface: the times of the frames, for families that do not know them otherwise.
        """
        query = sample.sentence if not sample.options else _with_options(sample)
        prompt = prompt_named(self._protocol.prompts[sample.task])
        return prompt.messages(query, self._style, sample.span_s, preface=preface)

    def parse(self, sample: EvalSample, response: Response | None) -> ParsedResponse:
        """Parse the response to the first request.

        Args:
            sample: that was requested.
            response: None where the protocol begins with boxes.
        """
        if response is None:
            return ParsedResponse(span_s=sample.span_s, span_status="given" if sample.span_s else "missing")
        parsed = ParsedResponse(responses=[response], failure=response.reason, transient=response.transient)
        if parsed.failure:
            return parsed
        if self._protocol.captions:
            parsed.answer, parsed.captions = response.text.strip(), parse_captions(response.text, self._style)
            return parsed
        if sample.task is Task.QUESTION:
            parts = split_response(response.text)
            parsed.answer, parsed.thought, parsed.formatted = parts.body, parts.thought, parts.formatted
            return parsed
        answer = parse_answer(response.text, self._style, self._fields(sample.task))
        parsed.formatted, parsed.thought = answer.formatted, answer.thought
        if self._protocol.marked and sample.task.needs_objects:
            parsed.object_ids, parsed.ids_status = answer.object_ids, answer.ids_status
        if sample.task in {Task.SPATIO_TEMPORAL, Task.TEMPORAL}:
            parsed.span_s, parsed.span_status = answer.span_s, answer.span_status
        return parsed

    def _fields(self, task: Task) -> list[Field]:
        """Fields that the prompt of a task requests."""
        ids: list[Field] = ["ids"] if self._protocol.marked and task.needs_objects else []
        return [*ids, "span"] if task in {Task.SPATIO_TEMPORAL, Task.TEMPORAL} else ids

    def box_requests(self, sample: EvalSample, parsed: ParsedResponse) -> list[BoxRequest]:
        """A request for each rendered frame of both the predicted and the true span; none where the protocol has no boxes.

        Args:
            sample: that was requested.
            parsed: from the first response.

        Raises:
            ClipError: a frame cannot be shown.
        """
        if not self._protocol.boxes or parsed.span_s is None or sample.span_s is None:
            return []
        spans = (set(self._clips.frames_between(sample, span_s)) for span_s in (parsed.span_s, sample.span_s))
        common = set.intersection(*spans)
        prompt = prompt_named(self._model.family.box_prompt)
        requests = []
        for frame in (frame for frame in dict.fromkeys(self._clips.indices(sample)) if frame in common):
            visual = self._clips.image(sample, frame)
            messages = prompt.messages(sample.sentence, size=self._seen_size(visual), medium="image")
            requests.append(BoxRequest(frame, Request(f"{sample.sample_id}#{frame}", messages, visual)))
        return requests

    def add_boxes(
        self, sample: EvalSample, parsed: ParsedResponse, requests: Sequence[BoxRequest], responses: Sequence[Response]
    ) -> None:
        """Add the boxes of responses to what was parsed.

        Args:
            sample: that was requested.
            parsed: to be completed.
            requests: some of `box_requests`.
            responses: one a request, in the same order.
        """
        native = self._clips.size(sample)
        for (frame, request), response in zip(requests, responses, strict=True):
            parsed.responses.append(response)
            parsed.failure, parsed.transient = parsed.failure or response.reason, parsed.transient or response.transient
            box = parse_box(response.text, self._model.family.coordinates, self._seen_size(request.visual), native)
            if box is not None:
                parsed.boxes[frame] = box

    def _seen_size(self, visual: VisualInput) -> tuple[int, int]:
        return round_to_factor(visual.size, self._model.family.factor)


def frame_times_text(visual: VisualInput) -> str:
    """Times of the frames as a line of a prompt, for families that do not know them otherwise."""
    count, times = len(visual.frames), ", ".join(f"{time:.2f}" for time in visual.times_s)
    return f"The video lasts {count / visual.fps:.2f} seconds. Its {count} frames were taken at {times} seconds.\n"


_LETTERED = re.compile(r"\(?[A-Z] ?[.):]")


def lettered_options(options: Sequence[str]) -> list[str]:
    """Choices with their letters, `A. ...`; choices that all have one stay as they are."""
    if all(_LETTERED.match(option) for option in options):
        return list(options)
    return [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]


def _with_options(sample: EvalSample) -> str:
    return "\n".join([sample.sentence, *lettered_options(sample.options), "Answer with the letter of the right option."])


def clip_failure(error: ClipError) -> ParsedResponse:
    """The outcome of a sample whose clip cannot be shown."""
    return ParsedResponse(failure=f"{error.reason}: {error}")
