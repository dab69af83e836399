"""Parameters of the two stages of a dataset as stored in its manifest, and the stage specifications."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from storage.common.config import Config, read_config, shaping
from storage.reader import Dataset
from storage.stages import StageSpec
from tasks.build.upgrade import upgraded_frames, upgraded_masks
from tasks.detection.base import DetectorConfig
from tasks.exchange.imports import RecordedConfig
from tasks.markers.config import FramesConfig
from tasks.tracking.annotator import AnnotatorConfig, AnnotatorWeights
from tasks.tracking.config import TrackerConfig

MASKS_VERSION = 3
FRAMES_VERSION = 2
"""Versions of the code that shapes a stage's rows: raised when the same input gives other rows."""


class BuildConfig(AnnotatorConfig, FramesConfig):
    """Everything that shapes a dataset whose objects are detected and tracked, and the limits on its videos."""


class ImportConfig(FramesConfig):
    """Everything that shapes a dataset whose masks are read from files."""

    recorded: RecordedConfig


class WeightHashes(Config):
    """Sha256 of the weights of detector and tracker, in hex; empty for one without, or with random ones."""

    detector: str = ""
    tracker: str = ""


class AnnotatedMasks(Config):
    """Parameters of a mask database whose objects were detected and tracked."""

    detector: DetectorConfig
    tracker: TrackerConfig
    weights: WeightHashes = WeightHashes()


class RecordedMasks(Config):
    """Parameters of a mask database that was read from files."""

    recorded: RecordedConfig


class FramesParameters(FramesConfig):
    """Parameters of rendered frames and answers.

    Attributes:
        masks: key of the mask stage that they were rendered from.
    """

    masks: str = Field(title="Masks", description="Key of the mask stage that the frames were rendered from.")


def masks_spec(config: BuildConfig | ImportConfig, weights: AnnotatorWeights) -> StageSpec:
    """Specification of the mask database of a build.

    Args:
        config: a tracker whose device and precision are resolved.
        weights: they count by their sha256, not by where they lie.
    """
    parameters: AnnotatedMasks | RecordedMasks
    if isinstance(config, ImportConfig):
        parameters = RecordedMasks(recorded=config.recorded)
    else:
        detector, tracker = (file.sha256 if file else "" for file in (weights.detector, weights.tracker))
        hashes = WeightHashes(detector=detector, tracker=tracker)
        parameters = AnnotatedMasks(detector=config.detector, tracker=config.tracker, weights=hashes)
    return masks_stage(parameters)


def masks_stage(parameters: AnnotatedMasks | RecordedMasks) -> StageSpec:
    """Specification of the mask stage with these parameters."""
    return StageSpec("masks", MASKS_VERSION, shaping(parameters), ("videos", "masks"))


def frames_stage(parameters: FramesParameters) -> StageSpec:
    """Specification of the frame stage with these parameters."""
    return StageSpec("frames", FRAMES_VERSION, shaping(parameters), ("clips", "frames", "samples"))


def frames_spec(config: FramesConfig, masks: StageSpec) -> StageSpec:
    """Specification of the frames that are rendered from a mask stage."""
    groups = {name: getattr(config, name) for name in FramesConfig.model_fields}
    return frames_stage(FramesParameters(masks=masks.key, **groups))


def frames_parameters(dataset: Dataset) -> FramesParameters:
    """Parameters of the rendered frames of a published dataset, including those of earlier versions.

    Raises:
        ConfigError: the parameters were stored by a newer version of the code, or are damaged.
    """
    params = dataset.manifest.stages["frames"].params
    return read_config(FramesParameters, upgraded_frames(params), f"'{dataset.folder}'")


def parse_masks(params: Mapping[str, JsonValue], source: str) -> AnnotatedMasks | RecordedMasks:
    """Parse the stored parameters of a mask stage; `source` names the dataset in errors."""
    parameters = upgraded_masks(params)
    if "recorded" in parameters:
        return read_config(RecordedMasks, parameters, source)
    return read_config(AnnotatedMasks, parameters, source)
