"""What a model answered: object IDs and a time range, each field read on its own.

Tolerant of how models write: brackets and quotes, `s` and `seconds`, `to`, `and`, `-`, minutes and seconds, several IDs, "no
target", an answer without tags. Strict about what it cannot know: two IDs with "or", two ranges, frames for seconds, one time
alone are unreadable, not guessed. Every pattern begins with a literal and is tried once, so that time is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.markers.labels import Style, id_of

Status = Literal["read", "none", "missing", "unreadable"]
"""`none`: the answer says that there is no target; `missing`: it does not speak of the field; `unreadable`: it does, and one
cannot know what is meant."""


@dataclass(frozen=True)
class Answer:
    """An answer by field.

    Attributes:
        object_ids: in the order named, each once.
        ids: how that went.
        span_s: seconds of the clip as stated, also if reversed.
        span: how that went.
        thought: the last text between <think> tags, empty without.
        formatted: whether the text is exactly a thought and an answer in their tags (equation 6's r_f).
        body: where the fields were looked for: the last <answer>, else what follows the thought.
    """

    object_ids: tuple[int, ...]
    ids: Status
    span_s: tuple[float, float] | None
    span: Status
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


def parse_answer(text: str, style: Style = "numbers") -> Answer:
    """Read an answer; raises nothing, whatever the text.

    Args:
        text: all that the model said.
        style: of the markers that it saw, which says what a label may be.
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
            spans.append(_read_span(value))
    object_ids, id_status = ids[0] if len(set(ids)) == 1 else ((), "unreadable" if ids else "missing")
    span_s, span_status = spans[0] if len(set(spans)) == 1 else (None, "unreadable" if spans else "missing")
    return Answer(object_ids, id_status, span_s, span_status, thought, formatted, body)


def _parts(text: str) -> tuple[str, str, bool]:
    """Thought, body, and whether the whole is well formed."""
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
    """Object IDs of a text that names nothing else, in the order named, each once; and how that went."""
    if _EMPTY.match(value):
        return (), "none"
    told = " ".join(value.translate(_MARKUP).split())
    if _NOTHING.match(told):
        return (), "none"
    found: list[int] = []
    at = 0
    while True:
        prefix = _PREFIX.match(told, at)
        label = _LABEL.match(told, prefix.end() if prefix else at)
        object_id = id_of(label[0], style) if label else None
        if label is None or object_id is None:
            break
        found.append(object_id)
        at = label.end()
        join = _JOIN.match(told, at)
        if join is None:
            break
        at = join.end()
    return (tuple(dict.fromkeys(found)), "read") if found and _closes(told[at:], style) else ((), "unreadable")


def _closes(rest: str, style: Style) -> bool:
    """Whether what follows a list of labels names no further one."""
    if style in {"numbers", "mix"} and _DIGIT.search(rest):
        return False
    return _DOUBT.match(rest) is None and (style == "numbers" or rest.strip(" .,;") == "")


def _read_span(value: str) -> tuple[tuple[float, float] | None, Status]:
    told = " ".join(value.translate(_MARKUP).split())
    if _NOTHING.match(told):
        return None, "none"
    found = _RANGE.match(told)
    if found is None:
        return None, "unreadable"
    rest = told[found.end() :]
    if _OTHER_UNIT.match(rest) or _DIGIT.search(rest):
        return None, "unreadable"
    start, end = (60 * float(minutes or 0) + float(seconds) for minutes, seconds in (found.group(1, 2), found.group(3, 4)))
    return (start, end), "read"
