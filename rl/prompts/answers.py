"""Parser of a model's answer: object IDs and a time range, each field on its own.

It accepts the many ways in which models write: markdown, JSON, tables, numbered lists, other field names, `Start time` and
`End time`, answers without tags or without field names. It never guesses: a value that could mean two things is unreadable.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from rl.prompts.tags import split_response
from rl.prompts.values import Ids, Span, Status, bare_span, parse_ids, parse_span
from tasks.markers.labels import Style

__all__ = ["BOTH", "Field", "ParsedAnswer", "Status", "parse_answer", "parse_ids"]

V = TypeVar("V")
Field = Literal["ids", "span"]
BOTH: tuple[Field, ...] = ("ids", "span")


@dataclass(frozen=True)
class ParsedAnswer:
    """Fields of an answer.

    Attributes:
        object_ids: Object IDs in the order of the text, each once.
        ids_status: Result of parsing the object IDs.
        span_s: (start, end) in seconds of the clip, as stated, possibly reversed; None if it was not read.
        span_status: Result of parsing the time range.
        thought: Last text between <think> tags; empty without one.
        formatted: Whether the text is exactly a thought and an answer in their tags (r_f of equation 6).
        body: Text that the fields were parsed from: the last <answer>, or else the text after the thought.
    """

    object_ids: tuple[int, ...]
    ids_status: Status
    span_s: tuple[float, float] | None
    span_status: Status
    thought: str
    formatted: bool
    body: str


def parse_answer(text: str, style: Style = "numbers", fields: Collection[Field] = BOTH) -> ParsedAnswer:
    """Parse an answer; no text raises an error.

    Args:
        text: Whole response of the model.
        style: Style of the markers on the frames, which determines the possible labels.
        fields: Fields that the prompt requests; only these may stand in the answer without their name.
    """
    parts = split_response(text)
    requested = None if parts.cut or style != "numbers" else _REQUESTED.fullmatch(parts.body)
    if requested is not None:
        return ParsedAnswer(
            object_ids=(int(requested[1]),),
            ids_status="read",
            span_s=(float(requested[2]), float(requested[3])),
            span_status="read",
            thought=parts.thought,
            formatted=parts.formatted,
            body=parts.body,
        )
    tidy = _tidy(parts.body)
    values = _field_values(tidy)
    span_s, span_status = _span_of(values, tidy, fields)
    object_ids, ids_status = _ids_of(values, tidy, style, fields)
    if parts.cut and tidy[-1:].isalnum():
        # The last value may lack its end.
        if values and values[-1].kind == "ids" and ids_status == "read":
            object_ids, ids_status = (), "unreadable"
        elif values and values[-1].kind in {"time", "end"} and span_status == "read":
            span_s, span_status = None, "unreadable"
    return ParsedAnswer(
        object_ids=object_ids,
        ids_status=ids_status,
        span_s=span_s,
        span_status=span_status,
        thought=parts.thought,
        formatted=parts.formatted,
        body=parts.body,
    )


_SECONDS = r"([0-9]{1,7}(?:\.[0-9]{1,9})?)(?: ?(?:s|seconds))?"
_REQUESTED = re.compile(
    rf"Target ID: ?\[?([1-9][0-9]{{0,5}})\]?[,;]?\s{{1,3}}Time range: ?\[?{_SECONDS} (?:to|-) {_SECONDS}\]?\.?"
)
"""The form that the prompts request, which needs no further look; the general parser reads it in the same way."""
_FENCE = re.compile(r"```\w*|\\boxed")
_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*+\u2022]|#{1,6})[ \t]+(?=[*_A-Za-z])", re.MULTILINE)
_WORDS = {
    "\u76ee\u6807": "target ", "\u65f6\u95f4\u8303\u56f4": " time range", "\u65f6\u95f4": " time",
    "\u79d2": " s ", "\u5230": " to ", "\u81f3": " to ",
}  # fmt: skip
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u2018\u2019", '"'))


def _tidy(body: str) -> str:
    """The answer on one line, without markup; line breaks that separate values become semicolons."""
    if not body.isascii():
        body = unicodedata.normalize("NFKC", body).translate(_QUOTES)
        body = "".join(_plain(c) for c in body)
        for word, plain in _WORDS.items():
            body = body.replace(word, plain)
    body = _ITEM.sub("", _FENCE.sub(" ", body))
    lines = [" ".join(line.split()) for line in body.splitlines()]
    table = [line for line in lines if line.startswith("|")]
    if len(table) >= 3:
        return _row_of(table)
    text = " ; ".join(line for line in lines if line)
    return " ".join(text.replace("*", "").replace("`", "").replace("_", " ").split())


def _plain(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return "" if kind in {"Cf", "Mn", "Me"} else character


def _row_of(table: list[str]) -> str:
    """The first row of a markdown table as `header: value` pairs."""
    rows = [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in table]
    return ", ".join(f"{name}: {value}" for name, value in zip(rows[0], rows[2], strict=False))


class _Value(NamedTuple):
    """A field's text; `weak` for names such as `target`, which may also describe an object."""

    kind: str
    text: str
    weak: bool
    start: int


