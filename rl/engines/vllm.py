"""Engine for whole benchmarks: offline vLLM on the GPUs of one machine. Needs the `cluster` extra."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rl.engines.base import EngineCrashError, EngineError, EngineIdentity, Request, Response, prompt_too_long
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.inputs import chat_text, decode_frames, load_processor, video_metadata, vllm_options
from rl.models.families import Family, Model

_NOT_INSTALLED = "vLLM is not installed: `make install EXTRA=cluster`, or take another engine"
_LENGTH = re.compile(r"prompt \(length (\d+)\)", re.ASCII)
"""Part of the message of vLLM 0.28 about a prompt that leaves no room for an answer."""


class VllmEngine:
    """Runs a model in vLLM."""

    def __init__(
        self, model: Model, decoding: DecodingConfig, config: EngineConfig, memory: float = 0.9, **options: Any
    ) -> None:
        """Load a model from its folder; nothing is downloaded and no code of the folder runs.

        Args:
            model: A model with local weights.
            decoding: Sampling settings of every response.
            config: Number of GPUs that the model is split over, and maximum length.
            memory: Fraction of each GPU's memory that vLLM may use, in (0, 1].
            options: Further arguments of `vllm.LLM`.

        Raises:
            EngineError: vLLM is not installed, or cannot load the model.
        """
        assert model.weights is not None
        try:
            import vllm
        except ImportError as error:
            raise EngineError(_NOT_INSTALLED) from error
        self._model, self._decoding, self._version, self._limit = model, decoding, vllm.__version__, config.max_length
        defaults = {
            "tensor_parallel_size": config.gpus,
            "max_model_len": config.max_length,
            "gpu_memory_utilization": memory,
            "limit_mm_per_prompt": {"video": 1, "image": 1},
            # Decoding settings are explicit, unless the preset is the folder's own.
            "generation_config": "auto" if decoding.preset == "released" else "vllm",
            "mm_processor_cache_gb": 0,  # a cached video would keep the times of its first request
            "trust_remote_code": False,
            "seed": decoding.seed,
        }
        try:
            self._llm: Any = vllm.LLM(str(model.weights.path), **{**defaults, **options})
        except (ValueError, RuntimeError, OSError, vllm.exceptions.VLLMError) as error:
            raise EngineError(f"vLLM cannot load '{model.name}': {_first_line(error)}") from error
        self._processor: Any = load_processor(model)

    @property
    def identity(self) -> EngineIdentity:
        """Hash of the weights, limit and version of vLLM."""
        return _identity(self._model, self._limit, self._version)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch, which vLLM schedules.

        Raises:
            EngineCrashError: vLLM stopped working.
        """
        from vllm.exceptions import VLLMServerError

        started = time.perf_counter()
        inputs = [(vllm_prompt(self._processor, self._model.family, request), self._sampling(request)) for request in requests]
        try:
            outputs = self._outputs(inputs)
        except VLLMServerError as error:
            raise EngineCrashError(f"vLLM stopped working: {_first_line(error)}") from error
        seconds = time.perf_counter() - started
        return [self._refused(output) if isinstance(output, Exception) else _response(output, seconds) for output in outputs]

    def _outputs(self, inputs: Sequence[tuple[Any, Any]]) -> list[Any]:
        """Output of vLLM for each (prompt, sampling), in order; the error for a prompt that it refuses."""
        from vllm.exceptions import VLLMClientError

        prompts, sampling = zip(*inputs, strict=True)
        try:
            return list(self._llm.generate(list(prompts), list(sampling), use_tqdm=False))
        except VLLMClientError as error:  # vLLM refuses the whole batch for one prompt
            if len(inputs) == 1:
                return [error]
            half = len(inputs) // 2
            return self._outputs(inputs[:half]) + self._outputs(inputs[half:])

    def _refused(self, error: Exception) -> Response:
        length = _LENGTH.search(str(error))
        return (
            prompt_too_long(int(length[1]), self._limit)
            if length
            else Response("", "failed", reason=f"refused: {_first_line(error)}")
        )

    def _sampling(self, request: Request) -> Any:
        from vllm import SamplingParams

        from storage.folders.files import json_digest

        decoding = self._decoding
        seed = int(json_digest([decoding.seed, request.key])[:7], 16)
        if decoding.preset == "released":
            sampling = self._llm.get_default_sampling_params()
            sampling.max_tokens, sampling.seed = decoding.token_limit, seed
            return sampling
        return SamplingParams(max_tokens=decoding.max_tokens, temperature=decoding.temperature, top_p=decoding.top_p, seed=seed)

    def close(self) -> None:
        """Release the GPUs."""
        del self._llm


def vllm_identity(model: Model, max_length: int) -> EngineIdentity:
    """Identity of a `VllmEngine` with these arguments on this machine; the model is not loaded.

    Args:
        model: A model with local weights.
        max_length: Most tokens of a prompt and its answer together.

    Raises:
        EngineError: vLLM is not installed.
    """
    try:
        return _identity(model, max_length, version("vllm"))
    except PackageNotFoundError as error:
        raise EngineError(_NOT_INSTALLED) from error


def _identity(model: Model, limit: int, vllm: str) -> EngineIdentity:
    assert model.weights is not None
    identity = {"engine": "vllm", "model": model.name, "weights": model.weights.sha256}
    return {**identity, "max_length": limit, "vllm": vllm}


def _response(output: Any, seconds: float) -> Response:
    [completion] = output.outputs
    return Response(
        text=completion.text,
        finish="length" if completion.finish_reason == "length" else "stop",
        prompt_tokens=len(output.prompt_token_ids),
        tokens=len(completion.token_ids),
        seconds=seconds,
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def vllm_prompt(processor: Any, family: Family, request: Request) -> dict[str, Any]:
    """A request as vLLM's `LLM.generate` takes it: text, frames as arrays, times, and no second resize.

    Args:
        processor: Processor of the model, as `load_processor` returns it.
        family: Family of the model.
        request: Prompt and frames.
    """
    frames = decode_frames(request.visual, family.factor)
    prompt = chat_text(processor, family, request.messages)
    inputs = {"prompt": prompt, "mm_processor_kwargs": vllm_options(family, request.visual)}
    if request.visual.medium == "image":
        from PIL import Image

        return {**inputs, "multi_modal_data": {"image": Image.fromarray(frames[0])}}
    return {**inputs, "multi_modal_data": {"video": [(frames, video_metadata(request.visual))]}}
