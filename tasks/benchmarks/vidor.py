"""VidOR's boxes, on which VidSTG is built: one JSON file a video, all its objects on every frame.

`trajectories[frame]` lists `{"tid", "bbox": {"xmin", "ymin", "xmax", "ymax"}}`: absolute pixels, corners, taken as half-open.
Nearly all of them are interpolated by a tracker.
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
    """A folder of VidOR annotations; a file is read when its video is first asked for, and only the last is kept."""

    def __init__(self, folder: Path) -> None:
        """List the folder, in depth.

        Raises:
            AnnotationError: it is not there, or holds no JSON file.
        """
        root = folder.resolve()
        inside = (path for path in sorted(folder.rglob("*.json")) if path.resolve().is_relative_to(root))
        self._files = {path.stem: path for path in inside}
        if not self._files:
            raise AnnotationError(f"'{folder}' holds no VidOR annotations (JSON files named by video)")
        self._last: tuple[str, Tracks] = ("", {})

    def tracks(self, vid: str) -> Tracks | None:
        """Boxes of every object of a video; None if its file is not there.

        Raises:
            AnnotationError: the file is not of VidOR's format.
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
