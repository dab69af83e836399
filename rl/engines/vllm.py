"""vLLM in this process or on the GPUs of one machine, offline: the engine for whole benchmarks. Needs the `cluster` extra."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rl.engines.base import BrokenError, Decoding, EngineError, Reply, Request, too_long
from rl.engines.inputs import chat_text, load_processor, metadata, pixels, vllm_kwargs
from rl.models.families import Family, Model

_ABSENT = "vLLM is not installed: `make install EXTRA=cluster`, or take another engine"
_LENGTH = re.compile(r"prompt \(length (\d+)\)", re.ASCII)
"""In what vLLM 0.28 says of a prompt that leaves no room for an answer."""


class Vllm:
    """A model in vLLM."""

    def __init__(
        self, model: Model, decoding: Decoding, gpus: int = 1, max_length: int = 16384, memory: float = 0.9, **engine: Any
    ) -> None:
        """Load a model from its folder; nothing is downloaded, no code of the folder is run.

        Args:
            model: which must have weights here.
            decoding: how answers are drawn.
            gpus: over which the model is split.
            max_length: most tokens of a prompt and its answer.
            memory: share of each GPU's memory that may be used.
            engine: further arguments of `vllm.LLM`.

        Raises:
            EngineError: vLLM is not installed, or cannot load the model.
        """
        assert model.weights is not None
        try:
            import vllm
        except ImportError as error:
            raise EngineError(_ABSENT) from error
        self._model, self._decoding, self._version, self._limit = model, decoding, vllm.__version__, max_length
        usual = {
            "tensor_parallel_size": gpus,
            "max_model_len": max_length,
            "gpu_memory_utilization": memory,
            "limit_mm_per_prompt": {"video": 1, "image": 1},
            "generation_config": "vllm",  # not the folder's own: decoding is said in full
            "mm_processor_cache_gb": 0,  # a cached video would keep the times of the request that it came with
            "trust_remote_code": False,
            "seed": decoding.seed,
        }
        try:
            self._llm: Any = vllm.LLM(str(model.weights.path), **{**usual, **engine})
        except (ValueError, RuntimeError, OSError, vllm.exceptions.VLLMError) as error:
            raise EngineError(f"vLLM cannot load '{model.name}': {_first_line(error)}") from error
        self._processor: Any = load_processor(model)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Weights by their hash, limit and vLLM's version."""
        return _identity(self._model, self._limit, self._version)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all together; vLLM schedules them.

        Raises:
            BrokenError: vLLM broke down.
        """
        from vllm.exceptions import VLLMServerError

        started = time.perf_counter()
        asked = [(vllm_prompt(self._processor, self._model.family, request), self._sampling(request)) for request in requests]
        try:
            outputs = self._outputs(asked)
        except VLLMServerError as error:
            raise BrokenError(f"vLLM broke down: {_first_line(error)}") from error
        seconds = time.perf_counter() - started
        return [self._refused(output) if isinstance(output, Exception) else _reply(output, seconds) for output in outputs]

    def _outputs(self, asked: Sequence[tuple[Any, Any]]) -> list[Any]:
        """What vLLM gives for each prompt, in order; for one that it refuses, its error."""
        from vllm.exceptions import VLLMClientError

        prompts, sampling = zip(*asked, strict=True)
        try:
            return list(self._llm.generate(list(prompts), list(sampling), use_tqdm=False))
        except VLLMClientError as error:  # of one of them, for which vLLM refuses them all
            if len(asked) == 1:
                return [error]
            half = len(asked) // 2
            return self._outputs(asked[:half]) + self._outputs(asked[half:])

    def _refused(self, error: Exception) -> Reply:
        length = _LENGTH.search(str(error))
        return too_long(int(length[1]), self._limit) if length else Reply("", "failed", reason=f"refused: {_first_line(error)}")

    def _sampling(self, request: Request) -> Any:
        from vllm import SamplingParams

        from storage.folders.files import digest

        decoding = self._decoding
        seed = int(digest([decoding.seed, request.key])[:7], 16)
        return SamplingParams(max_tokens=decoding.max_tokens, temperature=decoding.temperature, top_p=decoding.top_p, seed=seed)

    def close(self) -> None:
        """Let go of the GPU."""
        del self._llm


def identity_here(model: Model, max_length: int) -> dict[str, Any]:
    """Identity that a `Vllm` of these arguments has on this machine; the model is not loaded.

    Raises:
        EngineError: vLLM is not installed.
    """
    try:
        return _identity(model, max_length, version("vllm"))
    except PackageNotFoundError as error:
        raise EngineError(_ABSENT) from error


def _identity(model: Model, limit: int, vllm: str) -> dict[str, Any]:
    assert model.weights is not None
    told = {"engine": "vllm", "model": model.name, "weights": model.weights.sha256}
    return {**told, "max_length": limit, "vllm": vllm}


def _reply(output: Any, seconds: float) -> Reply:
    [made] = output.outputs
    finish = "length" if made.finish_reason == "length" else "stop"
    return Reply(made.text, finish, len(output.prompt_token_ids), len(made.token_ids), seconds)  # type: ignore[arg-type]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def vllm_prompt(processor: Any, family: Family, request: Request) -> dict[str, Any]:
    """A prompt with its frames, as vLLM's `LLM.generate` takes it: text, arrays, times, and no second resize."""
    frames = pixels(request.shown, family.factor)
    prompt = chat_text(processor, family, request.messages)
    told = {"prompt": prompt, "mm_processor_kwargs": vllm_kwargs(family, request.shown)}
    if request.shown.medium == "image":
        from PIL import Image

        return {**told, "multi_modal_data": {"image": Image.fromarray(frames[0])}}
    return {**told, "multi_modal_data": {"video": [(frames, metadata(request.shown))]}}
