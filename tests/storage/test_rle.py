"""Run-length codes in all of COCO's forms, whatever the mask."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from storage.rle import CountsError, Mask, counts_from_json, decode_counts, encode_counts

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def runs_of(mask: Mask) -> list[int]:
    """Uncompressed runs down the columns, the first of what is not in the mask: COCO's definition, written out."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


@given(masks)
def test_every_form_of_a_mask_is_the_same_mask(mask: Mask) -> None:
    height, width = mask.shape
    compressed = encode_counts(mask)
    stored = json.loads(json.dumps({"counts": compressed.decode("ascii"), "runs": runs_of(mask)}))
    assert counts_from_json(stored["counts"], height, width) == compressed
    assert counts_from_json(stored["runs"], height, width) == compressed
    assert np.array_equal(decode_counts(compressed, height, width), mask)
    assert np.array_equal(coco.decode({"size": [height, width], "counts": stored["counts"]}).astype(bool), mask)


@given(masks)
def test_codes_are_those_of_pycocotools_to_the_byte(mask: Mask) -> None:
    height, width = mask.shape
    code = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    assert encode_counts(mask) == encode_counts(np.asfortranarray(mask)) == code
    assert np.array_equal(decode_counts(code, height, width), coco.decode({"size": [height, width], "counts": code}))


def expected_runs(code: bytes) -> list[int]:
    """Runs of a compressed code by COCO's definition, written out; empty where it is none."""
    runs: list[int] = []
    place = 0
    while place < len(code):
        value, shift, more = 0, 0, True
        while more:
            if place == len(code) or not 48 <= code[place] < 112 or shift > 30:
                return []
            letter = code[place] - 48
            value |= (letter & 0x1F) << shift
            more, place, shift = bool(letter & 0x20), place + 1, shift + 5
            if not more and letter & 0x10:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


@given(masks, st.lists(st.tuples(st.integers(0, 10**6), st.integers(40, 120)), max_size=3))
def test_a_damaged_code_is_refused_exactly_where_its_runs_do_not_fill_the_mask(
    mask: Mask, changes: list[tuple[int, int]]
) -> None:
    height, width = mask.shape
    code = bytearray(encode_counts(mask))
    for place, letter in changes:
        code[place % len(code)] = letter
    runs = expected_runs(bytes(code))
    if runs and min(runs) >= 0 and sum(runs) == height * width:
        decoded = decode_counts(bytes(code), height, width)
        assert np.array_equal(decoded, coco.decode({"size": [height, width], "counts": bytes(code)}))
    else:
        with pytest.raises(CountsError):
            decode_counts(bytes(code), height, width)


@given(masks, st.data())
def test_runs_of_no_length_change_nothing(mask: Mask, data: st.DataObject) -> None:
    """Other tools split runs, or end on an empty one."""
    runs = runs_of(mask)
    at = data.draw(st.integers(0, len(runs) - 1))
    cut = data.draw(st.integers(0, runs[at]))
    split = [*runs[:at], cut, 0, runs[at] - cut, *runs[at + 1 :]]
    code = counts_from_json(split, *mask.shape)
    assert np.array_equal(decode_counts(code, *mask.shape), mask)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda v: st.lists(v, max_size=6),
    max_leaves=8,
)


@given(json_values, st.integers(1, 12), st.integers(1, 12))
def test_anything_else_is_refused_or_fills_the_mask(code: Any, height: int, width: int) -> None:
    try:
        counts = counts_from_json(code, height, width)
    except CountsError:
        return
    assert decode_counts(counts, height, width).shape == (height, width)


@pytest.mark.parametrize("code", [[], [5], [17], [-1, 17], [True, 15], [8.0, 8.0], [2**70], "", "0", "zzzz", None, {"a": 1}])
def test_codes_of_other_sizes_and_kinds_are_refused(code: Any) -> None:
    with pytest.raises(CountsError):
        counts_from_json(code, 4, 4)
