"""Florence-2 detector, which generates boxes as text (Xiao et al. 2023, https://arxiv.org/abs/2311.06242)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.detection.pretrained import Architecture, load_pretrained
from tasks.video.reader import Frames, Video
from tasks.weights import Weights, WeightsError

ARCHITECTURE = Architecture(
    name="florence-2",
    model_type="florence2",
    model_class="Florence2ForConditionalGeneration",
    processor_class="Florence2Processor",
    source="florence-community/Florence-2-large",
)
DETECTION_TASK = "<OD>"
"""Task token for detection of all objects, which the model labels in its own words."""
PHRASE_TASK = "<OPEN_VOCABULARY_DETECTION>"
"""Task token for detection of a text phrase."""
BEAMS, MAX_TOKENS = 3, 1024
"""Beam search settings of the model card."""


class Florence2Detector:
    """Florence-2 by transformers, loaded from a local folder, on a GPU if available.

    Without `config.prompts`, categories are the model's own labels, which need not be COCO names: target `person` selects
    objects labelled `person`, not `man`. With prompts, the model runs once per prompt, and the category is the prompt. The
    model gives no scores: each score is 1, whatever `config.confidence`. It uses its own image size, whatever
    `config.image_size_px`, and quantises corners to 1000 steps, in whole pixels.

    Raises:
        WeightsError: the folder is missing or does not contain such a model.
        ValueError: a prompt is too long or contains a special token of the model.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config
        for prompt in config.prompts:
            if set(prompt) & {"<", ">"}:
                raise ValueError(f"the text prompt '{prompt}' contains '<' or '>', which are reserved in Florence-2")
        self._loaded = load_pretrained(weights, ARCHITECTURE)
        self._tasks = [(PHRASE_TASK, prompt) for prompt in config.prompts] or [(DETECTION_TASK, "")]
        self._most = self._max_tokens()

    def _max_tokens(self) -> int:
        """Maximum number of generated tokens; checks that each prompt fits and that its output can be parsed."""
        processor, places = self._loaded.processor, int(self._loaded.model.config.text_config.max_position_embeddings)
        for task, prompt in self._tasks:
            inputs = processor(text=task + prompt, images=np.zeros((8, 8, 3), np.uint8))["input_ids"][0]
            if len(inputs) > places:
                raise ValueError(f"the text prompt '{prompt}' is too long for Florence-2: shorten it")
            try:
                parse_boxes("", task, prompt, processor, (1, 1))
            except (KeyError, ValueError) as error:
                remedy = f"use the folder of {ARCHITECTURE.source}, as downloaded from Hugging Face"
                raise WeightsError(
                    f"the processor of {ARCHITECTURE.name}'s folder cannot parse outputs of {task}: {remedy}"
                ) from error
        return min(MAX_TOKENS, places)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`; the next frames are decoded in the background.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        return detect_in_batches(self.detect_frames, video, indices)

    def detect_frames(self, frames: Frames) -> list[list[Detection]]:
        """Detections on each frame of uint8 (n, height, width, 3), RGB."""
        height, width = frames.shape[1:3]
        rows: list[list[RawDetection]] = [[] for _ in frames]
        for task, prompt in self._tasks:
            for row, answer in zip(rows, self._answers(frames, task + prompt), strict=True):
                row.extend(parse_boxes(answer, task, prompt, self._loaded.processor, (height, width)))
        return [filter_detections(clip_boxes(row, height, width), self._config) for row in rows]

    def _answers(self, frames: Frames, question: str) -> list[str]:
        """Generated text for each frame, special tokens included."""
        import torch

        inputs = self._loaded.processor(
            text=[question] * len(frames),
            images=list(frames),
            images_kwargs={"input_data_format": "channels_last"},
            return_tensors="pt",
        ).to(self._loaded.device)
        with torch.inference_mode():
            outputs = self._loaded.model.generate(**inputs, num_beams=BEAMS, do_sample=False, max_new_tokens=self._most)
        answers: list[str] = self._loaded.processor.batch_decode(outputs, skip_special_tokens=False)
        return answers


def parse_boxes(answer: str, task: str, prompt: str, processor: Any, size: tuple[int, int]) -> list[RawDetection]:
    """Boxes in a generated text, without repetitions, with score 1.

    Args:
        answer: generated text.
        task: task token of the prompt, `DETECTION_TASK` or `PHRASE_TASK`.
        prompt: category of all boxes; if empty, the labels in the text are used.
        processor: processor of the model, which parses its output.
        size: (height, width) of the image in pixels.
    """
    outputs = processor.post_process_generation(text=answer, task=task, image_size=(size[1], size[0]))[task]
    named = list(zip(outputs["bboxes"], outputs.get("labels") or outputs.get("bboxes_labels", []), strict=True))
    outlined = [
        (_around(outlines), label)
        for outlines, label in zip(outputs.get("polygons", []), outputs.get("polygons_labels", []), strict=True)
    ]
    # The model may repeat a box until the end of its output.
    distinct = dict.fromkeys((tuple(corners), prompt or _words(label)) for corners, label in named + outlined)
    return [(corners, category, 1.0) for corners, category in distinct if category]


def _words(label: str) -> str:
    """Label without the remains of an incomplete box, which the processor leaves in front of it: `loc_746>dog`."""
    return label.rpartition(">")[2].strip()


def _around(outlines: Sequence[Sequence[float]]) -> list[float]:
    """Bounding box of outlines, each given as x, y, x, y, ..."""
    x, y = ([value for outline in outlines for value in outline[axis::2]] for axis in (0, 1))
    return [min(x), min(y), max(x), max(y)] if x and y else [0.0] * 4
