"""`stvg ground`: a sentence about a video, answered with a tube and a clip. Masks, frames and answers are kept."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from infra.ray.pool import RayPool
from rl.engines.open import open_engine
from rl.engines.server import Server
from rl.evaluation.ground.drawing import write_clip
from rl.evaluation.ground.locate import PROTOCOL, GroundError, ground, only_sample
from rl.evaluation.ground.result import GroundResult, read_ground_result, write_ground_result
from rl.evaluation.parameters import InferenceParameters
from rl.evaluation.protocols import protocol_named
from rl.models.families import Model, differences
from rl.prompts.templates import prompt_named
from storage.common.config import Located, changed
from storage.folders.cache import find_remote
from storage.folders.files import hash8
from storage.folders.open import is_url
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Task, VideoJob
from tasks.build.parameters import BuildParameters
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source


class GroundParameters(BuildParameters, InferenceParameters):
    """Ask a model where and when a sentence is in a video; get a tube of boxes and masks, and a clip with it drawn."""

    benchmark: ClassVar[str] = "ground"

    video: Located = Field(title="Video", description="A video file, or its s3:// URL.")
    sentence: str = Field(title="Sentence", min_length=1, max_length=2000, description="What to look for, in words.")
    start_s: float = Field(0, title="Start", ge=0, le=864_000, description="Second of the video at which the section begins.")
    end_s: float = Field(0, title="End", ge=0, le=864_000, description="Second at which it ends; 0 takes the video's end.")
    out: Located = Field("grounded", title="Answers folder", description="The tube (JSON) and the clip are written below it.")
    root: Located = Field("grounded/datasets", title="Datasets folder", description="Where masks and frames are kept.")

    @property
    def folder(self) -> str:
        """Where this section of this video is built."""
        source = self.video if is_url(self.video) else str(Path(self.video).absolute())
        key = hash8([source, self.start_s, self.end_s])
        return f"{self.root}/{self.name or f'{_slug(Path(self.video).stem)}-{key}'}"

    def read(self) -> Benchmark:
        """The video, with the section as its clip.

        Raises:
            AnnotationError: there is no such video, or the section has no length.
        """
        path = find_remote(self.video) if is_url(self.video) else Path(self.video)
        if isinstance(path, Path) and not path.is_file():
            raise AnnotationError(f"there is no video '{self.video}'")
        if self.end_s and self.end_s <= self.start_s:
            raise AnnotationError(f"the section ends at {self.end_s:g} s and begins at {self.start_s:g} s: end it later")
        source = Source(Path(self.video).name, path)
        return Benchmark([VideoJob(source, (Clip("section", self.start_s, self.end_s or None),))], {"videos": 1})

    def config(self) -> BuildConfig:
        """Everything that shapes the masks and frames; of a section, only its frames are tracked."""
        config = super().config()
        if not self.end_s:
            return config
        lasts_s, cap_s = self.end_s - self.start_s + 1, config.limits.max_duration_s
        return changed(config, {"limits.max_duration_s": min(lasts_s, cap_s) if cap_s else lasts_s})


STEPS = ("objects", "frames", "model", "answer", "clip")
"""Steps of grounding in their order; progress is reported when one begins."""


def run_ground(parameters: GroundParameters, on_progress: OnProgress, server: Server | None = None) -> GroundResult:
    """Ground a sentence in a video: build masks and frames, evaluate the model, repair the tube and draw the clip.

    Masks and frames of the section and the answer to the same question are reused if they exist.

    Args:
        parameters: Parameters of the build and of the model.
        on_progress: Called when each of `STEPS` begins, unless its output exists.
        server: Server of the engine openai; by default the one that the environment names.

    Returns:
        The answer, with the paths of its JSON file and of the clip.

    Raises:
        AnnotationError, ModelError, WeightsError: A file or a model does not exist.
        GroundError: The video cannot be used, or nothing in it has a marker.
        EngineError: The engine gave no response.
    """
    model = parameters.located_model()
    dataset = built(parameters, on_progress)
    tube = answer_path(parameters, dataset, model)
    if not (tube.is_file() and tube.with_suffix(".mp4").is_file()):
        _begin(on_progress, "model")
        answering = open_engine(parameters.engine, model, parameters.decoding, server or parameters.server_here())
        try:
            _begin(on_progress, "answer")
            result = ground(dataset, parameters.sentence, model, answering)
            _begin(on_progress, "clip")
            clip = write_clip(dataset, only_sample(dataset, "").video_id, result, tube.with_suffix(".mp4"))
            added = {"video": parameters.video, "engine": dict(answering.identity), "clip": str(clip)}
        finally:
            answering.close()
        write_ground_result(tube, result.model_copy(update=added))
    on_progress(Progress("done", len(STEPS), len(STEPS), 0))
    return read_ground_result(tube)


def rendering_differences(parameters: GroundParameters) -> list[str]:
    """What the frames show otherwise than the model was trained with, a phrase each."""
    return differences(parameters.located_model(), parameters.config())


def built(parameters: GroundParameters, on_progress: OnProgress) -> Dataset:
    """The section with its masks and marked frames; in this process, unless a cluster is named.

    Raises:
        GroundError: the video cannot be used.
    """
    if parameters.as_job:
        raise GroundError(f"grounding joins a cluster, and sends it no job: give host:port instead of '{parameters.ray}'")

    def step(progress: Progress) -> None:
        if progress.stage == "masks":
            _begin(on_progress, "frames")

    build = parameters.build()
    _begin(on_progress, "objects")
    workers = RayPool(parameters.pool, parameters.ray) if parameters.ray else nullcontext(run_here)
    with build.folder.lock(), workers as fan_out:
        run_build(build, fan_out, step, error_budget=1)
    dataset = Dataset(build.folder)
    if not dataset.video_ids("clips"):
        [ended] = dataset.outcomes.to_pylist()
        raise GroundError(f"'{parameters.video}' cannot be used: {ended['detail'] or ended['reason']}")
    return dataset


def _begin(on_progress: OnProgress, step: str) -> None:
    on_progress(Progress(step, STEPS.index(step), len(STEPS), 0))


def answer_path(parameters: GroundParameters, dataset: Dataset, model: Model) -> Path:
    """Path of the answer: names of video and sentence, and a hash of everything that shapes it but versions of libraries."""
    prompt = prompt_named(protocol_named(PROTOCOL).prompts[Task.SPATIO_TEMPORAL])
    weights = model.weights.sha256 if model.weights else None
    config = parameters.engine
    engine = {"engine": config.name, **config.model_dump(include={"precision", "device", "max_length"})}
    shaping = [dataset.manifest.content_hash, asdict(prompt), parameters.sentence, model.name, weights, engine]
    key = hash8([*shaping, parameters.decoding.model_dump(mode="json")])
    return Path(parameters.out) / f"{_slug(Path(parameters.video).stem)}-{_slug(parameters.sentence)}-{key}.json"


def _slug(text: str) -> str:
    """A text as part of a file name: lower-case letters, digits and dashes, at most 40 characters."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "video"
