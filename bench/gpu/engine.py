"""vLLM: whether it is there, and whether it answers with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from bench.figures import Figure, NotRunError, told


def figures(dry: bool) -> Iterator[Figure]:
    """Tokens a second of a small text model with random weights.

    Raises:
        NotRunError: vLLM is not installed.
    """
    if find_spec("vllm") is None:
        raise NotRunError("vllm is not installed")
    if dry:
        raise NotRunError("a dry run does not start vLLM")
    import tempfile
    import time

    from transformers import Qwen2Config
    from vllm import LLM, SamplingParams

    with tempfile.TemporaryDirectory() as folder:
        Qwen2Config(hidden_size=1024, num_hidden_layers=8, architectures=["Qwen2ForCausalLM"]).save_pretrained(folder)
        engine = LLM(folder, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True, gpu_memory_utilization=0.5)
        prompts = [{"prompt_token_ids": list(range(1, 513))} for _ in range(64)]
        start = time.perf_counter()
        engine.generate(prompts, SamplingParams(max_tokens=128, ignore_eos=True, detokenize=False))
    yield told("vLLM: tokens/s", 64 * 128 / (time.perf_counter() - start), "64 prompts of 512 tokens, 128 answered")
