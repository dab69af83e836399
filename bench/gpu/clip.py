"""One clip drawn in memory, tracked by this project's session and by the official predictor with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

from tasks.masks.instances import Instance, Mask
from tasks.tracking.config import MemoryConfig
from tasks.tracking.sam2.encoding import upsample_logits
from tasks.tracking.sam2.tracker import MEAN, STD, Sam2Session, Sam2Tracker
from tasks.video.reader import Frames

SHAPES = 5
ROOM = MemoryConfig(features_mb=16_384, spill_mb=0)


@dataclass(frozen=True)
class Clip:
    """A video in memory at the encoder's size, whose stated size is another; `tasks.video.reader.Video` as far as it is used.

    Attributes:
        pixels: uint8 (frames, side, side, 3) RGB.
        height: that masks are given at, pixels.
        width: that masks are given at, pixels.
    """

    pixels: Frames
    height: int
    width: int
    source: None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def frames(self, indices: range) -> Frames:
        """Frames of consecutive indices."""
        return self.pixels[indices.start : indices.stop]

    def mask(self, number: int) -> Mask:
        """A rectangle that is the mask of object `number` on the first frame."""
        mask = np.zeros((self.height, self.width), np.bool_)
        y, x = number // 8 * self.height // 10, number % 8 * self.width // 10
        mask[y : y + self.height // 5, x : x + self.width // 6] = True
        return mask


def drawn_clip(frames: int, side: int) -> Clip:
    """Coloured squares that move over a background of blocks.

    Args:
        frames: how many.
        side: of the encoder's square, pixels; masks are 720p at 1024, and smaller as it is.
    """
    rng = np.random.default_rng(0)
    background = np.kron(rng.integers(40, 160, (32, 32, 3)), np.ones((side // 32, side // 32, 1))).astype(np.uint8)
    pixels = np.repeat(background[None], frames, axis=0)
    places, speeds = rng.uniform(0, 0.8, (SHAPES, 2)), rng.uniform(-0.004, 0.004, (SHAPES, 2))
    for place, speed, colour in zip(places, speeds, rng.integers(0, 255, (SHAPES, 3)), strict=True):
        for index, frame in enumerate(pixels):
            y, x = (int(side * value) for value in np.clip(place + speed * index, 0, 0.8))
            frame[y : y + side // 5, x : x + side // 5] = colour
    return Clip(pixels, side * 45 // 64, side * 5 // 4)


def show_objects(model: Any) -> None:
    """Let a model with random weights take every object for visible; else it would give no masks to compare."""
    import torch

    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 20.0


@contextmanager
def smooth_masks() -> Iterator[None]:
    """Let the session see masks as smooth as those of trained weights, at the same cost.

    Random weights give noise: 116,000 runs a mask of 1280x720, whose codes would take longer than everything else.
    """
    import torch

    def smoothed(logits: Any, height: int, width: int) -> Any:
        coarse = torch.nn.functional.adaptive_avg_pool2d(logits.float(), 8)
        return upsample_logits(coarse - coarse.mean(), height, width)

    with patch("tasks.tracking.sam2.encoding.upsample_logits", smoothed):
        yield


@contextmanager
def own_session(tracker: Sam2Tracker, clip: Any, objects: int) -> Iterator[Sam2Session]:
    """This project's session over the clip, with objects added on the first frame."""
    with ExitStack() as stack:
        stack.enter_context(patch("tasks.tracking.sam2.tracker.open_video", lambda *_: clip))
        session = stack.enter_context(tracker.open(clip, range(len(clip)), 0, ROOM))
        session.add(0, {number + 1: clip.mask(number) for number in range(objects)})
        yield session


def own_frames(session: Sam2Session, clip: Clip) -> Iterator[dict[int, Instance]]:
    """Instances of each further frame, as a build takes them."""
    return (instances for _, instances in session.forward(0, len(clip) - 1))


def official_steps(predictor: Any, clip: Clip, objects: int, precision: str) -> Iterator[Any]:
    """Mask logits, float (objects, 1, height, width), of each frame after the first, by the official predictor."""
    images = _images(clip, predictor.device)
    loaded = images, clip.height, clip.width
    with patch("sam2.sam2_video_predictor.load_video_frames", lambda **_: loaded), _inference(predictor, precision):
        state = predictor.init_state("drawn")
        for number in range(objects):
            predictor.add_new_mask(state, 0, number + 1, clip.mask(number))
    steps = predictor.propagate_in_video(state, start_frame_idx=0)
    while True:
        with _inference(predictor, precision):
            index, _, logits = next(steps, (0, None, None))
        if logits is None:
            return
        if index:
            yield logits


def official_frames(predictor: Any, clip: Clip, objects: int, precision: str) -> Iterator[list[Mask]]:
    """Masks on the host of each frame after the first, by the official predictor."""
    for logits in official_steps(predictor, clip, objects, precision):
        yield [(one[0] > 0).cpu().numpy() for one in logits]


def _images(clip: Clip, device: Any) -> Any:
    """Frames as the official loader gives them, on the device: neither side decodes, and the official one does not copy."""
    import torch

    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))
    return (torch.from_numpy(clip.pixels).to(device).permute(0, 3, 1, 2).float() / 255.0 - mean) / std


@contextmanager
def _inference(predictor: Any, precision: str) -> Iterator[None]:
    import torch

    half: AbstractContextManager[Any] = torch.autocast(predictor.device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), half:
        yield
