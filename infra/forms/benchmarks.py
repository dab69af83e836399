"""Every benchmark by name: one flat parameter model each, which makes a deployment, a form and a command."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from infra.forms.build import BuildParameters, DetectorName, Located
from storage.folders.cache import cache_folder
from storage.folders.open import is_url
from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.folder import read_folder
from tasks.benchmarks.hcstvg import Version, read_hcstvg
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.own import read_own
from tasks.benchmarks.reading import annotation_file, local_folder
from tasks.benchmarks.samples import Benchmark, Task
from tasks.benchmarks.st_align import read_st_align
from tasks.benchmarks.stvg_r1_train import HcstvgTraining, VidstgTraining, read_stvg_r1_train
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.videoocr import read_videoocr
from tasks.benchmarks.vidstg import read_vidstg

SampleForm = Literal["hcstvg-v2", "st-align-stvg", "st-align-svg", "mevis", "charades-sta", "tvgbench", "mme-videoocr"]
_VIDEOS = "Searched in depth for the videos named in the annotations."


class SampleParameters(BuildParameters):
    """A generated benchmark in HC-STVG v2's format, with a few broken files on purpose."""

    dataset: ClassVar[str] = "sample"

    detector: DetectorName = Field(
        "motion", title="Detector", description="What finds objects; the OpenCV ones need no weights."
    )
    videos: int = Field(20, title="Videos", ge=1, le=10_000, description="How many videos are generated, broken ones aside.")
    like: SampleForm = Field("hcstvg-v2", title="Like", description="The benchmark in whose format its sentences are told.")
    error_budget: float = Field(0.5, title="Error budget", ge=0, le=1, description="Share of videos that may fail.")

    def benchmark(self) -> Benchmark:
        """Generate the sample, if it is not there yet, and read it."""
        from tasks.sample import SampleConfig, generate, read_in_format

        folder = (cache_folder() if is_url(self.root) else Path(self.root)) / "sources" / f"sample-{self.videos}"
        generate(folder, SampleConfig(videos=self.videos))
        return read_in_format(folder, self.like)


class FolderParameters(BuildParameters):
    """Any folder of videos, without annotations."""

    dataset: ClassVar[str] = "folder"

    videos: Located = Field(title="Videos folder", description="Searched in depth for video files.")
    image_fps: float = Field(
        0, title="Rate of JPEG folders", ge=0, le=1000, description="Frames per second; 0 leaves JPEG folders out."
    )

    def benchmark(self) -> Benchmark:
        """List the videos."""
        return read_folder(self.videos, self.image_fps or None)


class AnnotatedParameters(BuildParameters):
    """Parameters of a benchmark that is one annotation file and a folder of videos."""

    annotations: Located = Field(title="Annotation file", description="The benchmark's own file, as it is distributed.")
    videos: Located = Field(title="Videos folder", description=_VIDEOS)


class HcstvgParameters(AnnotatedParameters):
    """HC-STVG, v1 or v2 as the annotation file says."""

    dataset: ClassVar[str] = "hcstvg"
    version: ClassVar[Version | None] = None

    annotations: Located = Field(title="Annotation file", description="HC-STVG's JSON, such as val_v2.json.")
    videos: Located = Field(title="Videos folder", description="Holds the folders 0 to 9 of the release.")

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_hcstvg(annotation_file(self.annotations), self.videos, self.version)


class HcstvgV1Parameters(HcstvgParameters):
    """HC-STVG v1; the paper reports its test split."""

    dataset: ClassVar[str] = "hcstvg-v1"
    version: ClassVar[Version | None] = "v1"


class HcstvgV2Parameters(HcstvgParameters):
    """HC-STVG v2; the paper reports its validation split."""

    dataset: ClassVar[str] = "hcstvg-v2"
    version: ClassVar[Version | None] = "v2"


class VidstgParameters(AnnotatedParameters):
    """VidSTG on VidOR's videos, declarative and interrogative."""

    dataset: ClassVar[str] = "vidstg"

    vidor: Located = Field("", title="VidOR annotations", description="Folder of VidOR's JSON files; empty for no boxes.")

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_vidstg(annotation_file(self.annotations), self.videos, local_folder(self.vidor) if self.vidor else None)


class StAlignStvgParameters(AnnotatedParameters):
    """ST-Align, spatio-temporal: find the object and when."""

    dataset: ClassVar[str] = "st-align-stvg"

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_st_align(annotation_file(self.annotations), self.videos, Task.SPATIO_TEMPORAL)


class StAlignSvgParameters(AnnotatedParameters):
    """ST-Align, spatial: find the object in a given interval."""

    dataset: ClassVar[str] = "st-align-svg"

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_st_align(annotation_file(self.annotations), self.videos, Task.SPATIAL)


