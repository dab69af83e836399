"""Shared fixtures: small real videos, simple models with counters, third-party material where it is at hand."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it at its first import, and has one thread then
if "PYTEST_XDIST_WORKER" not in os.environ:  # tiny models are generated once for all tests, workers and their processes
    os.environ["STVG_CACHE"] = tempfile.mkdtemp(prefix="stvg-tests-cache-")
    atexit.register(shutil.rmtree, os.environ["STVG_CACHE"], ignore_errors=True)
os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "1")  # seconds between a runner's looks for new runs; 10 otherwise
os.environ.setdefault("RAY_worker_niceness", "0")  # 15 otherwise: on a busy machine Ray's workers would hardly run
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start would compile the project again, each of them

from infra.ray.session import set_environment
from tasks.build.stages import BuildConfig
from tasks.detection.base import Detection
from tasks.masks.instances import Box, Instance, Mask, encode_mask, tight_box
from tasks.tracking.base import TrackingCost
from tasks.tracking.config import MemoryConfig
from tasks.video.reader import Frames, Video

pytest_plugins = ["tests.times", "tests.command", "tests.s3", "tests.ray_cluster", "tests.trained", "tests.browser"]

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
set_environment(local=True)  # Ray reads it at its first import, which may be that of a test's module

FPS = 10
SERVER, FLOWS = "server", "tests/flows/*.py"


@pytest.fixture(scope="module", autouse=True)
def _same_scheduler() -> Iterator[None]:
    """No test leaves its process under another scheduler: whatever it starts later would inherit it."""
    before = os.sched_getscheduler(0)
    yield
    assert os.sched_getscheduler(0) == before, "a test of this module changed the scheduling policy of its process"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, the tests of a file stay together, as do files that use the Prefect server; slow files begin."""
    if hasattr(config, "workerinput"):
        serving = {item.path for item in items if SERVER in getattr(item, "fixturenames", ()) and item.path.match(FLOWS)}
        slow = {item.path for item in items if item.get_closest_marker("heavy")}
        items.sort(key=lambda item: (item.path not in slow, item.path not in serving))
        for item in items:
            item.add_marker(pytest.mark.xdist_group(SERVER if item.path in serving else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of third-party annotations, videos and published numbers."""
    folder = os.environ.get("STVG_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("third-party test material is not here: set STVG_SHARED to its folder")
    return Path(folder)


def write_clip(path: Path, frames: Sequence[Frames], fps: int = FPS, pts: Sequence[int] | None = None) -> Path:
    """Encode RGB frames as h264; `pts` in ticks of 1/1000 s makes the rate variable."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "ultrafast", "bf": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number if pts is None else pts[number]
            if pts is not None:
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def squares(count: int = 40, width: int = 240, height: int = 180, late: int = 15) -> list[Frames]:
    """Dark frames with a red square from frame 0 and, from frame `late`, a smaller green one."""
    frames = []
    for index in range(count):
        image = np.full((height, width, 3), 20, np.uint8)
        image[20:60, 10 + index : 50 + index] = (230, 30, 30)
        if index >= late:
            image[70:100, 100:130] = (30, 230, 30)
        frames.append(image)
    return frames


@pytest.fixture(scope="session")
def square_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 frames at 10 fps, 240x180, with two squares."""
    return write_clip(tmp_path_factory.mktemp("clips") / "squares.mp4", squares())


class ColourModels:
    """A detector and a tracker that know a red and a green square by colour, and count what they are asked."""

    def __init__(self) -> None:
        self.detected = self.opened = 0

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        self.detected += 1
        return [[d for d in map(_detection, _masks(video.frames([i])[0]).items()) if d] for i in indices]

    def open(
        self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig
    ) -> AbstractContextManager[ColourSession]:
        self.opened += 1
        return nullcontext(ColourSession(video, frames))


def _detection(item: tuple[int, Mask]) -> Detection | None:
    box = tight_box(item[1])
    return Detection(box, "person" if item[0] == 0 else "dog", 0.9) if box else None


def _masks(image: Frames) -> dict[int, Mask]:
    return {channel: image[..., channel] > 150 for channel in (0, 1)}


class ColourSession:
    def __init__(self, video: Video, frames: range) -> None:
        self._video, self._frames = video, frames
        self._channels: dict[int, int] = {}

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        masks = _masks(self._video.frames([index])[0]).values()
        return [max(masks, key=lambda m: np.count_nonzero(m[int(b[1]) : int(b[3]), int(b[0]) : int(b[2])])) for b in boxes]

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        self._channels.update(self._identify(index, masks))

    def _identify(self, index: int, masks: Mapping[int, Mask]) -> dict[int, int]:
        image = self._video.frames([index])[0]
        return {object_id: int(image[mask].mean(axis=0)[:2].argmax()) for object_id, mask in masks.items()}

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        for index in range(start + 1, stop + 1):
            yield index, self._now(index, self._channels)

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        for start, masks in found.items():
            channels = self._identify(start, masks)
            for index in range(start - 1, self._frames.start - 1, -1):
                yield index, self._now(index, channels)

    def work(self) -> TrackingCost:
        return TrackingCost()

    def _now(self, index: int, channels: Mapping[int, int]) -> dict[int, Instance]:
        instances = {channel: encode_mask(mask) for channel, mask in _masks(self._video.frames([index])[0]).items()}
        return {i: instance for i, channel in channels.items() if (instance := instances[channel]) is not None}


@pytest.fixture(scope="session")
def colour_models() -> type[ColourModels]:
    """`ColourModels`, for tests that change it."""
    return ColourModels


@contextmanager
def _models_in_place() -> Iterator[ColourModels]:
    made = ColourModels()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.tracking.annotator.build_detector", lambda _config, _weights: made)
        patch.setattr("tasks.tracking.annotator.build_tracker", lambda _config, _weights: made)
        yield made


@pytest.fixture(scope="session")
def models_in_place() -> Callable[[], AbstractContextManager[ColourModels]]:
    """Replaces detector and tracker for the length of a block, for datasets that are built once for many tests."""
    return _models_in_place


@pytest.fixture
def models() -> Iterator[ColourModels]:
    """Replace detector and tracker of in-process builds by models that count their calls."""
    with _models_in_place() as made:
        yield made


@pytest.fixture
def config() -> BuildConfig:
    """The default configuration."""
    return BuildConfig(detector="motion")


@pytest.fixture(scope="session")
def clip_factory() -> Callable[..., Path]:
    """`write_clip`, for tests that make their own video."""
    return write_clip
