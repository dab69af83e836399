"""Folders of JPEG or PNG frames, read as a video in the natural order of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.video.diagnosis import VideoError, VideoNote
from tasks.video.timeline import Timeline

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def image_files(folder: Path) -> list[Path]:
    """Images of a folder in natural order, 2.jpg before 10.jpg; hidden files, such as macOS's `._2.jpg`, are left out."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."))
    return sorted(files, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> tuple[list[int | str], str]:
    parts = re.split(r"([0-9]+)", name)
    # Text and numbers alternate, so that equal positions compare values of one type.
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name


class ImageFolderReader:
    """Frames of a folder of images at a stated rate."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int] | None) -> None:
        """List the images.

        Args:
            path: folder of images.
            fps: frames per second.
            size: (width, height) in pixels that frames are scaled to; None keeps their own.

        Raises:
            VideoError: the folder holds no image, or a link that leads out of it.
        """
        self._files, self._fps, self._size = image_files(path), fps, size
        self._native: tuple[int, ...] | None = None
        if not self._files:
            raise VideoError("no_frames", f"{path} holds no JPEG or PNG")
        for file in self._files:
            if file.is_symlink() and not file.resolve().is_relative_to(path.resolve()):
                raise VideoError("leads_out", f"{file.name} in {path}")

    @property
    def notes(self) -> tuple[VideoNote, ...]:
        """None: the images have no times of their own."""
        return ()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """RGB frames, uint8 (n, height, width, 3).

        Raises:
            VideoError: an image cannot be read, or is of another size than the first.
        """
        return np.stack([self._read(self._files[index]) for index in indices])

    def _read(self, path: Path) -> NDArray[np.uint8]:
        import cv2

        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoError("unreadable_frame", f"{path.name} in {path.parent} is not a readable JPEG or PNG")
        self._native = self._native or image.shape
        if image.shape != self._native:
            (height, width), (h, w) = self._native[:2], image.shape[:2]
            raise VideoError("mixed_sizes", f"{path.name} in {path.parent} ({w}x{h}, the frames before it {width}x{height})")
        if self._size is not None:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        return Timeline(np.arange(len(self)) / self._fps, len(self) / self._fps)
