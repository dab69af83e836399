from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from storage.rle import decode_counts
from tasks.masks.instances import box_iou, encode_mask, intersections, mask_iou, tight_box
from tasks.tracking.tubes import mask_ious

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
masks = shapes.flatmap(lambda shape: arrays(np.bool_, shape))
pairs = shapes.flatmap(lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape)))


@given(masks)
def test_a_code_gives_back_its_mask_with_true_box_area_and_anchor(mask: np.ndarray) -> None:
    instance = encode_mask(mask)
    if instance is None:
        assert not mask.any()
        return
    assert (decode_counts(instance.counts, *mask.shape) == mask).all()
    x1, y1, x2, y2 = instance.box
    outside = mask.copy()
    outside[y1:y2, x1:x2] = False
    assert not outside.any()
    assert mask[y1, x1:x2].any()
    assert mask[y2 - 1, x1:x2].any()
    assert mask[y1:y2, x1].any()
    assert mask[y1:y2, x2 - 1].any()
    assert instance.area == mask.sum()
    assert mask[instance.anchor[1], instance.anchor[0]]


@given(pairs)
def test_overlap_measures_agree_with_pixels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    assert mask_iou(a, b) == mask_iou(b, a)
    assert 0 <= mask_iou(a, b) <= 1
    first, second = encode_mask(a), encode_mask(b)
    if first and second:
        height, width = a.shape
        [[here, itself]] = intersections([first], [second, first], (height, width))
        assert (here, itself) == (np.count_nonzero(a & b), np.count_nonzero(a))
        assert mask_ious(first, {7: second}, (height, width)) == {7: mask_iou(a, b)}


def test_the_anchor_of_a_ring_lies_on_the_ring() -> None:
    rows, columns = np.ogrid[:101, :101]
    distance = np.hypot(rows - 50, columns - 50)
    ring = (distance < 45) & (distance > 25)
    instance = encode_mask(ring)
    assert instance is not None
    x, y = instance.anchor
    assert ring[y - 5 : y + 6, x - 5 : x + 6].all()


def test_boxes_are_half_open() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[2:5, 3:4] = True
    assert tight_box(mask) == (3, 2, 4, 5)
    assert box_iou((0, 0, 2, 2), (1, 0, 3, 2)) == 2 / 6
    assert box_iou((0, 0, 1, 1), (1, 0, 2, 1)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