class MevisParameters(AnnotatedParameters):
    """MeViS: masks of one or several objects that an expression means; its valid_u split has public truth."""

    dataset: ClassVar[str] = "mevis"

    annotations: Located = Field(title="Expressions", description="The split's meta_expressions.json.")
    videos: Located = Field(title="Frames folder", description="Holds JPEGImages, or is it.")
    masks: Located = Field("", title="Masks", description="The split's mask_dict.json; empty for a split without truth.")
    image_fps: float = Field(
        6, title="Rate of frames", gt=0, le=1000, description="Frames per second; the benchmark states none."
    )

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        masks = annotation_file(self.masks) if self.masks else None
        return read_mevis(annotation_file(self.annotations), masks, self.videos, self.image_fps)


class CharadesParameters(AnnotatedParameters):
    """Charades-STA: when something happens; as text or JSON."""

    dataset: ClassVar[str] = "charades-sta"

    annotations: Located = Field(title="Annotation file", description="charades_sta_test.txt, or either JSON form.")
    durations: Located = Field("", title="Durations", description="Charades_v1_test.csv, for the text form; empty for none.")

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        durations = annotation_file(self.durations) if self.durations else None
        return read_charades(annotation_file(self.annotations), self.videos, durations)


class TvgbenchParameters(AnnotatedParameters):
    """TVGBench: when something happens, in cut segments of five sources."""

    dataset: ClassVar[str] = "tvgbench"

    cut: bool = Field(False, title="Already cut", description="The files are cut to their segments already.")

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_tvgbench(annotation_file(self.annotations), self.videos, self.cut)


class VideoocrParameters(AnnotatedParameters):
    """MME-VideoOCR: questions about text in videos."""

    dataset: ClassVar[str] = "mme-videoocr"

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_videoocr(annotation_file(self.annotations), self.videos)


class OwnParameters(AnnotatedParameters):
    """Your own videos and sentences, as JSON Lines."""

    dataset: ClassVar[str] = "own"

    annotations: Located = Field(
        title="Annotation file", description="JSON Lines, one sentence a line; see docs/benchmarks.md."
    )

    def benchmark(self) -> Benchmark:
        """Read the annotations."""
        return read_own(annotation_file(self.annotations), self.videos)


class StvgR1TrainParameters(BuildParameters):
    """The paper's training set: HC-STVG v1 and v2 merged without what is held out, and VidSTG."""

    dataset: ClassVar[str] = "stvg-r1-train"

    hcstvg_v1_train: Located = Field(title="HC-STVG v1 train", description="Its annotation file.")
    hcstvg_v2_train: Located = Field(title="HC-STVG v2 train", description="Its annotation file.")
    hcstvg_v1_test: Located = Field(title="HC-STVG v1 test", description="Its annotation file: its videos are held out.")
    hcstvg_v2_val: Located = Field(title="HC-STVG v2 val", description="Its annotation file: its videos are held out.")
    hcstvg_v2_test: Located = Field(title="HC-STVG v2 test", description="query_v2.json, say: its videos are held out.")
    hcstvg_videos: Located = Field(title="HC-STVG videos", description="Folder that holds the videos of v1 and v2.")
    vidstg_train: Located = Field(title="VidSTG train", description="train_annotations.json.")
    vidstg_videos: Located = Field(title="VidSTG videos", description="Folder that holds VidOR's videos.")
    vidor: Located = Field(title="VidOR annotations", description="Folder of VidOR's JSON files, which hold VidSTG's boxes.")
    vidstg_val: Located = Field("", title="VidSTG val", description="val_files.json, say: its videos must not occur.")
    vidstg_test: Located = Field("", title="VidSTG test", description="test_files.json, say: its videos must not occur.")

    def benchmark(self) -> Benchmark:
        """Merge the parts, and make sure that nothing held out is among them."""
        hcstvg = HcstvgTraining(
            v1=annotation_file(self.hcstvg_v1_train),
            v2=annotation_file(self.hcstvg_v2_train),
            held_out=tuple(map(annotation_file, (self.hcstvg_v1_test, self.hcstvg_v2_val, self.hcstvg_v2_test))),
            videos=self.hcstvg_videos,
        )
        held_out = tuple(map(annotation_file, filter(None, (self.vidstg_val, self.vidstg_test))))
        vidstg = VidstgTraining(annotation_file(self.vidstg_train), held_out, self.vidstg_videos, local_folder(self.vidor))
        return read_stvg_r1_train(hcstvg, vidstg)


BENCHMARKS: dict[str, type[BuildParameters]] = {
    p.dataset: p
    for p in (
        SampleParameters,
        FolderParameters,
        OwnParameters,
        HcstvgParameters,
        HcstvgV1Parameters,
        HcstvgV2Parameters,
        VidstgParameters,
        StAlignStvgParameters,
        StAlignSvgParameters,
        MevisParameters,
        CharadesParameters,
        TvgbenchParameters,
        VideoocrParameters,
        StvgR1TrainParameters,
    )
}
"""Benchmark name -> its parameters; each is a deployment `build-dataset/<name>` and a command `stvg build <name>`."""
