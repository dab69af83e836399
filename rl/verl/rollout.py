"""Rollout `transformers` for verl: a plain model in an actor of its own, whose weights come through Ray's object store.

For machines without a GPU, in place of vLLM. Requests that wait together are answered as one batch.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ray
import torch
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.model import get_hf_auto_model_class
from verl.workers.config import HFModelConfig, RolloutConfig
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

from rl.engines.positions import add_positions

NAME = "transformers"
MOST = 32
"""Requests answered together."""
_VISION = ("image_token_id", "video_token_id", "vision_start_token_id")
"""Tokens that stand for pixels: said by a model, they would stand for pixels that are not there."""


def server_name(rank: int) -> str:
    """Name of a replica's actor."""
    return f"{NAME}_server_{rank}"


@dataclass(frozen=True, eq=False)
class Asked:
    """One request: prompt, how to draw, and the videos in it, each frames (count, height, width, 3) with their metadata."""

    prompt: list[int]
    sampling: Mapping[str, Any]
    videos: Sequence[tuple[Any, Any]]


class Server:
    """Answers token for token with the weights it got last."""

    def __init__(self, config: Any, model_config: Any) -> None:
        self._config: RolloutConfig = omega_conf_to_dataclass(config)
        info: HFModelConfig = omega_conf_to_dataclass(model_config, dataclass_type=HFModelConfig)
        loader: Any = get_hf_auto_model_class(hf_config=info.hf_config)
        self._model = loader.from_pretrained(info.local_path, config=info.hf_config, dtype=torch.float32).eval()
        self._processor, self._pad = info.processor, info.tokenizer.pad_token_id
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Asked, asyncio.Future[TokenOutput]]] = []
        self._step: int | None = None

    async def nothing(self, *_: Any, **__: Any) -> None:
        """Up, and with nothing to put to sleep, to wake, to abort or to profile."""

    ready = sleep = wake_up = clear_kv_cache = release_kv_cache = resume_kv_cache = nothing
    abort_all_requests = resume_generation = start_profile = stop_profile = nothing

    async def load_weights(self, weights: Mapping[str, torch.Tensor], step: int | None) -> None:
        """Take the weights of a step.

        Raises:
            RuntimeError: they are not all of this model's, or others.
        """
        async with self._turn:
            self._model.load_state_dict(weights, strict=True)
            self._step = step

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], video_data: Any = None, **_: Any
    ) -> TokenOutput:
        """Answer a request, with all that wait when its turn comes and are drawn alike."""
        done: asyncio.Future[TokenOutput] = asyncio.get_running_loop().create_future()
        self._waiting.append((Asked(prompt_ids, sampling_params, video_data or ()), done))
        async with self._turn:
            if not done.done():
                await self._answer(self._batch())
        return await done

    def _batch(self) -> list[tuple[Asked, asyncio.Future[TokenOutput]]]:
        first = self._waiting[0][0]
        alike = [one for one in self._waiting if _kind(one[0]) == _kind(first)][:MOST]
        self._waiting = [one for one in self._waiting if one not in alike]
        return alike

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[TokenOutput]]]) -> None:
        try:
            outputs = await asyncio.to_thread(self._generated, [asked for asked, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), output in zip(batch, outputs, strict=True):
            future.set_result(output)

    @torch.inference_mode()
    def _generated(self, asked: Sequence[Asked]) -> list[TokenOutput]:
        inputs = self._inputs(asked)
        length = inputs["input_ids"].shape[1]
        made = self._model.generate(**inputs, generation_config=self._drawing(asked[0]))
        tokens = made.sequences[:, length:]
        likely = torch.stack(made.scores, dim=1).float().log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
        return [self._output(*row) for row in zip(tokens.tolist(), likely.tolist(), strict=True)]

    def _output(self, tokens: list[int], likely: list[float]) -> TokenOutput:
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        length = next((n + 1 for n, token in enumerate(tokens) if token in ends), len(tokens))
        told = {"global_steps": self._step}
        return TokenOutput(token_ids=tokens[:length], log_probs=likely[:length], stop_reason="completed", extra_fields=told)

    def _inputs(self, asked: Sequence[Asked]) -> dict[str, Any]:
        """Prompts padded on the left, pixels as the processor makes them, positions as the actor computes them."""
        length = max(len(one.prompt) for one in asked)
        ids = torch.tensor([[self._pad] * (length - len(one.prompt)) + one.prompt for one in asked])
        mask = torch.tensor([[0] * (length - len(one.prompt)) + [1] * len(one.prompt) for one in asked])
        batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if videos := [video for one in asked for video in one.videos]:
            batch |= self._pixels(videos)
        return {key: value for key, value in add_positions(batch, self._model.config).items() if key != "second_per_grid_ts"}

    def _pixels(self, videos: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        processor = self._processor.video_processor
        metadata: Any = import_module("transformers.video_utils").VideoMetadata
        told = [metadata(**about) for _, about in videos]
        as_stored = {"do_sample_frames": False, "do_resize": False}
        made = processor([frames for frames, _ in videos], video_metadata=told, return_tensors="pt", **as_stored)
        seconds = [processor.temporal_patch_size / about.sampled_fps for about in told]
        return {name: made[name] for name in ("pixel_values_videos", "video_grid_thw")} | {"second_per_grid_ts": seconds}

    def _drawing(self, asked: Asked) -> Any:
        """Said in full, so that no default of a model's folder changes what is drawn."""
        own, config, drawn = self._model.generation_config, self._model.config, {}
        if temperature := asked.sampling.get("temperature", 1.0):
            drawn = {"temperature": temperature, "top_p": asked.sampling.get("top_p", 1.0)}
            drawn["top_k"] = max(0, asked.sampling.get("top_k", 0))
        return import_module("transformers").GenerationConfig(
            max_new_tokens=asked.sampling.get("max_tokens") or self._config.response_length,
            do_sample=bool(drawn),
            suppress_tokens=[getattr(config, name) for name in _VISION],
            return_dict_in_generate=True,
            output_scores=True,
            eos_token_id=own.eos_token_id,
            pad_token_id=self._pad,
            **drawn,
        )


def _kind(asked: Asked) -> tuple[Any, ...]:
    """What requests of one batch have in common."""
    return (sorted(asked.sampling.items()), bool(asked.videos))


class Replica(RolloutReplica):
    """A server as verl starts it."""

    async def launch_servers(self) -> None:
        """Start the actor; it takes no slot, since it works while training waits."""
        options = {"name": server_name(self.replica_rank), "max_concurrency": self.max_concurrency, "num_cpus": 0}
        server = ray.remote(Server).options(**options).remote(self.config, self.model_config)
        await server.ready.remote()
        self.servers, self._server_handle, self._server_address = [server], server, server_name(self.replica_rank)


class Adapter(BaseRollout):
    """In the training worker: hands its weights to its replica's server."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1) -> None:
        super().__init__(config, model_config, device_mesh)
        size, rank = self.config.tensor_model_parallel_size, int(os.environ["RANK"])
        self._replica, self._leads = rank // size if replica_rank == -1 else replica_rank, rank % size == 0

    async def resume(self, tags: list[str]) -> None:
        """Nothing was let go."""

    async def release(self) -> None:
        """Nothing is held."""

    async def update_weights(
        self, weights: Iterator[tuple[str, torch.Tensor]], wire_format: str = "named_tensors", **kwargs: Any
    ) -> None:
        """Send all weights; every rank takes part in gathering them, one sends.

        Raises:
            NotImplementedError: weights come in another form than whole tensors.
        """
        if wire_format != "named_tensors":
            raise NotImplementedError(f"the rollout '{NAME}' takes named tensors, no {wire_format}")
        state = {name: tensor.detach().to("cpu", torch.float32).clone() for name, tensor in weights}
        if self._leads:
            server = ray.get_actor(server_name(self._replica))
            await server.load_weights.remote(state, kwargs.get("global_steps"))
