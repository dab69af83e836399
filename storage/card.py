"""The dataset card: what a person finds beside the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TABLE_DESCRIPTIONS: Mapping[str, str] = {
    "videos": "one row a video: size, presentation times, objects",
    "masks": "the mask database: one row an object a frame, RLE, box, area, marker anchor",
    "clips": "one row a clip: its frames and its size as a model sees it",
    "frames": "one row a rendered frame: JPEG and the markers drawn on it",
    "samples": "one row a sentence: true span and boxes, answer ID and its quality",
}
"""Table -> what it holds."""

_ABOUT = """An object-centric video dataset: every object has one lasting ID, a mask on each frame where it is visible, and
its number on the frames a model sees. Its tables are found through `manifest.json`; `storage.reader.Dataset` reads them."""


def dataset_card(name: str, counts: Mapping[str, int], rows: Mapping[str, int], params: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown of a card.

    Args:
        name: of the dataset.
        counts: outcomes counted by status and reason.
        rows: table -> number of rows.
        params: stage -> what shaped it.
    """
    lines = [f"# {name}", "", _ABOUT, ""]
    lines += ["| videos | count |", "|---|---|", *(f"| {outcome} | {count} |" for outcome, count in counts.items()), ""]
    lines += ["| table | rows | what it holds |", "|---|---|---|"]
    lines += [f"| {table} | {count} | {TABLE_DESCRIPTIONS[table]} |" for table, count in rows.items()]
    for stage, values in params.items():
        lines += ["", f"## What shaped {stage}", "", "```json", json.dumps(values, indent=1, sort_keys=True), "```"]
    return "\n".join(lines) + "\n"
