"""`stvg ground`: a sentence about a video, answered with a tube and a clip. Masks, frames and answers are kept."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from infra.forms.asked import AskingParameters
from infra.forms.build import BuildParameters, Located
from infra.ray.pool import RayPool
from rl.engines.open import EngineConfig, open_engine
from rl.evaluation.drawing import write_answer
from rl.evaluation.ground import PROTOCOL, GroundError, about, ground
from rl.evaluation.protocols import protocol_named
from rl.models.families import Model, differences
from rl.prompts.templates import prompt_named
from storage.folders.cache import find_remote
from storage.folders.files import digest, replacing
from storage.folders.open import is_url
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Task, VideoJob
from tasks.build.run import run_build, run_here
from tasks.build.workers import BuildConfig
from tasks.video.reader import Source


class GroundParameters(BuildParameters, AskingParameters):
    """Ask a model where and when a sentence is in a video; get a tube of boxes and masks, and a clip with it drawn."""

    dataset: ClassVar[str] = "ground"

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
        return f"{self.root}/{self.name or f'{_slug(Path(self.video).stem)}-{digest([source, self.start_s, self.end_s])[:8]}'}"

    def benchmark(self) -> Benchmark:
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
        return replace(config, limits=replace(config.limits, max_duration_s=min(lasts_s, cap_s) if cap_s else lasts_s))


STEPS = ("objects", "frames", "model", "answer", "clip")
"""What grounding does, in order; each is told as it begins, with the number of those that have ended."""


def run_ground(parameters: GroundParameters, on_progress: OnProgress, engine: EngineConfig | None = None) -> dict[str, Any]:
    """Build, mark, ask, repair and draw; returns the answer as it stands in its JSON file, with the paths of both files.

    What was done before is not done again: masks and frames of the section, and the answer to the same question.

    Args:
        parameters: what is asked of whom.
        on_progress: is told of each of `STEPS` that has something to do.
        engine: in place of that of the parameters, whose server is the environment's.

    Raises:
        AnnotationError, ModelError, WeightsError: something named is not there.
        GroundError: the video cannot be used, or nothing in it can be pointed at.
        EngineError: the engine cannot answer.
    """
    model = parameters.asked_model()
    dataset = built(parameters, on_progress)
    tube = answer_path(parameters, dataset, model)
    if not (tube.is_file() and tube.with_suffix(".mp4").is_file()):
        _begin(on_progress, "model")
        answering = open_engine(engine or parameters.engine_config(), model, parameters.decoding())
        try:
            _begin(on_progress, "answer")
            grounded = ground(dataset, parameters.sentence, model, answering)
            _begin(on_progress, "clip")
            clip = write_answer(dataset, about(dataset, "").video_id, grounded, tube.with_suffix(".mp4"))
            told = {"video": parameters.video, **grounded.as_dict(), "engine": dict(answering.identity), "clip": str(clip)}
        finally:
            answering.close()
        with replacing(tube) as temporary:
            temporary.write_text(json.dumps(told), encoding="utf-8")
    on_progress(Progress("done", len(STEPS), len(STEPS), 0))
    told = json.loads(tube.read_text(encoding="utf-8"))
    return {**told, "path": str(tube), "clip_url": tube.with_suffix(".mp4").absolute().as_uri()}


def shown_otherwise(parameters: GroundParameters) -> list[str]:
    """What the frames show otherwise than the model was trained with, a phrase each."""
    return differences(parameters.asked_model(), asdict(parameters.config().render))


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
    with build.folder.exclusive(), RayPool(parameters.pool()) if parameters.ray else nullcontext(run_here) as fan_out:
        run_build(build, fan_out, step, error_budget=1)
    dataset = Dataset(build.folder)
    if not dataset.video_ids("clips"):
        [ended] = dataset.outcomes.to_pylist()
        raise GroundError(f"'{parameters.video}' cannot be used: {ended['detail'] or ended['reason']}")
    return dataset


def _begin(on_progress: OnProgress, step: str) -> None:
    on_progress(Progress(step, STEPS.index(step), len(STEPS), 0))


def answer_path(parameters: GroundParameters, dataset: Dataset, model: Model) -> Path:
    """Where the answer goes: a name that a person recognises, and a hash of all that shapes it but versions."""
    prompt = prompt_named(protocol_named(PROTOCOL).prompts[Task.SPATIO_TEMPORAL])
    weights = model.weights.sha256 if model.weights else None
    engine = parameters.model_dump(include={"engine", "precision", "device", "max_length"})
    shaping = [dataset.manifest.content_hash, asdict(prompt), parameters.sentence, model.name, weights, engine]
    key = digest([*shaping, asdict(parameters.decoding())])[:8]
    return Path(parameters.out) / f"{_slug(Path(parameters.video).stem)}-{_slug(parameters.sentence)}-{key}.json"


def _slug(text: str) -> str:
    """A text as the beginning of a file's name: lower-case letters and digits, at most 40."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "video"
