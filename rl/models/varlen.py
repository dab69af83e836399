"""Attention over sequences of unequal lengths in one call, in place of one call a sequence.

The vision tower of Qwen2.5-VL attends within windows and within frames. transformers' `sdpa` calls the kernel once a window,
4,560 times a forward pass for 20 s of video; here each layer is one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "varlen_flash"
"""Name among transformers' attention implementations; with `flash` in it, models pass lengths instead of splitting."""


def varlen_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any = None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int | torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, of tokens to those of their own sequence.

    Args:
        module: that attends; unused.
        query: (1, heads, tokens, channels), bfloat16 or float16 on a GPU.
        key: of the same shape.
        value: of the same shape.
        attention_mask: unused; lengths say it all.
        scaling: of the products of queries and keys.
        cu_seq_lens_q: int32 (sequences + 1,), where each sequence starts; the last is the number of tokens.
        max_length_q: tokens of the longest sequence.

    Returns:
        (1, tokens, heads, channels), and no weights.
    """
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    # Kernels scale by the channels' root; a scale of one's own is not taken by all of them.
    default = query.shape[-1] ** -0.5
    q = q if scaling == default else q * (scaling / default)
    if not query.is_cuda:
        return _one_by_one(q, k, v, cu_seq_lens_q.tolist())[None], None
    return _kernel()(q, k, v, cu_seq_lens_q, cu_seq_lens_q, int(max_length_q), int(max_length_q))[None], None


def use_varlen_attention(tower: Any) -> None:
    """Let a vision tower of transformers attend so.

    Args:
        tower: such as `Qwen2_5_VisionTransformerPretrainedModel`.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, varlen_attention)
    tower.config._attn_implementation = NAME


def _kernel() -> Any:
    """flash-attn's kernel where it is installed, else torch's own; both take the same first arguments."""
    if find_spec("flash_attn") is not None:
        from flash_attn import flash_attn_varlen_func

        return flash_attn_varlen_func
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn


def _one_by_one(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
    """The same on a CPU, where there is no such kernel."""
    import torch

    q, k, v = (tensor.transpose(0, 1) for tensor in (q, k, v))
    attend = torch.nn.functional.scaled_dot_product_attention
    parts = [attend(q[:, a:b], k[:, a:b], v[:, a:b]) for a, b in pairwise(starts)]
    return torch.cat(parts, dim=1).transpose(0, 1)
