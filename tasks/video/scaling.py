"""Decoded frames as RGB arrays, scaled by FFmpeg's filter `scale`, bilinear: the pixels that decord yields too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scaler:
    """Converts decoded frames of one size in pixels, or of their own size."""

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        """Set the size.

        Args:
            size: (width, height) in pixels of an upright frame; None keeps each frame's own.
        """
        self._size = size
        self._input: tuple[Any, ...] = ()
        self._source: Any = None
        self._sink: Any = None

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """Convert a frame of PyAV, turned upright by the rotation that its stream states.

        Returns:
            uint8 (height, width, 3), RGB.
        """
        rotation = int(getattr(frame, "rotation", 0) or 0) % 360
        image: NDArray[np.uint8] = self._scaled(frame, sideways=rotation in {90, 270}).to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(image, rotation // 90)) if rotation else image

    def _scaled(self, frame: Any, sideways: bool) -> Any:
        if self._size is None:
            return frame
        size = self._size[::-1] if sideways else self._size
        if self._input != (frame.width, frame.height, frame.format.name, size):
            self._connect(frame, size)
        self._source.push(frame)
        return self._sink.pull()

    def _connect(self, frame: Any, size: tuple[int, int]) -> None:
        """Build the filter graph for frames like this one."""
        from av.filter import Graph

        graph = Graph()
        nodes = (
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
            graph.add("scale", f"{size[0]}:{size[1]}:flags=bilinear"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        )
        graph.link_nodes(*nodes).configure()
        self._graph, self._source, self._sink = graph, nodes[0], nodes[-1]
        self._input = (frame.width, frame.height, frame.format.name, size)
