"""Parsers of single values in a model's answer: a list of object labels, and a time range.

Both are tolerant of wording and strict about meaning: a value that could mean two things, or is in an unknown unit, is
unreadable. Every pattern begins with a literal or is anchored, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Literal

from tasks.markers.labels import Style, id_of

Status = Literal["read", "none", "missing", "unreadable"]
"""Result of parsing a field: `read`; `none`, the answer states that there is no target; `missing`, the answer does not mention
the field; `unreadable`, its value is ambiguous or not in a known form."""
Ids = tuple[tuple[int, ...], Status]
Span = tuple[tuple[float, float] | None, Status]

_FLAGS = re.IGNORECASE | re.ASCII
_BRACKETS = str.maketrans(dict.fromkeys("[](){}<>\"'*_`", " "))
_EMPTY = re.compile(r"[\s\[\](){}]*[\[({]\s*[\])}]")
_NOTHING = re.compile(
    r"(?:there (?:is|are) )?(?:none|null|nothing|nobody|n/a|na|not (?:present|found|applicable|visible)|"
    r"the event does not occur|no(?: (?:matching|visible|such|target|object|one|match|person|ids?))*)"
    r"(?:es|s)?(?! ?[\d#])(?!\w)(?!\. ?\d)",
    _FLAGS,
)
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PREFIX = re.compile(
    r"(?:(?:the|object|person|target|red|likely|number|letter|label|marker|ids?|and|man|woman|with|no\.?) ?(?=[#\dA-Za-z ])|"
    r"# ?|: ?)",
    _FLAGS,
)
_LABEL = re.compile(r"(\d{1,6})(?:\.0)?(?![\w.]*\d|\w)|([a-z]{1,2})(?!\w)", _FLAGS)
_WORD = re.compile(r"[a-z]+", _FLAGS)
_ASIDE = re.compile(r" ?\(([^()]{0,200})\)")
_JOIN = re.compile(r" ?(?:[,;&+]|and\b)(?: ?(?:[,;&+]|and\b))* ?", _FLAGS)
_DOUBT = re.compile(r" ?(?:(?:or|nor|to|of|not|maybe|perhaps|possibly)\b|[-/?]|\.\w)", _FLAGS)
_NAMED = re.compile(r"\b(?:id|number|no\.|#) ?:? ?(\d{1,6})(?![\w.]*\d|\w)", _FLAGS)
_DIGIT = re.compile(r"\d", re.ASCII)
_DIGITS = re.compile(r"\d{1,9}")
_COUNTED = re.compile(r" (?!of\b)(?:people|persons|men|women|objects|times)\b")
_PRONOUNS = frozenset(
    {"he", "it", "me", "we", "us", "is", "of", "to", "or", "an", "in", "on", "at", "by", "as", "if", "so", "do", "go"}
    | {"up", "my", "no", "na"}
)
"""Two-letter words that are no labels in lower case."""


def parse_ids(value: str, style: Style) -> Ids:
    """Parse a list of object labels, such as `3`, `[1, 2]` or `B and C`.

    Args:
        value: Text that contains nothing but labels and words about them.
        style: Style of the markers on the frames, which determines the possible labels.

    Returns:
        Object IDs in the order of the text, each once, and the result of parsing.
    """
    if _EMPTY.match(value):
        return (), "none"
    text, asides = _without_asides(value)
    text = " ".join(text.translate(_BRACKETS).split()).rstrip(" .,;|/-")
    if _NOTHING.match(text) and not (style != "numbers" and len(text) == 1):
        return (), "none"
    object_ids, position = _labels(text, style)
    if not object_ids:
        return _single_named(f"{text} {asides}") if style == "numbers" else ((), "unreadable")
    if not _closes(text[position:], style) or not _repeats(asides, object_ids, style):
        return (), "unreadable"
    return tuple(dict.fromkeys(object_ids)), "read"


def _without_asides(value: str) -> tuple[str, str]:
    """The text without parentheses that follow something, and what these hold; a leading parenthesis is part of the text."""
    asides: list[str] = []

    def drop(match: re.Match[str]) -> str:
        if not value[: match.start()].strip(" [\"'*`"):
            return match[0]
        asides.append(match[1])
        return " "

    return _ASIDE.sub(drop, value), " ".join(asides)


def _labels(text: str, style: Style) -> tuple[list[int], int]:
    """Labels from the start of a text, and where they end."""
    object_ids: list[int] = []
    end = position = 0
    while True:
        position = _after_prefixes(text, position)
        object_id, length = _label_at(text, position, style)
        if object_id is None:
            return object_ids, end
        object_ids.append(object_id)
        end = position + length
        join = _JOIN.match(text, end)
        if join is None:
            return object_ids, end
        position = join.end()


def _after_prefixes(text: str, position: int) -> int:
    while (match := _PREFIX.match(text, position)) and match.end() > position and match.end() < len(text):
        position = match.end()
    return position


def _label_at(text: str, position: int, style: Style) -> tuple[int | None, int]:
    label = _LABEL.match(text, position)
    if label is None:
        word = _WORD.match(text, position)
        number = _NUMBER_WORDS.index(word[0].lower()) + 1 if word and word[0].lower() in _NUMBER_WORDS else None
        return (number, len(word[0])) if word and number and style in {"numbers", "mix"} else (None, 0)
    if label[2] and label[2] in _PRONOUNS:
        return None, 0
    digits = label[1].lstrip("0") if label[1] else ""
    return id_of(digits or label[0], style), len(label[0])


def _closes(rest: str, style: Style) -> bool:
    """Whether the text after a list of labels contains no further label and no doubt."""
    if style in {"numbers", "mix"} and _DIGIT.search(rest):
        return False
    if _DOUBT.match(rest):
        return False
    if style != "numbers":
        return rest.strip(" .,;") == ""
    return not _COUNTED.match(rest)


def _repeats(asides: str, object_ids: list[int], style: Style) -> bool:
    """Whether remarks in parentheses name no other number."""
    return style != "numbers" or {int(digits) for digits in _DIGITS.findall(asides)} <= set(object_ids)


def _single_named(text: str) -> Ids:
    """The one number that a description names, such as `man in blue (ID 2)`."""
    numbers = {int(digits) for digits in _NAMED.findall(text)}
    every = {int(digits) for digits in _DIGITS.findall(text)}
    return (tuple(numbers), "read") if len(numbers) == 1 and every == numbers and 0 not in numbers else ((), "unreadable")


_LEAD = r"(?:(?:from|between|at|the|about|approximately|around|roughly|circa|second|starts?|ends?|time|[:=~]) ?){0,6}"
_UNIT = r"(?: ?(?:secs?\b\.?|seconds?\b|s\b\.?))"
_TIME = rf"(?:(\d{{1,2}}):)?(?:(\d{{1,4}}):)?(\d{{1,7}}(?:\.\d{{0,9}})?|\.\d{{1,9}})(?:st|nd|rd|th)?(?![\d:])({_UNIT})?"
_JOINER = r" ?(?:(?:,? ?(?:to|until|till|up to|through|and)\b|-+>?|,|;) ?)"
_SPAN = re.compile(rf"{_LEAD}{_TIME}{_JOINER}{_LEAD}{_TIME}", _FLAGS)
_BARE_SPAN = re.compile(rf"(?<![\w.:]){_TIME} ?(?:(?:to|until|till|up to|through|and)\b|-+>?) ?{_LEAD}{_TIME}", _FLAGS)
_OTHER_UNIT = re.compile(
    r" ?(?:%|percent|frames?\b|f\b|ms\b|msecs?\b|milli|mins?\b|minutes?\b|m\b|hrs?\b|h\b|hours?\b|beats?\b|timestamps?\b|"
    r"(?:of|in) the (?:whole |entire )?(?:video|clip)|normali[sz]ed|in frames)",
    _FLAGS,
)
_TOTAL = re.compile(r" ?(?:out )?of (?:the )?\d{1,7}(?:\.\d{1,9})? ?(?:s|secs?|seconds?)?\b", _FLAGS)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212~", "-") | {"\u2192": " to "})
_PAIR = re.compile(rf"{_TIME} ?, ?{_TIME}", _FLAGS)
_ABOUT = re.compile(r"~ ?(?=\d)(?<!\d~)")
_FRAMES = re.compile(r"(?:in )?frames?$|normali", _FLAGS)
_OF_THE = re.compile(r" ?of the", _FLAGS)
_SENTENCE = re.compile(r"[.;] ?[A-Z;]")


def parse_span(value: str) -> Span:
    """Parse a time range, such as `3.0 to 7.5 s`, `[3, 7.5]` or `00:03 - 00:07.5`.

    Args:
        value: Text of the field.

    Returns:
        (start, end) in seconds as stated, possibly reversed, and the result of parsing.
    """
    if _EMPTY.match(value):
        return None, "none"
    text = " ".join(_ABOUT.sub("", _without_remarks(value).translate(_BRACKETS)).translate(_DASHES).split())
    if _NOTHING.match(text):
        return None, "none"
    match = _SPAN.match(text)
    if match is None:
        return None, "unreadable"
    return _seconds(match, text[match.end() :])


def _without_remarks(value: str) -> str:
    """The text without remarks in parentheses, other than those that state a unit."""

    def drop(match: re.Match[str]) -> str:
        remark = match[1].strip()
        keeps = not value[: match.start()].strip(" [\"'*`") or (_DIGIT.match(remark) is not None and "," in remark)
        return match[0] if keeps or _FRAMES.match(remark) else " "

    return _ASIDE.sub(drop, value)


def _seconds(match: re.Match[str], rest: str) -> Span:
    """The range of a match, if what follows neither states another unit nor names further times."""
    hours_1, minutes_1, first, _unit_1, hours_2, minutes_2, second, unit_2 = match.groups()
    clock = (hours_1 or minutes_1) is not None and (hours_2 or minutes_2) is not None
    rest = _TOTAL.sub("", rest, count=1) if unit_2 or _TOTAL.match(rest) else rest
    sentence = _SENTENCE.search(rest)
    own = rest[: sentence.start()] if sentence else rest
    if not clock and _OTHER_UNIT.match(own) and not (unit_2 and _OF_THE.match(own)):
        return None, "unreadable"
    if _DIGIT.search(own) or _BARE_SPAN.search(rest):
        return None, "unreadable"
    start, end = _total(hours_1, minutes_1, first), _total(hours_2, minutes_2, second)
    return (start, end), "read"


def _total(hours: str | None, minutes: str | None, seconds: str) -> float:
    if minutes is None:
        hours, minutes = None, hours
    return 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(seconds)


def bare_span(text: str) -> Span:
    """The one time range of a text that names no field, such as `the event happens from 3.0 to 7.5 seconds`."""
    text = " ".join(_without_remarks(text).translate(_BRACKETS).translate(_DASHES).split())
    pair = _PAIR.fullmatch(text)
    matches = [pair] if pair else list(_BARE_SPAN.finditer(text))
    if len(matches) != 1:
        return None, "unreadable" if matches else "missing"
    return _seconds(matches[0], text[matches[0].end() :])
