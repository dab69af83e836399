"""SA-V import: one JSON file per video, `<video>_manual.json` or `<video>_auto.json`.

`masklet[frame][object]` contains COCO run-length codes, empty where the object is not visible. Videos have 24 frames per second
and annotations 6: `masklet[n]` is native frame 4 n. Objects have no category; IDs count from 0. Source: README of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.benchmarks.reading import frame_number, load_object, record_errors, require
from tasks.exchange.base import UNNAMED, ImportedMasks

_KIND = "SA-V's format"
_FIELDS = ("video_frame_count", "video_height", "video_width", "masklet", "masklet_id")
_EVERY = 4


def places(folder: Path) -> dict[str, Path]:
    """Annotation files at any depth; manual ones take precedence, and automatic ones beside them are counted by `left_out`."""
    paths: dict[str, Path] = {}
    for suffix in ("_auto", "_manual"):
        paths.update({path.stem.removesuffix(suffix): path for path in sorted(folder.rglob(f"*{suffix}.json"))})
    return paths


def left_out(folder: Path) -> dict[str, int]:
    """Number of automatic files that are not read because their video has a manual one; their masklets are other objects."""
    automatic, manual = (
        {path.stem.removesuffix(suffix) for path in folder.rglob(f"*{suffix}.json")} for suffix in ("_auto", "_manual")
    )
    return {"automatic mask files beside manual ones, left out": len(automatic & manual)}


def read(place: Path) -> ImportedMasks:
    """Read the masks of a video; see `tasks.exchange.base.ReadMasks`."""
    content = load_object(place, _KIND)
    require(content, _FIELDS, f"'{place}'", _KIND)
    with record_errors(f"'{place}'"):
        count, height, width = (frame_number(content[name]) for name in _FIELDS[:3])
        ids = [frame_number(masklet_id) + 1 for masklet_id in content["masklet_id"]]
        masklets = len(content["masklet"])
        every = next((step for step in (_EVERY, 1) if -(-count // step) == masklets), None)
        if not every or len(set(ids)) < len(ids):
            raise ValueError(
                f"{masklets} frames of masks do not match {count} frames of video, or two objects have the same ID"
            )
    return ImportedMasks((height, width), every, _frames(content["masklet"], ids, every, place))


def _frames(masklet: Any, ids: list[int], every: int, place: Path) -> Iterator[tuple[int, dict[int, tuple[str, Any]]]]:
    for number, masks in enumerate(masklet):
        with record_errors(f"'{place}': masklet {number}"):
            seen = {i: (UNNAMED, dict(mask)) for i, mask in zip(ids, masks, strict=True)}
        yield number * every, seen
