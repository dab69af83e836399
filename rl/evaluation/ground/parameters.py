"""Parameters of grounding: options of `stvg ground`, and the form of the deployment `ground/video`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rl.evaluation.parameters import InferenceParameters
from storage.common.config import Located, changed
from storage.folders.cache import find_remote
from storage.folders.files import hash8
from storage.folders.open import is_url
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, VideoJob
from tasks.build.parameters import BuildParameters
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source


class GroundParameters(BuildParameters, InferenceParameters):
    """Ground a sentence in a video: a tube of boxes and masks, and a clip with the tube drawn."""

    benchmark: ClassVar[str] = "ground"
    site_tables: ClassVar[tuple[str, ...]] = ("build", "ground")

    video: Located = Field(title="Video", description="Path or s3:// URL of the video.")
    sentence: str = Field(title="Sentence", min_length=1, max_length=2000, description="Description of the target, in words.")
    start_s: float = Field(0, title="Start", ge=0, le=864_000, description="Start of the section, seconds of the video.")
    end_s: float = Field(0, title="End", ge=0, le=864_000, description="End of the section, seconds; 0 is the video's end.")
    out: Located = Field("grounded", title="Answers folder", description="Folder of tubes (JSON) and clips.")
    root: Located = Field("grounded/datasets", title="Datasets folder", description="Folder of masks and frames.")

    @property
    def folder(self) -> str:
        """Folder of the dataset of this section."""
        source = self.video if is_url(self.video) else str(Path(self.video).absolute())
        key = hash8([source, self.start_s, self.end_s])
        return f"{self.root}/{self.name or f'{slug(Path(self.video).stem)}-{key}'}"

    def read(self) -> Benchmark:
        """The video, with the section as its clip.

        Raises:
            AnnotationError: There is no such video, or the section has no length.
        """
        path = find_remote(self.video) if is_url(self.video) else Path(self.video)
        if isinstance(path, Path) and not path.is_file():
            raise AnnotationError(f"there is no video '{self.video}'")
        if self.end_s and self.end_s <= self.start_s:
            raise AnnotationError(f"the section ends at {self.end_s:g} s and begins at {self.start_s:g} s: end it later")
        source = Source(Path(self.video).name, path)
        return Benchmark([VideoJob(source, (Clip("section", self.start_s, self.end_s or None),))], {"videos": 1})

    def config(self) -> BuildConfig:
        """Configuration of masks and frames; only the frames of the section are tracked."""
        config = super().config()
        if not self.end_s:
            return config
        duration_s, cap_s = self.end_s - self.start_s + 1, config.limits.max_duration_s
        return changed(config, {"limits.max_duration_s": min(duration_s, cap_s) if cap_s else duration_s})


def slug(text: str) -> str:
    """A text as part of a file name: lower-case letters, digits and dashes, at most 40 characters."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "video"
