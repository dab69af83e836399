"""COCO compressed run-length codes, the stored form of masks. A mask is bool (height, width)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.errors import InputError

Mask = NDArray[np.bool_]


class CountsError(InputError, ValueError):
    """A run-length code that does not encode a mask of the stated size."""


def encode_counts(mask: Mask) -> bytes:
    """Compressed counts of a mask."""
    import cv2
    from pycocotools import mask as coco

    # Codes are in column order; OpenCV's blocked transpose takes a tenth of the time of NumPy's.
    counts: bytes = coco.encode(cv2.transpose(mask.view(np.uint8)).T)["counts"]
    return counts


def decode_counts(counts: bytes, height: int, width: int) -> Mask:
    """Mask from compressed counts.

    Args:
        counts: COCO compressed run lengths.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Raises:
        CountsError: the counts are damaged or belong to a mask of another size.
    """
    from pycocotools import mask as coco

    check_counts(counts, height, width)
    return np.asarray(coco.decode({"size": [height, width], "counts": counts}), dtype=np.uint8).view(np.bool_)


def counts_from_json(code: Any, height: int, width: int) -> bytes:
    """Compressed counts of a run-length code in COCO's JSON formats: a list of run lengths, or compressed text.

    Args:
        code: list of run lengths, or compressed text.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Raises:
        CountsError: the code has neither form, or belongs to a mask of another size.
    """
    from pycocotools import mask as coco

    if isinstance(code, list):
        if not all(type(run) is int and run >= 0 for run in code) or sum(code) != height * width:
            raise CountsError(f"a run-length code of {len(code)} runs does not fill a mask of {width}x{height}")
        counts: bytes = coco.frPyObjects({"size": [height, width], "counts": code}, height, width)["counts"]
        return counts
    if not isinstance(code, str):
        raise CountsError(f"{code!r:.40} is not a run-length code: it must be a list of run lengths or a string")
    counts = code.encode()
    check_counts(counts, height, width)
    return counts


def check_counts(counts: bytes, height: int, width: int) -> None:
    """Check that compressed counts fill a mask: the C decoder leaves the rest of a shorter one uninitialised.

    Args:
        counts: COCO compressed run lengths.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Raises:
        CountsError: the runs do not fill the mask.
    """
    runs = _runs(counts)
    if height < 1 or width < 1 or not len(runs) or runs.min() < 0 or int(runs.sum()) != height * width:
        raise CountsError(f"a run-length code of {len(counts)} bytes does not fill a mask of {width}x{height}")


def _runs(counts: bytes) -> NDArray[np.int64]:
    """Run lengths of compressed counts: 5 bits per character, little-endian, and differences from the third run on."""
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((codes & 0x20) == 0)
    if not len(last) or last[-1] != len(codes) - 1 or codes.min() < 0 or codes.max() >= 64:
        return np.empty(0, np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    place = 5 * (np.arange(len(codes)) - np.repeat(first, last - first + 1))
    if place.max() > 30:
        return np.empty(0, np.int64)
    values = np.add.reduceat((codes & 0x1F) << place, first)
    values -= np.where(codes[last] & 0x10, np.int64(1) << (place[last] + 5), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
