"""Parser of a model's answer: object IDs and a time range, each field on its own.

It accepts the many ways in which models write: brackets and quotes, `s` and `seconds`, `to`, `and`, `-`, minutes and seconds,
several IDs, "no target", an answer without tags. It never guesses: two IDs with "or", two ranges, frame numbers in place of
seconds and a single time are unreadable. Every pattern begins with a literal and is tried once, so that the time is linear in
the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.markers.labels import Style, id_of

Status = Literal["read", "none", "missing", "unreadable"]
"""Result of parsing a field: `read`; `none`, the answer states that there is no target; `missing`, the answer does not mention
the field; `unreadable`, its value is ambiguous or not in a known form."""


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


_TAG = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE | re.ASCII)
_FLAGS = re.IGNORECASE | re.ASCII
_FIELD = re.compile(
    r"\b(?:(?P<ids>target|(?:target|object)[ _]ids?|ids?)|(?P<time>time(?:[ _](?:range|interval|span|period))?))"
    r"\b ?(?:is|are|:|=)",
    _FLAGS,
)
_BRACKETS, _DASHES = "[](){}<>\"'*_`\u201c\u201d\u2018\u2019", "\u2010\u2011\u2012\u2013\u2014\u2212~"
_MARKUP = str.maketrans(dict.fromkeys(_BRACKETS, " ") | dict.fromkeys(_DASHES, "-"))
_EMPTY = re.compile(r"^[\s\[\](){}]*[\[({]\s*[\])}]")
_NOTHING = re.compile(r"(?:there is )?(?:none|null|nothing|n/a|no (?:target|object|one|match)s?|not present)\b", _FLAGS)
_PREFIX = re.compile(r"(?:(?:the|object|person|target|number|letter|label|ids?|and) |#)+", _FLAGS)
_JOIN = re.compile(r" ?(?:[,;&]|and\b) ?(?:and\b ?)?", _FLAGS)
_LABEL = re.compile(r"\d{1,6}(?![\w.]*\d|\w)|[a-z]{1,2}(?!\w)", _FLAGS)
_DOUBT = re.compile(r" ?(?:(?:or|nor|to|of|not|maybe)\b|[-/?]|\.\w)", _FLAGS)
_UNIT = r"(?: ?(?:s|secs?|seconds?)\b\.?)?"
_TIME = r"(?:(\d{1,4}):)?(\d{1,7}(?:\.\d{1,9})?)(?![\d:])"
_RANGE = re.compile(rf"(?:(?:from|between) )?{_TIME}{_UNIT} ?(?:to|and|until|through|-|,) ?{_TIME}{_UNIT}", _FLAGS)
_OTHER_UNIT = re.compile(r" ?(?:%|frames?\b|f\b|ms\b|m\b|mins?\b|minutes?\b|h\b|hours?\b)", _FLAGS)
_DIGIT = re.compile(r"\d", re.ASCII)


def parse_answer(text: str, style: Style = "numbers") -> ParsedAnswer:
    """Parse an answer; no text raises an error.

    Args:
        text: Whole response of the model.
        style: Style of the markers on the frames, which determines the possible labels.
    """
    thought, body, formatted = _parts(text)
    fields = list(_FIELD.finditer(tidy := " ".join(body.split())))
    ends = [*(field.start() for field in fields), len(tidy)][1:]
    ids, spans = [], []
    for field, end in zip(fields, ends, strict=True):
        value = tidy[field.end() : end]
        if field["ids"]:
            ids.append(parse_ids(value, style))
        else:
            spans.append(_parse_span(value))
    object_ids, id_status = ids[0] if len(set(ids)) == 1 else ((), "unreadable" if ids else "missing")
    span_s, span_status = spans[0] if len(set(spans)) == 1 else (None, "unreadable" if spans else "missing")
    return ParsedAnswer(object_ids, id_status, span_s, span_status, thought, formatted, body)


def _parts(text: str) -> tuple[str, str, bool]:
    """Thought, body, and whether the whole text is well formed."""
    tags = [(tag[1] + tag[2].lower(), tag.start(), tag.end()) for tag in _TAG.finditer(text)]
    names = [name for name, _, _ in tags]
    thought, body = "", text
    opened = {name: n for n, name in enumerate(names)}
    if "think" in opened:
        start = tags[opened["think"]][2]
        closing = [first for name, first, _ in tags if name == "/think" and first >= start]
        thought = text[start : closing[0] if closing else len(text)]
        body = text[closing[0] + len("</think>") :] if closing else ""
    elif "/think" in opened:
        body = text[tags[opened["/think"]][2] :]
    if "answer" in opened:
        start = tags[opened["answer"]][2]
        closing = [first for name, first, _ in tags if name == "/answer" and first >= start]
        body = text[start : closing[0] if closing else len(text)]
    whole = text.strip()
    ordered = names == ["think", "/think", "answer", "/answer"]
    between = text[tags[1][2] : tags[2][1]].strip() == "" if ordered else False
    formatted = ordered and between and whole[:7].lower() == "<think>" and whole[-9:].lower() == "</answer>"
    return thought.strip(), body.strip(), formatted


def parse_ids(value: str, style: Style) -> tuple[tuple[int, ...], Status]:
    """Parse a list of object labels, such as `3`, `[1, 2]` or `B and C`.

    Args:
        value: Text that contains nothing but labels.
        style: Style of the markers on the frames, which determines the possible labels.

    Returns:
        Object IDs in the order of the text, each once, and the result of parsing.
    """
    if _EMPTY.match(value):
        return (), "none"
    text = " ".join(value.translate(_MARKUP).split())
    if _NOTHING.match(text):
        return (), "none"
    object_ids: list[int] = []
    position = 0
    while True:
        prefix = _PREFIX.match(text, position)
        label = _LABEL.match(text, prefix.end() if prefix else position)
        object_id = id_of(label[0], style) if label else None
        if label is None or object_id is None:
            break
        object_ids.append(object_id)
        position = label.end()
        join = _JOIN.match(text, position)
        if join is None:
            break
        position = join.end()
    complete = object_ids and _closes(text[position:], style)
    return (tuple(dict.fromkeys(object_ids)), "read") if complete else ((), "unreadable")


def _closes(rest: str, style: Style) -> bool:
    """Whether the text after a list of labels contains no further label."""
    if style in {"numbers", "mix"} and _DIGIT.search(rest):
        return False
    return _DOUBT.match(rest) is None and (style == "numbers" or rest.strip(" .,;") == "")


def _parse_span(value: str) -> tuple[tuple[float, float] | None, Status]:
    text = " ".join(value.translate(_MARKUP).split())
    if _NOTHING.match(text):
        return None, "none"
    match = _RANGE.match(text)
    if match is None:
        return None, "unreadable"
    rest = text[match.end() :]
    if _OTHER_UNIT.match(rest) or _DIGIT.search(rest):
        return None, "unreadable"
    start, end = (60 * float(minutes or 0) + float(seconds) for minutes, seconds in (match.group(1, 2), match.group(3, 4)))
    return (start, end), "read"
