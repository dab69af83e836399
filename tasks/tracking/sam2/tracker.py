"""SAM2.1 tracker: masks from boxes, forward and backward propagation, each frame encoded once (sections 3.2 and A.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tasks.masks.instances import Box, Instance, Mask
from tasks.tracking.base import TrackingCost
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.sam2.encoding import encode_logits, masks_from_logits
from tasks.tracking.sam2.features import Features, FeatureStore
from tasks.tracking.sam2.frames import FrameFeed
from tasks.tracking.sam2.memory import Memory, chunked
from tasks.tracking.sam2.model import build_model
from tasks.video.reader import Video, open_video
from tasks.weights import Weights

if TYPE_CHECKING:
    import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation by which the encoder's input is normalised, RGB in [0, 1]."""


class Sam2Tracker:
    """Loaded SAM2.1 model that opens a session for each video.

    Without weights it is initialised randomly from a fixed seed, for tests only.
    """

    def __init__(self, config: TrackerConfig, weights: Weights | None = None) -> None:
        self._config = config.resolved(gpu=False)
        self._model = build_model(self._config, weights)

    @contextmanager
    def open(self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig) -> Iterator[Sam2Session]:
        """Open a session for consecutive frames of a video, which is opened again at the encoder's square input size.

        Args:
            video: the opened video.
            frames: consecutive native frame indices to track.
            last_prompt: last native frame on which an object may be added.
            memory: memory and disk for image features.
        """
        config = self._config.model_copy(update={"memory": memory})
        with ExitStack() as stack:
            yield Sam2Session(
                model=self._model, config=config, video=video, frames=frames, last_prompt=last_prompt, stack=stack
            )


