"""How far log-probabilities in bfloat16 are from those in float32, and rollout from actor, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.figures import Figure, told
from bench.gpu.language import answer_logprobs, build_language_model, token_logprobs

ROWS, PROMPT, ANSWER = 8, 512, 192
SHARPNESS = (1.0, 4.0)
"""Factors of the last norm: random weights alone give nearly equal probabilities; four times as large logits give peaks."""


def figures(dry: bool) -> Iterator[Figure]:
    """Differences and agreement, on answers that the bfloat16 model draws."""
    import torch

    rows, prompt, answer = (2, 8, 4) if dry else (ROWS, PROMPT, ANSWER)
    exact, half = (build_language_model(dry, dtype).eval() for dtype in (torch.float32, torch.bfloat16))
    prompts = torch.randint(0, half.config.vocab_size, (rows, prompt), device=half.device)
    for sharpness in SHARPNESS:
        for model in (exact, half):
            model.model.norm.weight.data.fill_(sharpness)
        with torch.no_grad():
            tokens, rollout = _answered(half, prompts, answer)
            actor, true = (answer_logprobs(model, tokens, answer) for model in (half, exact))
        label, how = f"logits x {sharpness:g}", f"{true.numel()} tokens, mean log-probability {float(true.mean()):.2f}"
        for pair, one, other in (
            ("bfloat16 from float32", actor, true),
            ("rollout from actor, both bfloat16", rollout, actor),
        ):
            apart = (one - other).abs()
            yield told(f"mean difference of a log-probability, {pair}, {label}", float(apart.mean()), how)
            yield told(f"largest difference of a log-probability, {pair}, {label}", float(apart.max()), how)
            both = torch.stack([one.exp().flatten(), other.exp().flatten()])
            yield told(f"Pearson correlation of probabilities, {pair}, {label}", float(torch.corrcoef(both)[0, 1]), how)


def _answered(model: Any, prompts: Any, answer: int) -> tuple[Any, Any]:
    """Prompts with answers that are drawn token by token with a cache, and the log-probabilities under which they were."""
    import torch

    options = {"do_sample": True, "top_k": 0, "max_new_tokens": answer, "pad_token_id": 0, "eos_token_id": None}
    out = model.generate(prompts, **options, output_logits=True, return_dict_in_generate=True)
    logprobs = [
        token_logprobs(logits, token) for logits, token in zip(out.logits, out.sequences[:, -answer:].unbind(1), strict=True)
    ]
    return out.sequences, torch.stack(logprobs, dim=1)
