"""VidOR annotations, the boxes of VidSTG: one JSON file per video with all objects on every frame.

`trajectories[frame]` lists `{"tid", "bbox": {"xmin", "ymin", "xmax", "ymax"}}`: absolute pixels, corners, interpreted as
half-open. Nearly all boxes are interpolated by a tracker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.benchmarks.reading import frame_number, load_object, record_errors
from tasks.benchmarks.samples import AnnotationError
from tasks.masks.instances import Box

Tracks = Mapping[int, Mapping[int, Box]]
"""Track ID -> native frame -> box."""


class Vidor:
    """Folder of VidOR annotations; files are read on demand, and the last one is cached."""

    def __init__(self, folder: Path) -> None:
        """List the folder at any depth.

        Raises:
            AnnotationError: the folder does not exist or has no JSON file.
        """
        root = folder.resolve()
        inside = (path for path in sorted(folder.rglob("*.json")) if path.resolve().is_relative_to(root))
        self._files = {path.stem: path for path in inside}
        if not self._files:
            raise AnnotationError(f"'{folder}' holds no VidOR annotations (JSON files named by video)")
        self._last: tuple[str, Tracks] = ("", {})

    def tracks(self, vid: str) -> Tracks | None:
        """Boxes of every object of a video; None if its file does not exist.

        Raises:
            AnnotationError: the file has another format.
        """
        if self._last[0] != vid:
            if vid not in self._files:
                return None
            self._last = vid, _read(self._files[vid])
        return self._last[1]


def _read(path: Path) -> Tracks:
    tracks: dict[int, dict[int, Box]] = {}
    with record_errors(str(path)):
        for frame, seen in enumerate(load_object(path, "a VidOR annotation")["trajectories"]):
            for thing in seen:
                box = thing["bbox"]
                corners = float(box["xmin"]), float(box["ymin"]), float(box["xmax"]), float(box["ymax"])
                tracks.setdefault(frame_number(thing["tid"]), {})[frame] = corners
    return tracks