class Sam2Session:
    """Tracking session of one video; see `tasks.tracking.base.Session` for its methods."""

    def __init__(
        self, model: Any, config: TrackerConfig, video: Video, frames: range, last_prompt: int, stack: ExitStack
    ) -> None:
        self._model, self._config, self._video, self._frames = model, config, video, frames
        self._mean, self._std = (_channels(values, model.device) for values in (MEAN, STD))
        self._feed = FrameFeed(open_video(video.source, (model.image_size,) * 2))
        stack.callback(self._feed.close)
        self._encoder_pool = ThreadPoolExecutor(1, thread_name_prefix="encode-masks")
        stack.callback(self._encoder_pool.shutdown)
        reused = range(frames.start, last_prompt + 1 if config.backward else frames.start)
        self._features = FeatureStore(self._encode, reused, config.memory)
        self._memory = self._new_memory(reverse=False)
        self._steps_back = 0

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """Segment the object in each box on frame `index`; a mask may be empty.

        Args:
            index: 0-based native frame index.
            boxes: (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        with self._running():
            batches = chunked(boxes, self._config.memory.objects_at_once)
            return [mask for some in batches for mask in self._masks(index, some)]

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects by their masks on a frame.

        Args:
            index: 0-based native frame index; tracking has reached this frame.
            masks: object ID -> mask, bool (height, width).
        """
        with self._running():
            self._memory.add(index, self._features.get(index), masks)

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of all added objects on frames start + 1 to stop, both included, in order.

        Args:
            start: native frame of the last prompts, excluded.
            stop: last native frame, included.
        """
        yield from self._instances(self._forward(start, stop))

    def backward(self, prompts: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of objects before their discovery, in one pass from the last discovery to the first frame."""
        yield from self._instances(self._backward(prompts))

    def work(self) -> TrackingCost:
        """Cost of tracking so far."""
        store = self._features
        return TrackingCost(store.passes, self._memory.steps + self._steps_back, store.kept)

    def _new_memory(self, reverse: bool) -> Memory:
        return Memory(self._model, len(self._video), self._config.memory.objects_at_once, reverse)

    def _forward(self, start: int, stop: int) -> Iterator[tuple[int, list[int], torch.Tensor]]:
        for index in range(start + 1, stop + 1):
            yield index, *self._step(self._memory, index)

    def _backward(self, prompts: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, list[int], torch.Tensor]]:
        memory = self._new_memory(reverse=True)
        for index in range(max(prompts), self._frames.start - 1, -1):
            if memory.ids:
                yield index, *self._step(memory, index)
            if index in prompts:
                with self._running():
                    memory.add(index, self._features.get(index), prompts[index])
            self._features.release(index)
        self._steps_back += memory.steps

    def _step(self, memory: Memory, index: int) -> tuple[list[int], torch.Tensor]:
        with self._running():
            return memory.ids, memory.step(index, self._features.get(index))

    def _instances(self, steps: Iterable[tuple[int, list[int], torch.Tensor]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of each step, encoded in a background thread while the model runs the next step."""
        last: tuple[int, Future[dict[int, Instance]]] | None = None
        for index, ids, logits in steps:
            coming = index, self._encoder_pool.submit(self._encode_instances, ids, logits)
            if last is not None:
                yield last[0], last[1].result()
            last = coming
        if last is not None:
            yield last[0], last[1].result()

    def _encode_instances(self, ids: list[int], logits: torch.Tensor) -> dict[int, Instance]:
        with self._running():
            return encode_logits(ids, logits, self._video.height, self._video.width, self._config.overlapping)

    def _masks(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """Masks of boxes, computed from the frame's features as in the package's image predictor."""
        logits = box_logits(self._model, self._features.get(index), self._scaled(boxes))
        return list(masks_from_logits(logits, self._video.height, self._video.width, overlapping=True))

    def _scaled(self, boxes: Sequence[Box]) -> torch.Tensor:
        """Boxes in pixels of the encoder's square, float32 (boxes, 2 corners, 2)."""
        import torch

        size = torch.tensor([self._video.width, self._video.height])
        corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 2, 2)
        scaled: torch.Tensor = corners / size * self._model.image_size
        return scaled.to(self._model.device)

    def _encode(self, index: int) -> Features:
        import torch

        out = self._model.forward_image(self._image(index)[None])
        dtype = getattr(torch, self._config.sam2.precision)
        return Features([level.to(dtype) for level in out["backbone_fpn"]], out["vision_pos_enc"])

    def _image(self, index: int) -> torch.Tensor:
        """Normalised frame, float32 (3, side, side), RGB."""
        import torch

        frame, device = torch.from_numpy(self._feed.frame(index)), self._model.device
        if device.type == "cuda":
            # A copy from pinned memory does not wait for the steps queued on the GPU.
            frame = frame.pin_memory()
        image = frame.to(device, non_blocking=True).permute(2, 0, 1).float() / 255.0
        return (image - self._mean) / self._std

    @contextmanager
    def _running(self) -> Iterator[None]:
        import torch

        half = self._config.sam2.precision != "float32"
        with torch.inference_mode(), torch.autocast(self._model.device.type, torch.bfloat16, enabled=half):
            yield


def _channels(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """Values per channel, float32 (3, 1, 1)."""
    import torch

    return torch.tensor(values, device=device)[:, None, None]


def box_logits(model: Any, features: Features, boxes: torch.Tensor) -> torch.Tensor:
    """Mask logits of box prompts, one mask each.

    Args:
        model: the SAM2 model.
        features: features of one frame.
        boxes: float32 (boxes, 2 corners, 2), pixels of the encoder's square input.

    Returns:
        (boxes, 1, side / 4, side / 4).
    """
    import torch

    # A box is encoded as two points, upper left and lower right, with labels 2 and 3.
    labels = torch.tensor([[2, 3]], dtype=torch.int32, device=boxes.device).expand(len(boxes), 2)
    sparse, dense = model.sam_prompt_encoder(points=(boxes, labels), boxes=None, masks=None)
    *fine, coarse = features.levels
    if model.directly_add_no_mem_embed:
        coarse = coarse + model.no_mem_embed.view(1, -1, 1, 1)
    decoded: tuple[torch.Tensor, ...] = model.sam_mask_decoder(
        image_embeddings=coarse,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
        repeat_image=len(boxes) > 1,
        high_res_features=fine,
    )
    return decoded[0]
