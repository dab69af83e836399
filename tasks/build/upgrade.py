"""Parameters that were stored before they had groups: read here once, and given as the groups of today."""

from __future__ import annotations

from collections.abc import Container, Mapping

from pydantic import JsonValue

from storage.folders.folder import Folder
from storage.manifest import DatasetError
from storage.specification import BUILD_REQUEST, read_build_request

Json = Mapping[str, JsonValue]

_SAM2 = ("model", "image_size_px", "precision")
_PATHS: Mapping[str, str] = {
    "detector": "detector.name",
    "detector_weights": "detector.weights",
    "prompts": "detector.prompts",
    "detector_image_size": "detector.image_size_px",
    "confidence": "detector.confidence",
    "target": "detector.target",
    "every_frames": "detector.every_frames",
    "tracker": "tracker.name",
    "tracker_weights": "tracker.weights",
    "sam2_model": "tracker.sam2.model",
    "sam2_image_size": "tracker.sam2.image_size_px",
    "sam2_precision": "tracker.sam2.precision",
    "sam2_compiled": "tracker.sam2.compiled",
    "features_mb": "tracker.memory.features_mb",
    "spill_mb": "tracker.memory.spill_mb",
    "backward": "tracker.backward",
    "max_iou": "tracker.max_iou",
    "max_overlap": "tracker.max_overlap",
    "identity": "tracker.identity",
    "overlapping": "tracker.overlapping",
    "max_duration_s": "limits.max_duration_s",
    "max_objects": "limits.max_objects",
    "theta": "markers.theta",
    "marker_size": "markers.size",
    "marker_style": "markers.style",
    "size_filter_among": "markers.filter",
    "marker_anchor": "markers.anchor",
    "answer_rule": "rendering.answer_rule",
    "fps": "sampling.fps",
    "total_pixels": "sampling.total_pixels",
    "jpeg_quality": "rendering.jpeg_quality",
    "workers": "pool.workers",
    "gpus_per_worker": "pool.gpus_per_worker",
    "recycle_after": "pool.recycle_after",
    "deadline_s": "pool.deadline_s",
}
"""Parameter of a build before groups -> its dotted path."""


def is_flat(parameters: Json) -> bool:
    """Whether the parameters of a build were stored before they had groups."""
    return any(not isinstance(parameters.get(name, {}), Mapping) for name in ("detector", "tracker")) or "theta" in parameters


def upgraded_build(parameters: Json, fields: Container[str] | None) -> dict[str, JsonValue]:
    """Parameters of a build by dotted path, `markers.size`; as they are where they have groups already.

    Args:
        parameters: as they were stored.
        fields: names of the fields of the parameter model; what it lacks had no effect on that kind of build. None keeps all.
    """
    if not is_flat(parameters):
        return dict(parameters)
    named = {_PATHS.get(name, name): value for name, value in parameters.items()}
    return {path: value for path, value in named.items() if fields is None or path.partition(".")[0] in fields}


def upgraded_frames(parameters: Json) -> Json:
    """Parameters of a frame stage in groups; as they are where they have them already."""
    if not isinstance(render := parameters.get("render"), dict):
        return parameters
    rendering = {name: render[name] for name in ("jpeg_quality", "answer_rule")}
    groups = {"sampling": render["sampling"], "markers": render["markers"], "rendering": rendering}
    return {"masks": parameters["masks"], **groups}


def upgraded_masks(parameters: Json) -> Json:
    """Parameters of a mask stage in groups; as they are where they have them already."""
    detect, track = parameters.get("detect"), parameters.get("track")
    if not isinstance(detect, dict) or not isinstance(track, dict):
        return parameters
    detector = {name: value for name, value in detect.items() if name not in {"detector", "weights"}}
    tracker = {name: value for name, value in track.items() if name not in {"tracker", "weights", *_SAM2}}
    if track["tracker"] == "sam2":
        tracker["sam2"] = {name: track[name] for name in _SAM2}
    return {
        "detector": {"name": detect["detector"], **detector},
        "tracker": {"name": track["tracker"], **tracker},
        "weights": {"detector": detect["weights"] or "", "tracker": track["weights"] or ""},
    }


def check_migrated(folder: Folder) -> None:
    """Make sure that a build over a dataset finds the stages that are there.

    Raises:
        DatasetError: an earlier version wrote the dataset.
    """
    if folder.names(BUILD_REQUEST) and is_flat(read_build_request(folder).parameters):
        raise DatasetError(
            f"'{folder}' was written by an earlier version: run `stvg migrate {folder}` once, which repeats no work"
        )
