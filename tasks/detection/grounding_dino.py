"""Grounding DINO detector with an open vocabulary given as text (Liu et al. 2023, https://arxiv.org/abs/2303.05499)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.detection.pretrained import Architecture, load_pretrained
from tasks.detection.vocabulary import COCO
from tasks.video.reader import Frames, Video
from tasks.weights import Weights

ARCHITECTURE = Architecture(
    name="grounding-dino",
    model_type="grounding-dino",
    model_class="GroundingDinoForObjectDetection",
    processor_class="GroundingDinoProcessor",
    source="IDEA-Research/grounding-dino-base",
)


class GroundingDinoDetector:
    """Grounding DINO by transformers, loaded from a local folder, on a GPU if available.

    Categories are `config.prompts`, or COCO's 80 names without prompts. A box belongs to the prompt with the most probable
    token, whose probability is the score; `config.confidence` is thus the box threshold of the model. The original code joins
    tokens of several prompts if their probabilities are close; here each box has one category.

    Frames are scaled so that their longer side is `config.image_size_px`; the model was trained with up to 1333.

    Raises:
        WeightsError: the folder is missing or does not contain such a model.
        ValueError: the prompts are too long together, or one contains a separator.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        import torch

        self._config = config
        self._prompts = config.prompts or COCO
        for prompt in self._prompts:
            if set(prompt) & {".", "?"}:
                raise ValueError(f"the text prompt '{prompt}' contains '.' or '?', which end a prompt in Grounding DINO")
        self._loaded = load_pretrained(weights, ARCHITECTURE)
        ids, self._owners = prompt_tokens(self._prompts, self._loaded.processor.tokenizer)
        room = self._loaded.model.config.max_text_len
        if len(ids) > room:
            raise ValueError(f"the text prompts take {len(ids)} tokens and Grounding DINO reads {room}: give fewer")
        self._ids = torch.tensor([ids], device=self._loaded.device)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first; the next frames are decoded in the background.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        return detect_in_batches(self.detect_frames, video, indices)

    def detect_frames(self, frames: Frames) -> list[list[Detection]]:
        """Detections on each frame of uint8 (n, height, width, 3), RGB."""
        import torch

        side = self._config.image_size_px
        pictures = self._loaded.processor.image_processor(
            images=list(frames),
            size={"shortest_edge": side, "longest_edge": side},
            input_data_format="channels_last",
            return_tensors="pt",
        ).to(self._loaded.device)
        ids = self._ids.expand(len(frames), -1)
        with torch.inference_mode():
            outputs = self._loaded.model(
                **pictures, input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=torch.zeros_like(ids)
            )
        words, boxes = outputs.logits.float().sigmoid().cpu().numpy(), outputs.pred_boxes.float().cpu().numpy()
        height, width = frames.shape[1:3]
        rows = (self._rows(*frame, height, width) for frame in zip(words, boxes, strict=True))
        return [filter_detections(clip_boxes(row, height, width), self._config) for row in rows]

    def _rows(self, words: NDArray[np.float32], boxes: NDArray[np.float32], height: int, width: int) -> list[RawDetection]:
        return best_prompts(words, boxes, self._owners, self._prompts, self._config.confidence, (height, width))


def prompt_tokens(prompts: Sequence[str], tokenizer: Any) -> tuple[list[int], NDArray[np.int64]]:
    """Token IDs of the joined prompts, `a dog. person.`, and the prompt that each token belongs to.

    Args:
        prompts: names to look for.
        tokenizer: tokenizer of the model.

    Returns:
        Token IDs, and int64 (tokens,): index of the prompt that a token is part of, or -1 for separators.
    """

    def ids_of(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    ids, owners = [tokenizer.cls_token_id], [-1]
    for number, prompt in enumerate(prompts):
        words, end = ids_of(prompt.lower()), ids_of(".")
        ids += words + end
        owners += [number] * len(words) + [-1] * len(end)
    return [*ids, tokenizer.sep_token_id], np.array([*owners, -1])


def best_prompts(
    words: NDArray[np.float32],
    boxes: NDArray[np.float32],
    owners: NDArray[np.int64],
    prompts: Sequence[str],
    confidence: float,
    size: tuple[int, int],
) -> list[RawDetection]:
    """Boxes in pixels of the queries for which a token of a prompt reaches the confidence.

    Args:
        words: float32 (queries, at least the number of tokens), probability of each token for a query.
        boxes: float32 (queries, 4), centre x, centre y, width and height as fractions of the image.
        owners: int64 (tokens,), from `prompt_tokens`.
        prompts: prompts that `owners` indexes.
        confidence: minimum probability.
        size: (height, width) of the image in pixels.
    """
    belonging = np.flatnonzero(owners >= 0)
    chances = words[:, belonging]
    best = chances.argmax(axis=1)
    scores = chances[np.arange(len(chances)), best]
    half = boxes[:, 2:] / 2
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1).astype(np.float64)
    corners *= np.array([size[1], size[0]] * 2)
    names = [prompts[owners[belonging[word]]] for word in best]
    return [(corners[i].tolist(), names[i], float(scores[i])) for i in np.flatnonzero(scores >= confidence)]
