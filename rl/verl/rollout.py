"""Rollout `transformers` of verl for machines without a GPU, in place of vLLM.

The model lives in an actor of its own, which receives weights through Ray's object store and batches waiting requests.
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
from rl.verl.private import set_server

ROLLOUT = "transformers"
MAX_BATCH = 32
"""Most requests of one batch."""
_VISION = ("image_token_id", "video_token_id", "vision_start_token_id")
"""Placeholders of pixels, which are never generated: a response has no pixels."""


def server_name(rank: int) -> str:
    """Name of a replica's actor in Ray."""
    return f"{ROLLOUT}_server_{rank}"


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """A prompt to be continued.

    Attributes:
        prompt: token IDs.
        sampling: `temperature`, `top_p`, `top_k` and `max_tokens`, as verl names them.
        videos: frames, uint8 (count, height, width, 3), and metadata of each video in the prompt.
    """

    prompt: list[int]
    sampling: Mapping[str, float]
    videos: Sequence[tuple[Any, Any]]

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Requests with equal keys can share a batch."""
        return (sorted(self.sampling.items()), bool(self.videos))


_Pending = tuple[GenerationRequest, asyncio.Future[TokenOutput]]


class RolloutServer:
    """Generates responses with the weights that it received last.

    Args:
        config: verl's section `rollout`.
        model_config: verl's section `model`.
    """

    def __init__(self, config: Any, model_config: Any) -> None:
        self._config: RolloutConfig = omega_conf_to_dataclass(config)
        info: HFModelConfig = omega_conf_to_dataclass(model_config, dataclass_type=HFModelConfig)
        loader: Any = get_hf_auto_model_class(hf_config=info.hf_config)
        self._model = loader.from_pretrained(info.local_path, config=info.hf_config, dtype=torch.float32).eval()
        self._processor, self._pad = info.processor, info.tokenizer.pad_token_id
        self._lock = asyncio.Lock()
        self._waiting: list[_Pending] = []
        self._step: int | None = None

    async def no_op(self, *_: Any, **__: Any) -> None:
        """Implement the methods of verl's servers that have no effect here."""

    ready = sleep = wake_up = clear_kv_cache = release_kv_cache = resume_kv_cache = no_op
    abort_all_requests = resume_generation = start_profile = stop_profile = no_op

    async def load_weights(self, weights: Mapping[str, torch.Tensor], step: int | None) -> None:
        """Replace the weights.

        Args:
            weights: parameter name -> float32 tensor on the CPU.
            step: number of the update that produced them, which responses carry.

        Raises:
            RuntimeError: a parameter is missing or unknown.
        """
        async with self._lock:
            self._model.load_state_dict(weights, strict=True)
            self._step = step

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, float], video_data: Any = None, **_: Any
    ) -> TokenOutput:
        """Generate a response, in one batch with the waiting requests of equal sampling.

        Args:
            request_id: verl's ID of the request; not used.
            prompt_ids: token IDs of the prompt.
            sampling_params: how tokens are drawn.
            video_data: frames and metadata of each video in the prompt.
        """
        future: asyncio.Future[TokenOutput] = asyncio.get_running_loop().create_future()
        self._waiting.append((GenerationRequest(prompt_ids, sampling_params, video_data or ()), future))
        async with self._lock:
            if not future.done():
                await self._resolve(self._next_batch())
        return await future

    def _next_batch(self) -> list[_Pending]:
        key = self._waiting[0][0].batch_key
        batch = [pending for pending in self._waiting if pending[0].batch_key == key][:MAX_BATCH]
        self._waiting = [pending for pending in self._waiting if pending not in batch]
        return batch

    async def _resolve(self, batch: list[_Pending]) -> None:
        try:
            outputs = await asyncio.to_thread(self._generate_batch, [request for request, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), output in zip(batch, outputs, strict=True):
            future.set_result(output)

    @torch.inference_mode()
    def _generate_batch(self, requests: Sequence[GenerationRequest]) -> list[TokenOutput]:
        inputs = self._inputs(requests)
        length = inputs["input_ids"].shape[1]
        output = self._model.generate(**inputs, generation_config=self._generation_config(requests[0]))
        tokens = output.sequences[:, length:]
        log_probs = torch.stack(output.scores, dim=1).float().log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
        return [self._token_output(*row) for row in zip(tokens.tolist(), log_probs.tolist(), strict=True)]

    def _token_output(self, tokens: list[int], log_probs: list[float]) -> TokenOutput:
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        length = next((n + 1 for n, token in enumerate(tokens) if token in ends), len(tokens))
        return TokenOutput(
            token_ids=tokens[:length],
            log_probs=log_probs[:length],
            stop_reason="completed",
            extra_fields={"global_steps": self._step},
        )

    def _inputs(self, requests: Sequence[GenerationRequest]) -> dict[str, torch.Tensor]:
        """Tensors of a batch: prompts padded on the left, pixels as the processor makes them, positions as the actor's."""
        length = max(len(request.prompt) for request in requests)
        ids = torch.tensor([[self._pad] * (length - len(request.prompt)) + request.prompt for request in requests])
        mask = torch.tensor([[0] * (length - len(request.prompt)) + [1] * len(request.prompt) for request in requests])
        batch: Any = {"input_ids": ids, "attention_mask": mask}
        if videos := [video for request in requests for video in request.videos]:
            batch |= self._pixels(videos)
        return {key: value for key, value in add_positions(batch, self._model.config).items() if key != "second_per_grid_ts"}

    def _pixels(self, videos: Sequence[tuple[Any, Any]]) -> dict[str, torch.Tensor | list[float]]:
        processor = self._processor.video_processor
        metadata: Any = import_module("transformers.video_utils").VideoMetadata
        timing = [metadata(**values) for _, values in videos]
        unchanged = {"do_sample_frames": False, "do_resize": False}
        tensors = processor([frames for frames, _ in videos], video_metadata=timing, return_tensors="pt", **unchanged)
        seconds = [processor.temporal_patch_size / values.sampled_fps for values in timing]
        return {name: tensors[name] for name in ("pixel_values_videos", "video_grid_thw")} | {"second_per_grid_ts": seconds}

    def _generation_config(self, request: GenerationRequest) -> Any:
        """A complete configuration, so that no default of a model's folder affects sampling."""
        defaults, config, sampling = self._model.generation_config, self._model.config, {}
        if temperature := request.sampling.get("temperature", 1.0):
            sampling = {"temperature": temperature, "top_p": request.sampling.get("top_p", 1.0)}
            sampling["top_k"] = max(0, request.sampling.get("top_k", 0))
        return import_module("transformers").GenerationConfig(
            max_new_tokens=request.sampling.get("max_tokens") or self._config.response_length,
            do_sample=bool(sampling),
            suppress_tokens=[getattr(config, name) for name in _VISION],
            return_dict_in_generate=True,
            output_scores=True,
            eos_token_id=defaults.eos_token_id,
            pad_token_id=self._pad,
            **sampling,
        )


class Replica(RolloutReplica):
    """verl's handle of a server."""

    async def launch_servers(self) -> None:
        """Start the actor; it reserves no device, since it generates while training waits."""
        options = {"name": server_name(self.replica_rank), "max_concurrency": self.max_concurrency, "num_cpus": 0}
        server = ray.remote(RolloutServer).options(**options).remote(self.config, self.model_config)
        await server.ready.remote()
        self.servers = [server]
        set_server(self, server, server_name(self.replica_rank))


class Adapter(BaseRollout):
    """Sends the weights of a training worker to its replica's server.

    Args:
        config: verl's section `rollout`.
        model_config: verl's section `model`.
        device_mesh: of the training workers.
        replica_rank: number of the replica; -1 derives it from the worker's rank.
    """

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1) -> None:
        super().__init__(config, model_config, device_mesh)
        size, rank = self.config.tensor_model_parallel_size, int(os.environ["RANK"])
        self._replica, self._leads = rank // size if replica_rank == -1 else replica_rank, rank % size == 0

    async def resume(self, tags: list[str]) -> None:
        """Do nothing: no memory was released."""

    async def release(self) -> None:
        """Do nothing: no memory is reserved."""

    async def update_weights(
        self, weights: Iterator[tuple[str, torch.Tensor]], wire_format: str = "named_tensors", **kwargs: Any
    ) -> None:
        """Send all weights; every rank takes part in gathering them, and one of each replica sends.

        Args:
            weights: name and tensor of each parameter.
            wire_format: only `named_tensors` is supported.
            kwargs: `global_steps` is the number of the update.

        Raises:
            NotImplementedError: the weights have another format.
        """
        if wire_format != "named_tensors":
            raise NotImplementedError(f"the rollout '{ROLLOUT}' takes named tensors, not {wire_format}")
        state = {name: tensor.detach().to("cpu", torch.float32).clone() for name, tensor in weights}
        if self._leads:
            server = ray.get_actor(server_name(self._replica))
            await server.load_weights.remote(state, kwargs.get("global_steps"))
