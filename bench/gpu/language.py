"""A language model of Qwen2.5-3B's shape with random weights, and log-probabilities of tokens under it."""

from __future__ import annotations

from typing import Any

SHAPE_3B = {
    "vocab_size": 151_936,
    "hidden_size": 2048,
    "intermediate_size": 11_008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
}
SHAPE_DRY = SHAPE_3B | {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def build_language_model(dry: bool, dtype: Any) -> Any:
    """The model, on the GPU unless it is a dry run.

    Args:
        dry: whether it is tiny.
        dtype: of its weights; drawn in float32, so that they differ between dtypes only by rounding.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(**(SHAPE_DRY if dry else SHAPE_3B))
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    with torch.device("cpu" if dry else "cuda"):
        return Qwen2ForCausalLM(config).to(dtype)


def answer_logprobs(model: Any, tokens: Any, answer: int, every_logit: bool = False) -> Any:
    """Log-probabilities of the last tokens, float32 (rows, answer).

    Args:
        model: a causal language model.
        tokens: int64 (rows, length).
        answer: how many of the last tokens are of the answer.
        every_logit: whether logits of the prompt are computed too, as verl does it.
    """
    logits = model(tokens, use_cache=False, logits_to_keep=0 if every_logit else answer + 1).logits[:, -answer - 1 : -1]
    return token_logprobs(logits, tokens[:, -answer:])


def token_logprobs(logits: Any, tokens: Any) -> Any:
    """Log-probabilities of tokens, float32 of the tokens' shape, from logits of one more dimension."""
    import torch

    chosen = logits.gather(-1, tokens[..., None])[..., 0].float()
    return chosen - torch.logsumexp(logits.float(), dim=-1)
