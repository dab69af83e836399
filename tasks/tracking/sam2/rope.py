"""SAM2's attention with rotary position encoding, in a form that `torch.compile` fuses.

The package rotates by complex products in float32, which are not fused: at 16 objects they move some 10 GB a frame. Compiled,
this class rotates by real products, in one pass over keys. Not compiled, it is the package's.
"""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253  this module is imported only to build a model
from sam2.modeling.sam.transformer import RoPEAttention  # noqa: TID253

LEAST_CAPABILITY = (9, 0)
"""From Hopper on torch attends by cuDNN, which takes values narrower than keys: 2.05 ms in place of 2.64 for 16 objects."""


class FusedRoPEAttention(RoPEAttention):  # type: ignore[misc]
    """Attention of one frame's tokens to tokens of frames, keys rotated by their place in their frame."""

    table: torch.Tensor

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the package's arguments."""
        super().__init__(*args, **options)
        self.register_buffer("table", torch.view_as_real(self.freqs_cis).clone(), persistent=False)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, num_k_exclude_rope: int = 0) -> torch.Tensor:
        """Attend; in evaluation only, since there is no dropout.

        Args:
            q: (objects, tokens, channels) of the frame.
            k: (objects, n x tokens + pointers, channels) of memories, or of the frame itself.
            v: of the shape of `k`.
            num_k_exclude_rope: pointers, at the end of `k`, which are not rotated.
        """
        if not torch.compiler.is_compiling() or len(self.table) != q.shape[1]:
            attended: torch.Tensor = super().forward(q, k, v, num_k_exclude_rope)
            return attended
        return self.fused(q, k, v, num_k_exclude_rope, narrow=_takes_narrow_values(q))

    def fused(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, pointers: int, narrow: bool) -> torch.Tensor:
        """The same by real products.

        Args:
            q: as `forward` takes it, and so the next three.
            k: see `q`.
            v: see `q`.
            pointers: keys that are not rotated.
            narrow: whether values are projected after attention instead of before it; weights of a token add up to one, so both
                are the same.
        """
        query = rotated(self._separate_heads(self.q_proj(q), self.num_heads), self.table)
        key = self._separate_heads(self.k_proj(k), self.num_heads)
        places = key.shape[2] - pointers
        key = torch.cat([rotated(key[:, :, :places], self.table), key[:, :, places:]], dim=2)
        attend = torch.nn.functional.scaled_dot_product_attention
        if narrow and self.num_heads == 1:
            return self._out(self.v_proj(attend(query, key, v[:, None].to(key.dtype))[:, 0]))
        value = self._separate_heads(self.v_proj(v), self.num_heads)
        return self._out(self._recombine_heads(attend(query, key, value)))

    def _out(self, heads: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out_proj(heads)
        return out


def rotated(tokens: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Tokens rotated by their place in their frame, as `apply_rotary_enc` of the package rotates them.

    Args:
        tokens: (objects, heads, n x places, channels), of n frames one after another.
        table: float32 (places, channels / 2, 2), cosine and sine of each pair of channels.

    Returns:
        The same shape and dtype.
    """
    objects, heads, _, channels = tokens.shape
    pairs = tokens.float().reshape(objects, heads, -1, len(table), channels // 2, 2)
    (a, b), (cos, sin) = pairs.unbind(-1), table.unbind(-1)
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
    return turned.flatten(4).flatten(2, 3).type_as(tokens)


def _takes_narrow_values(q: torch.Tensor) -> bool:
    return q.is_cuda and torch.cuda.get_device_capability(q.device) >= LEAST_CAPABILITY
