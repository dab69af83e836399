"""Curves as SVG: one panel per quantity, one line per series, one above the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

Points = Sequence[tuple[float, float]]
"""(x, y), x ascending."""

_WIDTH, _HEIGHT, _MARGIN, _TOP, _GAP = 720, 72, 10, 22, 38
"""Pixels: size of a panel, margin at the sides, height of the title, and distance between panels."""
_COLOURS = ("#c33", "#26b", "#293", "#a4a", "#b70")
_MAX_DOTS = 60
"""Most points of a line that are marked by dots."""


class Line(NamedTuple):
    """A line of a panel.

    Attributes:
        label: Name of the line, in its colour; lines of one label share a colour.
        points: Points of the line.
    """

    label: str
    points: Points


class Panel(NamedTuple):
    """One quantity.

    Attributes:
        name: Name of the quantity.
        lines: Its lines; those without points are left out.
    """

    name: str
    lines: Sequence[Line]


def panels_svg(panels: Sequence[Panel], title: str = "", format_x: Callable[[float], str] = "{:g}".format) -> str:
    """Draw panels one above the other, each with its least and greatest value and the ends of its x axis.

    Args:
        panels: Panels from top to bottom.
        title: Title of the picture.
        format_x: Formats an x value for readers.

    Returns:
        The text of an SVG file.
    """
    pitch = _HEIGHT + _GAP
    parts = [_panel(panel, _TOP + n * pitch, format_x) for n, panel in enumerate(panels)]
    size = f"{_WIDTH + 2 * _MARGIN} {_TOP + len(panels) * pitch + _MARGIN}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif">'
    return f'{head}<rect width="100%" height="100%" fill="white"/>{_text(_MARGIN, 16, title, 13)}{"".join(parts)}</svg>\n'


def _panel(panel: Panel, top: int, format_x: Callable[[float], str]) -> str:
    lines = [line for line in panel.lines if line.points]
    every = [point for line in lines for point in line.points]
    if not every:
        return ""
    (first, last), (low, high) = ((min(axis), max(axis)) for axis in zip(*every, strict=True))
    colours = dict(zip(dict.fromkeys(line.label for line in lines), _COLOURS * len(lines), strict=False))
    frame = top + 20

    def place(x: float, y: float) -> str:
        across, up = ((v - a) / (b - a) if b > a else 0.5 for v, a, b in ((x, first, last), (y, low, high)))
        return f"{_MARGIN + _WIDTH * across:.1f},{frame + (_HEIGHT - 8) * (1 - up) + 4:.1f}"

    parts = [f'<rect x="{_MARGIN}" y="{frame}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#ddd"/>']
    parts += [_line([place(*point) for point in line.points], colours[line.label]) for line in lines]
    parts += [_text(_MARGIN, top + 14, f"{panel.name}: {low:.4g} to {high:.4g}", 12)]
    labels = [label for label in colours if label]
    parts += [_text(_MARGIN + _WIDTH - 110 * n, top + 14, label, 11, colours[label], "end") for n, label in enumerate(labels)]
    parts += [_text(_MARGIN, frame + _HEIGHT + 12, format_x(first), 10, "#777")]
    return "".join([*parts, _text(_MARGIN + _WIDTH, frame + _HEIGHT + 12, format_x(last), 10, "#777", "end")])


def _line(places: Sequence[str], colour: str) -> str:
    dots = (place.split(",") for place in places) if len(places) <= _MAX_DOTS else ()
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in dots)
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.5"/>{circles}'


def _text(x: int, y: int, text: str, size: int, colour: str = "#222", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
