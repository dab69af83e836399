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
    import rlemasklib

    counts: bytes = rlemasklib.encode(mask)["counts"]
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
    import rlemasklib

    check_counts(counts, height, width)
    return np.asarray(rlemasklib.decode({"size": [height, width], "counts": counts}), dtype=np.uint8).view(np.bool_)


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
    """Check that compressed counts fill a mask: decoders trust them.

    Args:
        counts: COCO compressed run lengths.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Raises:
        CountsError: the runs do not fill the mask.
    """
    runs = _runs(counts, height, width) if height > 0 and width > 0 else _NO_RUNS
    # A negative run is read as a huge one.
    if not runs.size or int(runs.max()) > height * width or int(runs.sum(dtype=np.int64)) != height * width:
        raise CountsError(f"a run-length code of {len(counts)} bytes does not fill a mask of {width}x{height}")


_NO_RUNS = np.empty(0, np.uint32)
_FIRST, _LAST, _CONTINUED = ord("0"), ord("0") + 63, 0x20
"""Characters of a code, and the bit of one that another character of the same run follows."""


def _runs(counts: bytes, height: int, width: int) -> NDArray[np.uint32]:
    """Run lengths of compressed counts; empty where they are none."""
    import rlemasklib

    codes = np.frombuffer(counts, np.uint8)
    if not codes.size or codes.min() < _FIRST or codes.max() > _LAST or (int(codes[-1]) - _FIRST) & _CONTINUED:
        return _NO_RUNS
    try:
        return np.asarray(rlemasklib.decompress({"size": [height, width], "counts": counts})["ucounts"], np.uint32)
    except ValueError:
        return _NO_RUNS
