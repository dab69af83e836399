"""What a model says of each object: its text cut at the object IDs, as figure 12 of the paper shows it."""

from __future__ import annotations

import re

from rl.prompts.answers import parse_ids
from tasks.markers.labels import Style

_NUMBERED = re.compile(r"(?:\d{1,3}[.)] |[-*+\u2022] )?", re.ASCII)
_HEAD_ENDS = re.compile(r":(?!\d)| [-\u2013\u2014] (?!\d)", re.ASCII)
_MARKS = "*_`# "
_LONGEST_HEAD = 100


def parse_captions(text: str, style: Style = "numbers") -> dict[int, str]:
    """Object ID -> what is said of it; raises nothing, whatever the text.

    A description begins with a line such as `2. **Object ID 1, 3**: This person ...` and goes on to the next such line or an
    empty one; several IDs share it. What stands elsewhere, as in a caption of the whole video, is nobody's.

    Args:
        text: all that the model said.
        style: of the markers that it saw.
    """
    found: dict[int, list[str]] = {}
    named: tuple[int, ...] = ()
    begun = False
    for line in text.splitlines():
        ids, said = _head(" ".join(line.split()), style)
        if ids:
            named, begun = ids, False
        elif not said and begun:
            named = ()
        begun = begun or bool(said)
        for object_id in named if said else ():
            found.setdefault(object_id, []).append(said)
    return {object_id: " ".join(lines) for object_id, lines in found.items()}


def _head(line: str, style: Style) -> tuple[tuple[int, ...], str]:
    """IDs that a line begins with and the rest of it; no IDs where it begins with none."""
    start = _NUMBERED.match(line)
    assert start is not None
    end = _HEAD_ENDS.search(line, start.end(), start.end() + _LONGEST_HEAD)
    if end is None:
        return (), line
    ids, _ = parse_ids(line[start.end() : end.start()].strip(_MARKS), style)
    return ids, line[end.end() :].strip(_MARKS)
