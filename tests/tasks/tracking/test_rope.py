"""The attention that `torch.compile` fuses is that of the package."""

from __future__ import annotations

import pytest
import torch

from tasks.tracking.sam2.rope import FusedRoPEAttention

SIDE, OBJECTS, POINTERS = 4, 3, 5


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(("frames", "pointers"), [(1, 0), (3, POINTERS)])
def test_fused_attention_is_that_of_the_package(frames: int, pointers: int, narrow: bool) -> None:
    torch.manual_seed(0)
    options = {"embedding_dim": 32, "num_heads": 1, "feat_sizes": (SIDE, SIDE), "rope_k_repeat": True}
    attention = FusedRoPEAttention(**options, kv_in_dim=8).eval()
    q, k = torch.randn(OBJECTS, SIDE**2, 32), torch.randn(OBJECTS, frames * SIDE**2 + pointers, 8)
    v = torch.randn_like(k)
    with torch.no_grad():
        expected = attention(q, k, v, pointers)
        assert float((attention.fused(q, k, v, pointers, narrow) - expected).abs().max()) < 1e-5
        assert float((attention.fused(q, k.flip(1), v, pointers, narrow) - expected).abs().max()) > 1e-3


def test_weights_are_those_of_a_checkpoint() -> None:
    assert "table" not in FusedRoPEAttention(embedding_dim=32, num_heads=1, feat_sizes=(SIDE, SIDE)).state_dict()
