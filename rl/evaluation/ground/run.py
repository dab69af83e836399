"""Grounding from its parameters to the stored answer; masks, frames and answers are reused."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from rl.engines.open import open_engine
from rl.engines.server import Server
from rl.evaluation.ground.drawing import write_clip
from rl.evaluation.ground.locate import PROTOCOL, GroundError, ground, only_sample
from rl.evaluation.ground.parameters import GroundParameters, slug
from rl.evaluation.ground.result import GroundResult, read_ground_result, write_ground_result
from rl.evaluation.protocols import protocol_named
from rl.models.families import Model, differences
from rl.prompts.templates import prompt_named
from storage.folders.files import hash8
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.build.run import FanOut, run_build, run_here

STEPS = ("objects", "frames", "model", "answer", "clip")
"""Steps of grounding in their order; progress is reported when one begins."""


def run_ground(
    parameters: GroundParameters,
    on_progress: OnProgress,
    server: Server | None = None,
    workers: AbstractContextManager[FanOut] | None = None,
) -> GroundResult:
    """Ground a sentence in a video: build masks and frames, evaluate the model, repair the tube and draw the clip.

    Masks and frames of the section and the answer to the same question are reused if they exist.

    Args:
        parameters: Parameters of the build and of the model.
        on_progress: Called when each of `STEPS` begins, unless its output exists.
        server: Server of the engine openai; by default the one that the environment names.
        workers: Context manager of the workers that build the section; None builds it in this process.

    Returns:
        The answer, with the paths of its JSON file and of the clip.

    Raises:
        AnnotationError, ModelError, WeightsError: A file or a model does not exist.
        GroundError: The video cannot be used, or nothing in it has a marker.
        EngineError: The engine gave no response.
    """
    model = parameters.located_model()
    dataset = _build_section(parameters, on_progress, workers or nullcontext(run_here))
    tube = answer_path(parameters, dataset, model)
    if not (tube.is_file() and tube.with_suffix(".mp4").is_file()):
        _begin(on_progress, "model")
        engine = open_engine(parameters.engine, model, parameters.decoding, server or parameters.server_here())
        try:
            _begin(on_progress, "answer")
            result = ground(dataset, parameters.sentence, model, engine)
            _begin(on_progress, "clip")
            clip = write_clip(dataset, only_sample(dataset, "").video_id, result, tube.with_suffix(".mp4"))
            added = {"video": parameters.video, "engine": dict(engine.identity), "clip": str(clip)}
        finally:
            engine.close()
        write_ground_result(tube, result.model_copy(update=added))
    on_progress(Progress("done", len(STEPS), len(STEPS), 0))
    return read_ground_result(tube)


def rendering_differences(parameters: GroundParameters) -> list[str]:
    """Differences between the rendering of the frames and that of the model's training, a phrase each."""
    return differences(parameters.located_model(), parameters.config())


def _build_section(parameters: GroundParameters, on_progress: OnProgress, workers: AbstractContextManager[FanOut]) -> Dataset:
    """Build masks and marked frames of the section."""
    if parameters.as_job:
        raise GroundError(f"grounding joins a cluster, and sends it no job: give host:port instead of '{parameters.ray}'")

    def step(progress: Progress) -> None:
        if progress.stage == "masks":
            _begin(on_progress, "frames")

    build = parameters.build()
    _begin(on_progress, "objects")
    with build.folder.lock(), workers as fan_out:
        run_build(build, fan_out, step, error_budget=1)
    dataset = Dataset(build.folder)
    if not dataset.video_ids("clips"):
        [outcome] = dataset.outcomes.to_pylist()
        raise GroundError(f"'{parameters.video}' cannot be used: {outcome['detail'] or outcome['reason']}")
    return dataset


def _begin(on_progress: OnProgress, step: str) -> None:
    on_progress(Progress(step, STEPS.index(step), len(STEPS), 0))


def answer_path(parameters: GroundParameters, dataset: Dataset, model: Model) -> Path:
    """Path of the answer: names of video and sentence, and a hash of everything that shapes it but versions of libraries.

    Args:
        parameters: Parameters of the build and of the model.
        dataset: The built section.
        model: Model that answers.
    """
    prompt = prompt_named(protocol_named(PROTOCOL).prompts[Task.SPATIO_TEMPORAL])
    weights = model.weights.sha256 if model.weights else None
    config = parameters.engine
    engine = {"engine": config.name, **config.model_dump(include={"precision", "device", "max_length"})}
    shaping = [dataset.manifest.content_hash, asdict(prompt), parameters.sentence, model.name, weights, engine]
    key = hash8([*shaping, parameters.decoding.shaping()])
    return Path(parameters.out) / f"{slug(Path(parameters.video).stem)}-{slug(parameters.sentence)}-{key}.json"
