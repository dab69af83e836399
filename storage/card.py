"""Dataset card: a Markdown summary that is published next to the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

TABLE_DESCRIPTIONS: Mapping[str, str] = {
    "videos": "one row per video: size, presentation times, objects",
    "masks": "the mask database: one row per object and frame, RLE, box, area, marker anchor",
    "clips": "one row per clip: its frames and its size in the model input",
    "frames": "one row per rendered frame: JPEG and the markers drawn on it",
    "samples": "one row per sentence: true span and boxes, answer ID and its quality",
}
"""Table -> description of its rows."""

PAPER_MODELS = ("yolo12x", "sam2")
"""Detector and tracker of the paper (section 4.1), by their names in the parameters of masks."""

_ABOUT = """An object-centric video dataset: every object has one persistent ID, a mask on each frame where it is visible, and
its number on the rendered frames. `manifest.json` lists the files of the tables; `storage.reader.Dataset` reads them."""


def dataset_card(
    name: str, counts: Mapping[str, int], rows: Mapping[str, int], params: Mapping[str, Mapping[str, JsonValue]]
) -> str:
    """Markdown text of a dataset card.

    Args:
        name: name of the dataset.
        counts: number of videos by outcome, `status` or `status: reason`.
        rows: table -> number of rows.
        params: stage -> parameters that determine its rows.
    """
    lines = [f"# {name}", "", _ABOUT, ""]
    lines += ["| videos | count |", "|---|---|", *(f"| {outcome} | {count} |" for outcome, count in counts.items()), ""]
    lines += ["| table | rows | content |", "|---|---|---|"]
    lines += [f"| {table} | {count} | {TABLE_DESCRIPTIONS[table]} |" for table, count in rows.items()]
    lines += [line for values in params.values() for line in _detector_and_tracker(values)]
    for stage, values in params.items():
        lines += ["", f"## Parameters of {stage}", "", "```json", json.dumps(values, indent=1, sort_keys=True), "```"]
    return "\n".join(lines) + "\n"


def _detector_and_tracker(values: Mapping[str, JsonValue]) -> list[str]:
    """Lines on detector and tracker, for the stage that used them."""
    names = tuple(value.get("name") for key in ("detector", "tracker") if isinstance(value := values.get(key), Mapping))
    if len(names) != len(PAPER_MODELS):
        return []
    paper = "the paper's" if names == PAPER_MODELS else "not the paper's, which are YOLO12x and SAM2.1"
    return ["", f"Objects are found by `{names[0]}` and followed by `{names[1]}`: {paper}."]
