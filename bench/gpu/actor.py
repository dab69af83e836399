"""One step of the actor at world size 1: a 3B language model in bfloat16, with weights and AdamW in float32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bench.figures import Figure, told
from bench.gpu.language import answer_logprobs, build_language_model
from bench.gpu.machine import gib, median_seconds, synchronize

PROMPT, ANSWER, ANSWERS = 8192, 1024, 8
"""Tokens of a prompt and of an answer, and answers of a step: those of the recipe `stvg-r1`."""
BF16_TFLOPS = 989.0
"""Dense bfloat16 products of an H100 SXM at its best, TFLOP/s."""


def figures(dry: bool) -> Iterator[Figure]:
    """Seconds, tokens a second and peak memory of a step; then the memory if all logits are computed."""
    import torch

    prompt, answer, repeats = (24, 8, 1) if dry else (PROMPT, ANSWER, 3)
    model = build_language_model(dry, torch.bfloat16)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    optimizer = MasterAdamW(model)
    tokens = torch.randint(0, model.config.vocab_size, (1, prompt + answer), device=model.device)
    step = Step(model, tokens, answer)
    if not dry:
        torch.cuda.reset_peak_memory_stats()
    seconds = median_seconds(step, repeats, warm=1)
    length, count = tokens.shape[1], sum(p.numel() for p in model.parameters())
    how = f"{length} tokens, activations recomputed, {count / 1e9:.2f}e9 weights"
    yield told("seconds forward and backward of one answer", seconds, how)
    for name in ("the first", "a later"):
        yield told(f"seconds of AdamW, {name} step", update := _update_seconds(step, optimizer), "float32 weights and moments")
    whole = ANSWERS * seconds + update
    yield told("tokens/s of a step", ANSWERS * length / whole, f"{ANSWERS} answers one by one, then AdamW")
    share = 6 * count * length / seconds / 1e12 / BF16_TFLOPS
    yield told("share of the card's peak", share, "6 x weights x tokens; recomputation and attention not counted")
    yield _peak("forward, backward and AdamW, logits of the answer only", dry)
    yield from _every_logit(step, dry)


def _update_seconds(step: Step, optimizer: MasterAdamW) -> float:
    step()
    synchronize()
    start = time.perf_counter()
    optimizer.step()
    synchronize()
    return time.perf_counter() - start


def _every_logit(step: Step, dry: bool) -> Iterator[Figure]:
    import torch

    step.every_logit = True
    if not dry:
        torch.cuda.reset_peak_memory_stats()
    try:
        step()
    except torch.OutOfMemoryError as error:
        yield told("peak memory, GiB", 0.0, f"forward and backward, logits of prompt and answer: {str(error)[:120]}")
    else:
        yield _peak("forward and backward, logits of prompt and answer", dry)


def _peak(how: str, dry: bool) -> Figure:
    import torch

    return told("peak memory, GiB", 0.0 if dry else gib(torch.cuda.max_memory_allocated()), how)


class Step:
    """Forward and backward of one answer by the loss of GRPO with one update a batch."""

    def __init__(self, model: Any, tokens: Any, answer: int) -> None:
        self._model, self._tokens, self._answer = model, tokens, answer
        self.every_logit = False

    def __call__(self) -> None:
        """Gradients are added to the model's."""
        logprobs = answer_logprobs(self._model, self._tokens, self._answer, self.every_logit)
        (-(logprobs - logprobs.detach()).exp().mean()).backward()


class MasterAdamW:
    """AdamW over float32 copies of a model's weights, as verl's FSDP keeps them."""

    def __init__(self, model: Any) -> None:
        import torch

        self._weights = list(model.parameters())
        self._masters = [torch.nn.Parameter(weight.detach().float()) for weight in self._weights]
        self._adam = torch.optim.AdamW(self._masters, lr=1e-6, weight_decay=0.0, foreach=False, fused=True)

    def step(self) -> None:
        """Update the copies by the model's gradients, and the model by the copies; the gradients are dropped."""
        import torch

        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                master.grad, weight.grad = weight.grad.float(), None
            self._adam.step()
            self.drop()
            for weight, master in zip(self._weights, self._masters, strict=True):
                weight.copy_(master)

    def drop(self) -> None:
        """Drop gradients of both."""
        for weight in [*self._weights, *self._masters]:
            weight.grad = None
