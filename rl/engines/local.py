"""Default engine: transformers in this process, on a GPU if the machine has one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from typing import Any

from rl.engines.base import EngineError, EngineIdentity, Request, Response, prompt_too_long
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.inputs import Tensors, collate, prepare_requests
from rl.models.families import Model
from storage.folders.files import json_digest


class TransformersEngine:
    """Runs a model in this process; a batch is padded on the left and generated together."""

    def __init__(
        self,
        model: Model,
        decoding: DecodingConfig,
        config: EngineConfig = EngineConfig(),  # noqa: B008 (frozen)
    ) -> None:
        """Load model and processor from the model's folder; nothing is downloaded and no code of the folder runs.

        Args:
            model: A model with local weights.
            decoding: Sampling settings of every response.
            config: Device, precision and maximum length; the model's own limit applies as well.

        Raises:
            EngineError: The folder cannot be loaded, or the model does not fit on the device.
        """
        assert model.weights is not None
        import torch

        self._model_info, self._decoding = model, decoding
        self._device, self._precision = _resolve(config)
        with _as_engine_errors(model):
            library: Any = import_module("transformers")
            library.utils.logging.disable_progress_bar()
            offline = {"local_files_only": True, "trust_remote_code": False}
            self._processor = library.AutoProcessor.from_pretrained(model.weights.path, **offline)
            self._model = library.AutoModelForImageTextToText.from_pretrained(
                model.weights.path, dtype=getattr(torch, self._precision), use_safetensors=True, **offline
            )
            self._model.eval().to(self._device)
        self._limit = _limit(self._model.config, config.max_length)

    @property
    def identity(self) -> EngineIdentity:
        """Hash of the weights, precision, limit, kind of device and versions."""
        return _identity(self._model_info, self._device, self._precision, self._limit)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch; consecutive requests of one medium are generated together, since a processor takes one at a time."""
        responses: list[Response] = []
        for _, run in groupby(requests, lambda request: request.visual.medium):
            responses += self._answer(list(run))
        return responses

    def _answer(self, requests: Sequence[Request]) -> list[Response]:
        started = time.perf_counter()
        prepared = prepare_requests(self._processor, self._model_info.family, requests)
        lengths = [tensors["input_ids"].shape[1] for tensors in prepared]
        fitting = [n for n, length in enumerate(lengths) if length < self._limit]
        tokens = iter(self._generated([requests[n] for n in fitting], [prepared[n] for n in fitting]) if fitting else ())
        seconds = time.perf_counter() - started
        return [
            self._response(next(tokens), length, seconds) if length < self._limit else prompt_too_long(length, self._limit)
            for length in lengths
        ]

    def _generated(self, requests: Sequence[Request], prepared: Sequence[Tensors]) -> list[list[int]]:
        """Generated tokens of each request, padded on the right."""
        import torch

        batch = collate(self._processor, self._model_info.family, self._model.config, prepared)
        length = batch["input_ids"].shape[1]
        inputs = {name: value.to(self._device) for name, value in batch.items() if name != "second_per_grid_ts"}
        seed = int(json_digest([self._decoding.seed, [request.key for request in requests]])[:8], 16)
        with (
            _as_engine_errors(self._model_info),
            torch.inference_mode(),
            torch.random.fork_rng(enabled=self._decoding.temperature > 0 or self._decoding.preset != "none"),
        ):
            torch.manual_seed(seed)
            generated = self._model.generate(**inputs, generation_config=self._generation_config())
        tokens: list[list[int]] = generated[:, length:].tolist()
        return tokens

    def _generation_config(self) -> Any:
        """Every setting is explicit, so that no default of a model's folder changes a response, unless a preset takes them."""
        library: Any = import_module("transformers")
        own, decoding = self._model.generation_config, self._decoding
        if decoding.preset == "released":
            return library.GenerationConfig.from_dict(
                {**own.to_dict(), "max_new_tokens": decoding.token_limit, "max_length": None}
            )
        sampling = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if decoding.temperature else {}
        ends = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id}
        return library.GenerationConfig(max_new_tokens=decoding.max_tokens, do_sample=bool(sampling), **sampling, **ends)

    def _response(self, tokens: list[int], prompt_tokens: int, seconds: float) -> Response:
        tokens = tokens[: self._limit - prompt_tokens]
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        length = next((n for n, token in enumerate(tokens) if token in ends), None)
        kept = tokens if length is None else tokens[:length]
        text = self._processor.tokenizer.decode(kept, skip_special_tokens=True)
        text = text.rstrip("\ufffd") if length is None else text  # vLLM too drops a character that was cut off
        return Response(
            text=text,
            finish="length" if length is None else "stop",
            prompt_tokens=prompt_tokens,
            tokens=len(kept),
            seconds=seconds,
        )

    def close(self) -> None:
        """Release the memory of the model."""
        import gc

        import torch

        del self._model
        gc.collect()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()


def transformers_identity(model: Model, config: EngineConfig) -> EngineIdentity:
    """Identity of a `TransformersEngine` with these arguments on this machine; the model is not loaded.

    Args:
        model: A model with local weights.
        config: Device, precision and maximum length.

    Raises:
        EngineError: The folder's configuration cannot be read.
    """
    assert model.weights is not None
    with _as_engine_errors(model):
        library: Any = import_module("transformers")
        own = library.AutoConfig.from_pretrained(model.weights.path, local_files_only=True, trust_remote_code=False)
    return _identity(model, *_resolve(config), _limit(own, config.max_length))


def _identity(model: Model, device: str, precision: str, limit: int) -> EngineIdentity:
    import torch
    import transformers

    assert model.weights is not None
    return {
        "engine": "transformers",
        "model": model.name,
        "weights": model.weights.sha256,
        "precision": precision,
        "max_length": limit,
        "device": device.partition(":")[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _resolve(config: EngineConfig) -> tuple[str, str]:
    """Device and precision, with `auto` replaced."""
    import torch

    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    device = automatic if config.device == "auto" else config.device
    default = "bfloat16" if device.startswith("cuda") else "float32"
    return device, default if config.precision == "auto" else config.precision


def _limit(config: Any, max_length: int) -> int:
    return min(max_length, int(config.get_text_config().max_position_embeddings))


@contextmanager
def _as_engine_errors(model: Model) -> Iterator[None]:
    """Convert errors of loading and of exhausted memory to `EngineError`."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"'{model.name}' does not fit on the GPU: a smaller batch, a smaller model or vllm may help"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"'{model.name}' cannot be used: {str(error).splitlines()[0]}") from error
