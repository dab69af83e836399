"""The rollout of a CPU: a batch answers as each would alone, and says how likely its tokens were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import decode_frames, load_processor, prepare_batch, video_metadata
from rl.models.families import Model
from rl.prompts.templates import prompt_named

pytestmark = pytest.mark.heavy

LENGTH = 8
GREEDY = {"temperature": 0.0, "logprobs": True}


@pytest.fixture(scope="module")
def server(tiny: Callable[[str], Model]) -> Any:
    """A server with the tiny model, made as its constructor would."""
    from transformers import AutoModelForImageTextToText

    from rl.verl.rollout import RolloutServer

    model = tiny("tiny")
    assert model.weights is not None
    made = object.__new__(RolloutServer)
    made._model = AutoModelForImageTextToText.from_pretrained(model.weights.path).eval()
    made._processor = load_processor(model)
    made._pad, made._config = made._processor.tokenizer.pad_token_id, SimpleNamespace(response_length=LENGTH)
    made._waiting, made._step = [], 5
    return made


@pytest.fixture(scope="module")
def prompts(server: Any, tiny: Callable[[str], Model], visual: Callable[..., VisualInput]) -> list[tuple[list[int], Any]]:
    """Prompts of several lengths and rates, as verl hands them on: tokens, and frames with their times."""
    made = []
    for number, (words, fps) in enumerate([("It moves.", 2.0), ("The red one moves to the left.", 1.0), ("Both.", 4.0)]):
        clip = visual(4 + 2 * number, fps=fps, size=(56, 84), seed=number)
        asked = Request("", prompt_named("figure-5").messages(words), clip)
        inputs = prepare_batch(server._processor, tiny("tiny").family, server._model.config, [asked])
        made.append((inputs["input_ids"][0].tolist(), [(decode_frames(clip), video_metadata(clip))]))
    return made


def generate(server: Any, prompts: list[tuple[list[int], Any]], sampling: dict[str, Any]) -> list[Any]:
    async def together() -> list[Any]:
        server._lock = asyncio.Lock()  # of this loop
        every = [{"prompt_ids": ids, "sampling_params": sampling, "video_data": videos} for ids, videos in prompts]
        return list(await asyncio.gather(*[server.generate(str(n), **asked) for n, asked in enumerate(every)]))

    return asyncio.run(together())


def test_a_batch_answers_as_each_alone(server: Any, prompts: list[tuple[list[int], Any]]) -> None:
    together = generate(server, prompts, GREEDY)
    for prompt, answer in zip(prompts, together, strict=True):
        [alone] = generate(server, [prompt], GREEDY)
        assert alone.token_ids == answer.token_ids
        assert alone.log_probs == pytest.approx(answer.log_probs, abs=1e-4)
        assert 0 < len(answer.token_ids) == len(answer.log_probs) <= LENGTH
        assert answer.extra_fields == {"global_steps": 5}
        assert answer.stop_reason == "completed"


def test_likelihoods_are_the_actors(server: Any, prompts: list[tuple[list[int], Any]]) -> None:
    """One forward pass over prompt and answer, at the positions that the actor computes."""
    import torch

    ids, videos = prompts[1]
    [answer] = generate(server, [(ids, videos)], {"temperature": 1.0, "top_p": 1.0, "top_k": -1})
    from rl.verl.rollout import GenerationRequest

    inputs = server._inputs([GenerationRequest([*ids, *answer.token_ids], {}, videos)])
    with torch.inference_mode():
        likely = server._model(**inputs).logits[0].log_softmax(-1)
    expected = [float(likely[len(ids) - 1 + n, token]) for n, token in enumerate(answer.token_ids)]
    assert answer.log_probs == pytest.approx(expected, abs=0.02), "but for the tokens that may not be said"


def test_tokens_that_stand_for_pixels_are_not_said(server: Any, prompts: list[tuple[list[int], Any]]) -> None:
    import torch

    config = server._model.config
    with torch.no_grad():
        kept = server._model.lm_head.weight.clone()
        server._model.lm_head.weight[config.video_token_id] = kept.sum(0) * 10
    try:
        answers = generate(server, prompts, GREEDY)
    finally:
        with torch.no_grad():
            server._model.lm_head.weight.copy_(kept)
    assert not any(config.video_token_id in answer.token_ids for answer in answers)


def test_what_cannot_be_answered_fails_and_does_not_wait(server: Any, prompts: list[tuple[list[int], Any]]) -> None:
    ids, _ = prompts[0]
    with pytest.raises(ValueError, match="refer to a video or an image that was not given"):
        generate(server, [(ids, None)], GREEDY)
    assert generate(server, prompts[:1], GREEDY)[0].token_ids, "and the next one is answered"


def test_weights_must_be_all_and_only_the_models(server: Any) -> None:
    weights = dict(server._model.state_dict())
    server._lock = asyncio.Lock()
    asyncio.run(server.load_weights(weights, 7))
    assert server._step == 7
    server._step = 5
    weights.pop(next(iter(weights)))
    with pytest.raises(RuntimeError, match="Missing key"):
        asyncio.run(server.load_weights(weights, 8))
    assert server._step == 5