_TIME_NAME = r"(?:time|temporal)[ -]?(?:ranges?|intervals?|spans?|periods?|windows?|segments?|stamps?)?"
_OTHER_WORD = r"(?!target|object|ids?\b|time|temporal|start|end)[a-z]"
_FIELD = re.compile(
    r"(?<![a-z])(?:(?P<ids>(?:target|object)(?: ?object)?[ ]?ids?|ids?)|(?P<weak>target(?: object)?|object)|"
    r"(?P<start>start(?:s|ing)?(?: time)?)|(?P<end>end(?:s|ing)?(?: time)?)|"
    rf"(?P<time>{_TIME_NAME})|(?P<other>{_OTHER_WORD}{{3,20}}(?: {_OTHER_WORD}{{2,20}}){{0,2}}(?= ?[:=])))"
    r"(?: ?\((?:s|secs?|seconds?)\))?[\"']?(?: ?(?:[:=]|\bis\b|\bare\b)|(?P<at>(?= ?[\[#\d])))",
    re.IGNORECASE | re.ASCII,
)


def _field_values(text: str) -> list[_Value]:
    """Named fields in the order of the text, each with the text up to the next one."""
    matches = list(_FIELD.finditer(text))
    if any(match["ids"] and match["at"] is None for match in matches):  # `object 2` is part of an ID field's value then
        matches = [match for match in matches if not (match["weak"] or (match["ids"] and match["at"] is not None))]
    matches = [match for match in matches if match["at"] is None or not (match["start"] or match["end"] or match["other"])]
    ends = [*(match.start() for match in matches), len(text)][1:]
    return [
        _Value(_kind(match), text[match.end() : end].strip(" ,;|/"), bool(match["weak"] or match["at"]), match.start())
        for match, end in zip(matches, ends, strict=True)
    ]


def _kind(match: re.Match[str]) -> str:
    return "ids" if match["weak"] else next(kind for kind in ("ids", "start", "end", "time", "other") if match[kind])


def _ids_of(values: list[_Value], text: str, style: Style, fields: Collection[Field]) -> Ids:
    strong = [value for value in values if value.kind == "ids" and not value.weak]
    candidates = strong or [value for value in values if value.kind == "ids"]
    parsed = [parse_ids(_before_span(value.text), style) for value in candidates if value.text or len(candidates) == 1]
    if not parsed:
        return _bare_ids(values, text, style) if "ids" in fields and not values else ((), "missing")
    return _one_of(parsed, ((), "unreadable"))


_RANGE_BEGINS = re.compile(
    r"[, ] ?(?:from |between )?\d{1,7}(?:\.\d{1,9})? ?(?:s|secs?|seconds?)? ?(?:to|-|until|and) ?\d", re.ASCII
)


def _before_span(value: str) -> str:
    match = _RANGE_BEGINS.search(value)
    return value[: match.start()] if match and "." in match[0] else value


_BARE_LABEL = re.compile(r"(?:object |person |id ?|#)?\d", re.IGNORECASE | re.ASCII)
_LONGEST_LABEL = 20


def _bare_ids(values: list[_Value], text: str, style: Style) -> Ids:
    """A label that stands alone or before a time range, without a field name."""
    label = _before_span(f"{text} ").strip(" ,;[](){}\"'.")
    if not label or len(label) > _LONGEST_LABEL or (style == "numbers" and not _BARE_LABEL.match(label)):
        return (), "missing"
    parsed = parse_ids(label, style)
    return parsed if parsed[1] == "read" else ((), "missing")


def _span_of(values: list[_Value], text: str, fields: Collection[Field]) -> Span:
    times = [parse_span(_with_ends(values, n)) for n, value in enumerate(values) if value.kind == "time"]
    if times:
        return _one_of(times, (None, "unreadable"))
    starts, ends = ([value.text for value in values if value.kind == kind] for kind in ("start", "end"))
    if starts and ends:
        return _one_of([parse_span(f"{a} to {b}") for a, b in zip(starts, ends, strict=False)], (None, "unreadable"))
    if "span" not in fields:
        return None, "missing"
    remainders = [value.text[len(_before_span(value.text)) :] for value in values if value.kind == "ids"]
    bare = bare_span(" ; ".join([text[: values[0].start] if values else text, *remainders]))
    return bare if bare[1] == "read" else (None, "missing")


_EDGES = " [](){},;-\"'"


def _with_ends(values: list[_Value], number: int) -> str:
    """The text of a time field with the starts and ends that follow it."""
    parts = [values[number].text]
    for following in range(number + 1, len(values)):
        if values[following].kind not in {"start", "end"}:
            break
        parts.append(values[following].text)
    if len(parts) == 1:
        return parts[0]
    return " to ".join(part for part in (text.strip(_EDGES).removesuffix(" to").strip(_EDGES) for text in parts) if part)


def _one_of(parsed: Sequence[tuple[V, Status]], unreadable: tuple[V, Status]) -> tuple[V, Status]:
    """The value that the readings of one field agree on; those without a value do not count beside one."""
    reads = list(dict.fromkeys(each for each in parsed if each[1] == "read"))
    if len(reads) == 1:
        return reads[0]
    return parsed[0] if not reads and all(status == "none" for _, status in parsed) else unreadable
