"""SAM2.1's own video predictor as a tracker: boxes to masks, masks forward and backward (section 3.2).

Two things differ from the plain predictor, neither in its results: frames are decoded when they are asked for, and
memories too old to be attended to are dropped, so that a long video needs no more memory than a short one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.masks import Box, Mask
from tasks.track import TrackConfig
from tasks.trackers.sam2_model import build_predictor
from tasks.video import Frames, Video, open_video

if TYPE_CHECKING:
    import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation that the encoder expects RGB in [0, 1] to be normalised by."""

WINDOW = 16
"""Frames decoded together, and all that is held of the video."""

BOXES_AT_ONCE = 16
"""Boxes segmented together: each needs a float32 mask of the video's size."""


class Sam2Tracker:
    """Holds a SAM2.1 model, in float32; opens a session for each video.

    Without weights it is filled with random ones from a fixed seed, which only tests want.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._predictor = build_predictor(config)

    def open(self, video: Video) -> Sam2Session:
        """Start to track one video; it is opened once more, scaled to the square that the encoder sees."""
        return Sam2Session(self._predictor, video)


class Sam2Session:
    """One video in the official predictor; `tasks.track.Session` says what its methods do."""

    def __init__(self, predictor: Any, video: Video) -> None:
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        side: int = predictor.image_size
        self._predictor, self._video = predictor, video
        self._images = LazyImages(open_video(video.source, (side, side)))
        self._boxes = SAM2ImagePredictor(predictor)
        # The image predictor takes every model for one of 1024 pixels.
        self._boxes._bb_feat_sizes = [(side // 4,) * 2, (side // 8,) * 2, (side // 16,) * 2]
        self._state = self._new_state()

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """One mask for each box on frame `index`; it may be empty."""
        import torch

        masks: list[Mask] = []
        with torch.inference_mode():
            if boxes:
                self._boxes.set_image(self._video.frames([index])[0])
            for first in range(0, len(boxes), BOXES_AT_ONCE):
                prompts = np.asarray(boxes[first : first + BOXES_AT_ONCE], dtype=np.float32)
                found, _, _ = self._boxes.predict(box=prompts, multimask_output=False)
                masks += list(found.reshape(-1, self._video.height, self._video.width) > 0)
        return masks

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects, ID -> mask on frame `index`, which forward propagation has reached."""
        self._add(self._state, index, masks)

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Mask]]]:
        """Masks of all added objects on frames start + 1 ... stop; absent where there is nothing of the object."""
        # From start + 1: older objects have been tracked on `start`, and would be run there a second time.
        yield from self._propagate(self._state, start + 1, stop - start - 1, reverse=False)

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Mask]]]:
        """Masks of late objects before their discovery: one pass to frame 0 for each discovery, the first one first."""
        for start in sorted(found):
            state = self._new_state()
            self._add(state, start, found[start])
            # From `start`, whose masks are given and cost nothing: told to begin on frame 0 the predictor yields nothing.
            yield from islice(self._propagate(state, start, start, reverse=True), 1, None)

    def _add(self, state: dict[str, Any], index: int, masks: Mapping[int, Mask]) -> None:
        for object_id, mask in masks.items():
            self._predictor.add_new_mask(state, index, object_id, mask)

    def _propagate(
        self, state: dict[str, Any], first: int, further: int, reverse: bool
    ) -> Iterator[tuple[int, dict[int, Mask]]]:
        """Masks on frame `first` and `further` frames after it, or before it in reverse."""
        for index, ids, logits in self._predictor.propagate_in_video(state, first, further, reverse):
            self._forget(state, index)
            masks = (logits[:, 0] > 0).cpu().numpy()
            yield index, {object_id: mask for object_id, mask in zip(ids, masks, strict=True) if mask.any()}

    def _forget(self, state: dict[str, Any], index: int) -> None:
        """Drop what frames after `index` cannot attend to: masks and object pointers reach only so far back."""
        model = self._predictor
        reach = max(model.num_maskmem * model.memory_temporal_stride_for_eval, model.max_obj_ptrs_in_encoder)
        for outputs in state["output_dict_per_obj"].values():
            memories = outputs["non_cond_frame_outputs"]
            for old in [i for i in memories if abs(index - i) >= reach]:
                del memories[old]

    def _new_state(self) -> dict[str, Any]:
        """The dictionary that `SAM2VideoPredictor.init_state` builds; that method would decode the whole video first."""
        device = self._predictor.device
        state: dict[str, Any] = {"images": self._images, "num_frames": len(self._images)}
        state |= {"video_height": self._video.height, "video_width": self._video.width}
        state |= {"offload_video_to_cpu": True, "offload_state_to_cpu": False, "device": device, "storage_device": device}
        state |= {"obj_ids": [], "obj_id_to_idx": OrderedDict(), "obj_idx_to_id": OrderedDict()}
        per_object = ("point_inputs", "mask_inputs", "output_dict", "temp_output_dict", "frames_tracked")
        return state | {"cached_features": {}, "constants": {}} | {f"{name}_per_obj": {} for name in per_object}


class LazyImages:
    """Frames as the predictor's own loader would hold them, decoded a window at a time in either direction."""

    def __init__(self, video: Video) -> None:
        self._video, self._first = video, 0
        self._frames: Frames = np.empty((0, video.height, video.width, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Normalised float32 (3, side, side), RGB, on the CPU."""
        import torch

        image = torch.from_numpy(self._decoded(index)).permute(2, 0, 1).float() / 255.0
        return (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    def _decoded(self, index: int) -> Frames:
        if not self._first <= index < self._first + len(self._frames):
            backward = index < self._first
            self._first = max(index - WINDOW + 1, 0) if backward else index
            stop = index + 1 if backward else min(index + WINDOW, len(self))
            self._frames = self._video.frames(range(self._first, stop))
        frame: Frames = self._frames[index - self._first]
        return frame
