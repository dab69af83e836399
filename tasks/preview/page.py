"""The page itself: data into HTML, everything escaped, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2

from storage.local import LocalFolder
from storage.reader import Dataset
from tasks.preview.collect import Card, collect_card
from tasks.preview.summary import answer_rows, gaps, outcome_rows, parameters, totals
from tasks.preview.timeline import clock, evenly
from tasks.quality import quality, quality_rows

PREVIEW = "preview.html"
_STRIP_BYTES = 4_000_000
"""JPEG bytes of all film strips of a page before smaller copies stand in; base64 adds a third."""
_MAX_GAPS = 500
_HERE = Path(__file__).parent


def write_preview(dataset: Dataset, path: Path | None = None, limit: int = 60) -> str:
    """Write the page of a dataset.

    Args:
        dataset: what to show.
        path: where to; None for `preview.html` in the dataset's folder.
        limit: most videos that get a card; of more, evenly spread ones are taken, and the page says so.

    Returns:
        Where it is: one HTML page that needs no other file and no network.
    """
    folder, name = (LocalFolder(path.parent), path.name) if path else (dataset.folder, PREVIEW)
    folder.write(name, _render(dataset, _cards(dataset, limit)).encode())
    return f"{folder}/{name}"


def current_preview(dataset: Dataset) -> str:
    """Where the dataset's page is; it is written if it does not show what is published now."""
    try:
        shown = dataset.folder.read(PREVIEW)
    except FileNotFoundError:
        return write_preview(dataset)
    return f"{dataset.folder}/{PREVIEW}" if dataset.manifest.content_hash.encode() in shown else write_preview(dataset)


def _cards(dataset: Dataset, limit: int) -> list[Card]:
    videos = dataset.video_ids("videos")
    endings = {row["video_id"]: row for row in dataset.outcomes.to_pylist()}
    chosen = [videos[i] for i in evenly(len(videos), limit)]
    share = _STRIP_BYTES // max(1, len(chosen))
    return [collect_card(dataset, video_id, endings[video_id], share) for video_id in chosen]


def _render(dataset: Dataset, cards: Sequence[Card]) -> str:
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    outcomes = dataset.outcomes.to_pylist()
    measured = quality(dataset)
    missing = list(islice(gaps(dataset), _MAX_GAPS + 1))
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            dataset=dataset.manifest,
            totals=totals(dataset),
            planned=len(outcomes),
            outcomes=outcome_rows(dataset),
            answers=answer_rows(dataset),
            endings=[row for row in outcomes if row["status"] != "done"],
            gaps=missing[:_MAX_GAPS],
            more_gaps=len(missing) > _MAX_GAPS,
            quality=measured,
            quality_rows=quality_rows(measured) if measured else [],
            parameters=list(parameters(dataset)),
            cards=cards,
            script=script,
            script_hash=_csp_hash(script),
            style=(_HERE / "page.css").read_text(encoding="utf-8"),
        )
    )


def _environment() -> jinja2.Environment:
    # Autoescape is switched on outright: jinja2 would decide by the file name, and `.j2` is not among those it knows.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"clock": clock, "size": human_bytes, "hue": hue, "grouped": grouped, "words": words}
    environment.filters.update(filters)
    return environment


def _csp_hash(script: str) -> str:
    """What the page's content security policy lets run: this script and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def human_bytes(count: int) -> str:
    """A number of bytes in decimal units, three digits."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def grouped(count: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u2009")


def words(code: str) -> str:
    """A reason code as words."""
    return code.replace("_", " ")


def hue(object_id: int) -> str:
    """CSS colour of an object's ID: eight hues, then the same darker and lighter; none is the red of the markers."""
    hues = (250, 60, 155, 315, 95, 200, 345, 125)
    lightness = (0.74, 0.6, 0.86)[(object_id - 1) // len(hues) % 3]
    return f"oklch({lightness} 0.15 {hues[(object_id - 1) % len(hues)]})"
