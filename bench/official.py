"""SAM2.1's own video predictor, and over it the tracking procedure of the paper's released code, written plainly.

At each key frame on which something new is found the released procedure resets the predictor, adds every object again by its
mask there, and propagates all of them to the end of the video; it goes forward only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.masks.instances import Box, Mask


def official_predictor(model: Any, name: str, side: int, device: str = "cpu", **options: Any) -> Any:
    """The package's video predictor with the weights of `model`, without progress bars.

    Args:
        model: the project's model, whose weights are taken.
        name: letters of its config: t, s, b+ or l.
        side: pixels of the encoder's square.
        device: torch device.
        **options: of the package's builder, such as `vos_optimized`.
    """
    from sam2 import sam2_video_predictor
    from sam2.build_sam import build_sam2_video_predictor

    sam2_video_predictor.tqdm = _without_bar
    chosen = [f"++model.image_size={side}"]
    predictor = build_sam2_video_predictor(
        f"configs/sam2.1/sam2.1_hiera_{name}.yaml", device=device, hydra_overrides_extra=chosen, **options
    )
    predictor.load_state_dict(model.state_dict())
    # It would need an extension that is not built, and only warn.
    predictor.fill_hole_area = 0
    return predictor


def _without_bar(steps: Iterable[int], **_: object) -> Iterable[int]:
    return steps


def opened(predictor: Any, path: Path) -> Any:
    """The predictor's state of a video, all of whose frames it decodes at once."""
    import decord

    try:
        return predictor.init_state(str(path))
    finally:
        decord.bridge.set_bridge("native")  # its loader switches it for the whole process


@contextlib.contextmanager
def counted(model: Any) -> Any:
    """Count frames that go through a model's encoder: yields a list that grows by one a pass."""
    passes: list[int] = []
    encode = model.forward_image

    def forward_image(images: Any) -> Any:
        passes.extend([1] * len(images))
        return encode(images)

    model.forward_image = forward_image
    try:
        yield passes
    finally:
        model.forward_image = encode


def segmented(predictor: Any, frame: Any, boxes: Sequence[Box]) -> list[Mask]:
    """Masks of boxes on an RGB frame, by the package's image predictor."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    images = SAM2ImagePredictor(predictor)
    side = predictor.image_size
    # It takes every model for one of 1024 pixels.
    images._bb_feat_sizes = [(side // 4,) * 2, (side // 8,) * 2, (side // 16,) * 2]
    images.set_image(frame)
    found, _, _ = images.predict(box=np.array(boxes, np.float32), multimask_output=False)
    return [mask > 0 for mask in found.reshape(-1, *frame.shape[:2])]


def released_procedure(
    predictor: Any, state: Any, video: Any, detections: Mapping[int, Sequence[Box]]
) -> dict[int, dict[int, Mask]]:
    """Track as the released code does.

    Args:
        predictor: SAM2's video predictor.
        state: its state of the video.
        video: the same video, for the frames on which boxes become masks.
        detections: frame index -> boxes of new objects there.

    Returns:
        Frame index -> object ID -> mask, bool (height, width).
    """
    seen: dict[int, dict[int, Mask]] = {}
    count = 0
    for start in sorted(detections):
        fresh = segmented(predictor, video.frames([start])[0], detections[start])
        masks = dict(seen.get(start, {})) | {count + n + 1: mask for n, mask in enumerate(fresh)}
        count += len(fresh)
        predictor.reset_state(state)
        for object_id, mask in masks.items():
            predictor.add_new_mask(state, start, object_id, mask)
        for index, ids, logits in predictor.propagate_in_video(state, start_frame_idx=start):
            here = seen.setdefault(index, {})
            for object_id, one in zip(ids, logits, strict=True):
                if object_id not in here:
                    here[object_id] = (one[0] > 0).cpu().numpy()
    return seen
