"""Curves as SVG: one panel a quantity, one line a thing that is followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
"""(x, y), x ascending."""
Panel = tuple[str, Sequence[tuple[str, Points]]]
"""A quantity's name, and lines with their labels; lines of one label have one colour."""

_WIDTH, _HEIGHT, _MARGIN, _TOP, _GAP = 720, 72, 10, 22, 38
_COLOURS = ("#c33", "#26b", "#293", "#a4a", "#b70")
_MOST_DOTS = 60


def drawn(panels: Sequence[Panel], title: str = "", told: Callable[[float], str] = "{:g}".format) -> str:
    """A picture of panels below each other, each with its least and greatest value and the ends of its axis.

    Args:
        panels: what is drawn; lines without points are left out.
        title: above all of them.
        told: says an x as a person reads it.
    """
    high = _HEIGHT + _GAP
    parts = [_panel(panel, _TOP + n * high, told) for n, panel in enumerate(panels)]
    size = f"{_WIDTH + 2 * _MARGIN} {_TOP + len(panels) * high + _MARGIN}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif">'
    return f'{head}<rect width="100%" height="100%" fill="white"/>{_text(_MARGIN, 16, title, 13)}{"".join(parts)}</svg>\n'


def _panel(panel: Panel, top: int, told: Callable[[float], str]) -> str:
    name, lines = panel[0], [(label, points) for label, points in panel[1] if points]
    every = [point for _, points in lines for point in points]
    if not every:
        return ""
    (first, last), (low, high) = ((min(axis), max(axis)) for axis in zip(*every, strict=True))
    colours = dict(zip(dict.fromkeys(label for label, _ in lines), _COLOURS * len(lines), strict=False))
    frame = top + 20

    def place(x: float, y: float) -> str:
        across, up = ((v - a) / (b - a) if b > a else 0.5 for v, a, b in ((x, first, last), (y, low, high)))
        return f"{_MARGIN + _WIDTH * across:.1f},{frame + (_HEIGHT - 8) * (1 - up) + 4:.1f}"

    parts = [f'<rect x="{_MARGIN}" y="{frame}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#ddd"/>']
    parts += [_line([place(*point) for point in points], colours[label]) for label, points in lines]
    parts += [_text(_MARGIN, top + 14, f"{name}: {low:.4g} to {high:.4g}", 12)]
    labels = [label for label in colours if label]
    parts += [_text(_MARGIN + _WIDTH - 110 * n, top + 14, label, 11, colours[label], "end") for n, label in enumerate(labels)]
    parts += [_text(_MARGIN, frame + _HEIGHT + 12, told(first), 10, "#777")]
    return "".join([*parts, _text(_MARGIN + _WIDTH, frame + _HEIGHT + 12, told(last), 10, "#777", "end")])


def _line(places: Sequence[str], colour: str) -> str:
    dots = (place.split(",") for place in places) if len(places) <= _MOST_DOTS else ()
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in dots)
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.5"/>{circles}'


def _text(x: int, y: int, text: str, size: int, colour: str = "#222", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
