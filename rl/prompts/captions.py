"""Parser of descriptions by object ID, in the form of figure 12 of the paper."""

from __future__ import annotations

import re

from rl.prompts.answers import parse_ids
from tasks.markers.labels import Style

_NUMBERED = re.compile(r"(?:\d{1,3}[.)] |[-*+\u2022] )?", re.ASCII)
_HEAD_ENDS = re.compile(r":(?!\d)| [-\u2013\u2014] (?!\d)", re.ASCII)
_MARKS = "*_`# "
_LONGEST_HEAD = 100


def parse_captions(text: str, style: Style = "numbers") -> dict[int, str]:
    """Parse the description of each object; no text raises an error.

    A description begins with a line such as `2. **Object ID 1, 3**: This person ...` and ends before the next such line or an
    empty one; several IDs share it. Other text, such as a caption of the whole video, is ignored.

    Args:
        text: Whole response of the model.
        style: Style of the markers on the frames.

    Returns:
        Object ID -> its description.
    """
    descriptions: dict[int, list[str]] = {}
    current: tuple[int, ...] = ()
    begun = False
    for line in text.splitlines():
        ids, rest = _head(" ".join(line.split()), style)
        if ids:
            current, begun = ids, False
        elif not rest and begun:
            current = ()
        begun = begun or bool(rest)
        for object_id in current if rest else ():
            descriptions.setdefault(object_id, []).append(rest)
    return {object_id: " ".join(lines) for object_id, lines in descriptions.items()}


def _head(line: str, style: Style) -> tuple[tuple[int, ...], str]:
    """Object IDs at the beginning of a line, if any, and the rest of the line."""
    start = _NUMBERED.match(line)
    assert start is not None
    end = _HEAD_ENDS.search(line, start.end(), start.end() + _LONGEST_HEAD)
    if end is None:
        return (), line
    ids, _ = parse_ids(line[start.end() : end.start()].strip(_MARKS), style)
    return ids, line[end.end() :].strip(_MARKS)
