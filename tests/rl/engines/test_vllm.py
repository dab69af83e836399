"""vLLM against transformers; runs where vLLM can be imported, also on a CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.config import DecodingConfig, EngineConfig
from rl.engines.inputs import prepare_batch
from rl.engines.local import TransformersEngine
from rl.engines.vllm import VllmEngine, vllm_prompt
from rl.evaluation.protocols import PROTOCOLS
from rl.evaluation.requests import Requester
from rl.evaluation.samples import Clips, eval_samples
from rl.models.families import Model
from rl.prompts.templates import prompt_named
from storage.reader import Dataset
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.samples import Task
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.sample import SampleConfig, generate

pytestmark = pytest.mark.heavy

Make = Callable[..., VisualInput]
Engines = tuple[Model, TransformersEngine, VllmEngine]
DECODING = DecodingConfig(max_tokens=16)
LENGTH = 8192
VIDEOS = 4


@pytest.fixture(scope="module", params=["tiny", "tiny-internvl3"])
def engines(request: pytest.FixtureRequest, tiny: Callable[[str], Model]) -> Iterator[Engines]:
    """A tiny model, and transformers and vLLM with it in float32."""
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install EXTRA=cluster`")
    model = tiny(request.param)
    local = TransformersEngine(
        model, DECODING, EngineConfig(device="cpu", precision="float32").model_copy(update={"max_length": LENGTH})
    )
    engine = VllmEngine(model, DECODING, max_length=LENGTH, memory=0.3, dtype="float32", enforce_eager=True)
    yield model, local, engine
    engine.close()
    local.close()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four videos of the generated sample, built in this process."""
    folder = tmp_path_factory.mktemp("sample")
    generate(folder / "sources", SampleConfig(videos=VIDEOS, broken=False))
    read = read_hcstvg(folder / "sources" / "annotations.json", folder / "sources" / "videos")
    build = Build(folder / "datasets" / "sample", read, BuildConfig(detector="motion"))
    tracked = run_masks(build, run_here, lambda _: None)
    publish_build(build, tracked, run_frames(build, tracked, run_here, lambda _: None), 1.0)
    return Dataset(build.folder)


def asked(dataset: Dataset, model: Model) -> list[Request]:
    requester = Requester(PROTOCOLS["marked"], model, Clips(dataset))
    requests = [requester.first_request(one) for one in eval_samples(dataset, {Task.SPATIO_TEMPORAL})]
    return [request for request in requests if request is not None]


def drawn(model: Model, make: Make) -> list[Request]:
    """Two videos of different length and rate, and an image."""
    visual = [("a", "figure-5", make(count=4)), ("b", "figure-5", make(count=8, fps=1.9, seed=1))]
    visual.append(("c", model.family.box_prompt, make(count=1)))
    return [Request(key, prompt_named(p).messages("A man.", size=s.size, medium=s.medium), s) for key, p, s in visual]


def test_greedy_text_is_the_same_on_drawn_frames_and_on_the_sample(engines: Engines, sample: Dataset, visual: Make) -> None:
    model, local, engine = engines
    requests = [*drawn(model, visual), *asked(sample, model)]
    assert len(requests) >= 3 + VIDEOS
    ours, theirs = local.answer(requests), engine.answer(requests)
    assert [response.text for response in theirs] == [response.text for response in ours]
    assert [response.prompt_tokens for response in theirs] == [response.prompt_tokens for response in ours]


def local_logprobs(engine: TransformersEngine, request: Request) -> list[dict[int, float]]:
    """Log-probabilities of the five likeliest tokens at each step of a greedy answer."""
    import torch

    batch = prepare_batch(engine._processor, engine._model_info.family, engine._model.config, [request])
    inputs = {name: value for name, value in batch.items() if name != "second_per_grid_ts"}
    config = engine._generation()
    config.output_logits, config.return_dict_in_generate = True, True
    with torch.inference_mode():
        made = engine._model.generate(**inputs, generation_config=config)
    steps = [torch.log_softmax(logits[0].float(), -1).topk(5) for logits in made.logits]
    return [dict(zip(step.indices.tolist(), step.values.tolist(), strict=True)) for step in steps]


def vllm_logprobs(engine: VllmEngine, request: Request) -> list[dict[int, float]]:
    from vllm import SamplingParams

    prompt = vllm_prompt(engine._processor, engine._model.family, request)
    sampling = SamplingParams(max_tokens=DECODING.max_tokens, temperature=0, logprobs=5)
    [output] = engine._llm.generate([prompt], [sampling], use_tqdm=False)
    return [{token: told.logprob for token, told in step.items()} for step in output.outputs[0].logprobs]


def test_log_probabilities_agree_to_a_thousandth(
    engines: Engines, sample: Dataset, visual: Make, record_property: Callable[[str, object], None]
) -> None:
    model, local, engine = engines
    furthest, compared = 0.0, 0
    for request in [*drawn(model, visual), *asked(sample, model)]:
        ours, theirs = local_logprobs(local, request), vllm_logprobs(engine, request)
        assert len(ours) == len(theirs)
        for step, other in zip(ours, theirs, strict=True):
            both = step.keys() & other.keys()
            assert max(step, key=step.__getitem__) in both
            furthest = max(furthest, *(math.fabs(step[token] - other[token]) for token in both))
            compared += len(both)
    record_property("log-probabilities", f"{compared} compared, furthest apart by {furthest:.2g}")
    print(f"\n{model.name}: {compared} log-probabilities, furthest apart by {furthest:.2g}")
    assert compared > 100
    assert furthest < 1e-3


def test_a_prompt_that_is_too_long_fails_alone_and_alike(engines: Engines, visual: Make) -> None:
    model, local, engine = engines
    few, many = drawn(model, visual)[:2]
    words = {"role": "user", "content": [{"type": "text", "text": "word " * ((LENGTH - 600) // 3)}]}
    long = Request("long", [*many.messages, words], visual(count=60))
    ours, theirs = local.answer([few, long, many]), engine.answer([few, long, many])
    assert [response.finish for response in theirs] == [response.finish for response in ours] == ["length", "failed", "length"]
    assert ours[1].reason.startswith(f"too_long: the prompt takes {ours[1].prompt_tokens} tokens")
    assert theirs[1].reason == ours[1].reason
    assert [response.text for response in theirs] == [response.text for response in ours]
