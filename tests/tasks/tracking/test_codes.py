"""Run-length codes from the ends of runs are those of whole masks."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.masks.instances import encode_mask
from tasks.tracking.sam2.codes import encode_stack


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_instances_are_those_of_whole_masks(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.random((2, height, width)) < share
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - rng.uniform(0, height), x - rng.uniform(0, width))
    ring = (distance < rng.uniform(5, 30)) & (distance > rng.uniform(0, 20))
    masks = np.stack([*noise, ring, np.zeros_like(ring), np.ones_like(ring)])
    assert encode_stack(torch.from_numpy(masks)) == [encode_mask(mask) for mask in masks]
