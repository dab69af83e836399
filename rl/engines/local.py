"""transformers in this process: runs everywhere, on a GPU where there is one. The embedded default."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from typing import Any, Literal

from rl.engines.base import Decoding, EngineError, Reply, Request, too_long
from rl.engines.inputs import prepare_each, together
from rl.models.families import Model
from storage.folders.files import digest

Precision = Literal["auto", "float32", "bfloat16"]


class Local:
    """A model in this process. A batch is padded on the left and generated together."""

    def __init__(
        self,
        model: Model,
        decoding: Decoding,
        device: str = "auto",
        precision: Precision = "auto",
        max_length: int = 16384,
    ) -> None:
        """Load model and processor from the model's folder; nothing is downloaded, no code of the folder is run.

        Args:
            model: which must have weights here.
            decoding: how answers are drawn.
            device: `auto` takes the GPU, if there is one.
            precision: `auto` takes bfloat16 on a GPU, else float32.
            max_length: most tokens of a prompt and its answer; never more than the model's own limit.

        Raises:
            EngineError: the folder cannot be loaded, or the model does not fit.
        """
        assert model.weights is not None
        import torch

        self._model_info, self._decoding = model, decoding
        self._device, self._precision = _placed(device, precision)
        with _naming(model):
            library: Any = import_module("transformers")
            library.utils.logging.disable_progress_bar()
            here = {"local_files_only": True, "trust_remote_code": False}
            self._processor = library.AutoProcessor.from_pretrained(model.weights.path, **here)
            self._model = library.AutoModelForImageTextToText.from_pretrained(
                model.weights.path, dtype=getattr(torch, self._precision), use_safetensors=True, **here
            )
            self._model.eval().to(self._device)
        self._limit = _limit(self._model.config, max_length)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Weights by their hash, precision, limit, kind of device and versions."""
        return _identity(self._model_info, self._device, self._precision, self._limit)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer a batch; images and videos in runs of their own, since a processor takes one kind at a time."""
        replies: list[Reply] = []
        for _, run in groupby(requests, lambda request: request.shown.medium):
            replies += self._answer(list(run))
        return replies

    def _answer(self, requests: Sequence[Request]) -> list[Reply]:
        started = time.perf_counter()
        made = prepare_each(self._processor, self._model_info.family, requests)
        lengths = [one["input_ids"].shape[1] for one in made]
        fitting = [n for n, length in enumerate(lengths) if length < self._limit]
        tokens = iter(self._generated([requests[n] for n in fitting], [made[n] for n in fitting]) if fitting else ())
        seconds = time.perf_counter() - started
        return [
            self._reply(next(tokens), length, seconds) if length < self._limit else too_long(length, self._limit)
            for length in lengths
        ]

    def _generated(self, requests: Sequence[Request], made: Sequence[Mapping[str, Any]]) -> list[list[int]]:
        """The tokens that follow each request, padded on the right."""
        import torch

        batch = together(self._processor, self._model_info.family, self._model.config, made)
        length = batch["input_ids"].shape[1]
        inputs = {name: value.to(self._device) for name, value in batch.items() if name != "second_per_grid_ts"}
        seed = int(digest([self._decoding.seed, [request.key for request in requests]])[:8], 16)
        with _naming(self._model_info), torch.inference_mode(), torch.random.fork_rng(enabled=self._decoding.temperature > 0):
            torch.manual_seed(seed)
            generated = self._model.generate(**inputs, generation_config=self._generation())
        tokens: list[list[int]] = generated[:, length:].tolist()
        return tokens

    def _generation(self) -> Any:
        """Said in full, so that no default of a model's folder changes an answer."""
        library: Any = import_module("transformers")
        own, decoding = self._model.generation_config, self._decoding
        drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if decoding.temperature else {}
        ends = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id}
        return library.GenerationConfig(max_new_tokens=decoding.max_tokens, do_sample=bool(drawn), **drawn, **ends)

    def _reply(self, tokens: list[int], prompt_tokens: int, seconds: float) -> Reply:
        tokens = tokens[: self._limit - prompt_tokens]
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        length = next((n for n, token in enumerate(tokens) if token in ends), None)
        kept = tokens if length is None else tokens[:length]
        text = self._processor.tokenizer.decode(kept, skip_special_tokens=True)
        text = text.rstrip("\ufffd") if length is None else text  # a character that was cut off, as vLLM leaves it out
        return Reply(text, "length" if length is None else "stop", prompt_tokens, len(kept), seconds)

    def close(self) -> None:
        """Free the model's memory."""
        import gc

        import torch

        del self._model
        gc.collect()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()


def identity_here(model: Model, device: str, precision: Precision, max_length: int) -> dict[str, Any]:
    """Identity that a `Local` of these arguments has on this machine; the model is not loaded.

    Raises:
        EngineError: the folder's config cannot be read.
    """
    assert model.weights is not None
    with _naming(model):
        library: Any = import_module("transformers")
        config = library.AutoConfig.from_pretrained(model.weights.path, local_files_only=True, trust_remote_code=False)
    return _identity(model, *_placed(device, precision), _limit(config, max_length))


def _identity(model: Model, device: str, precision: str, limit: int) -> dict[str, Any]:
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


def _placed(device: str, precision: Precision) -> tuple[str, str]:
    """Device and precision, where `auto` says which."""
    import torch

    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    usual = "bfloat16" if chosen.startswith("cuda") else "float32"
    return chosen, usual if precision == "auto" else precision


def _limit(config: Any, max_length: int) -> int:
    return min(max_length, int(config.get_text_config().max_position_embeddings))


@contextmanager
def _naming(model: Model) -> Iterator[None]:
    """Turn what loading or running out of memory raises into one sentence."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"'{model.name}' does not fit on the GPU: a smaller batch, a smaller model or vllm may help"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"'{model.name}' cannot be used: {str(error).splitlines()[0]}") from error
