"""Florence-2 as a detector: boxes written as text (Xiao et al. 2023, https://arxiv.org/abs/2311.06242)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.detection.base import DetectConfig, Detection, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.detection.pretrained import Architecture, load_pretrained
from tasks.video.reader import Frames, Video
from tasks.weights import WeightsError

ARCHITECTURE = Architecture(
    "florence-2",
    "florence2",
    "Florence2ForConditionalGeneration",
    "Florence2Processor",
    "florence-community/Florence-2-large",
)
DETECTION_TASK = "<OD>"
"""The task of finding whatever there is; the model names it in its own words."""
PHRASE_TASK = "<OPEN_VOCABULARY_DETECTION>"
"""The task of finding what a text says."""
BEAMS, MOST_TOKENS = 3, 1024
"""How an answer is searched for, as the model's card does it."""


class Florence2Detector:
    """Florence-2 by transformers' own class, from a local folder, on a GPU if there is one.

    Without `config.prompts` categories are the model's words for what it sees, which need not be COCO's: target `person`
    finds those that it calls `person`, not `man`. With prompts the model is asked for each of them in turn, as it takes one
    at a time, and the category is the prompt. The model gives no scores: each is 1, whatever `config.confidence`. It works
    at its own image size, whatever `config.image_size_px`, and writes corners as one of 1000 steps, in whole pixels.

    Raises:
        WeightsError: the folder is missing or holds no such model.
        ValueError: a prompt does not fit the model: too long, or with a sign of its own language.
    """

    def __init__(self, config: DetectConfig) -> None:
        self._config = config
        for prompt in config.prompts:
            if set(prompt) & {"<", ">"}:
                raise ValueError(
                    f"the text prompt '{prompt}' holds '<' or '>', which have a meaning of their own to Florence-2"
                )
        self._loaded = load_pretrained(config.weights, ARCHITECTURE)
        self._tasks = [(PHRASE_TASK, prompt) for prompt in config.prompts] or [(DETECTION_TASK, "")]
        self._most = self._most_tokens()

    def _most_tokens(self) -> int:
        """Most tokens of an answer; looks whether each question fits the model, and whether its answer can be read."""
        processor, places = self._loaded.processor, int(self._loaded.model.config.text_config.max_position_embeddings)
        for task, prompt in self._tasks:
            inputs = processor(text=task + prompt, images=np.zeros((8, 8, 3), np.uint8))["input_ids"][0]
            if len(inputs) > places:
                raise ValueError(f"the text prompt '{prompt}' is too long for Florence-2: shorten it")
            try:
                parse_boxes("", task, prompt, processor, (1, 1))
            except (KeyError, ValueError) as error:
                remedy = f"take the folder of {ARCHITECTURE.source}, as downloaded from Hugging Face"
                raise WeightsError(
                    f"the processor of {ARCHITECTURE.name}'s folder cannot read answers to {task}: {remedy}"
                ) from error
        return min(MOST_TOKENS, places)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`; the next frames are decoded meanwhile.

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
        """What the model writes about each frame, its own signs included."""
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
    """Boxes that an answer of the model names, each once, with score 1.

    Args:
        answer: text as generated.
        task: the task that it answers, `ANY` or `NAMED`.
        prompt: category of all boxes; if empty they have the category that the answer gives.
        processor: the model's, which knows its language.
        size: (height, width) of the picture in pixels.
    """
    outputs = processor.post_process_generation(text=answer, task=task, image_size=(size[1], size[0]))[task]
    named = list(zip(outputs["bboxes"], outputs.get("labels") or outputs.get("bboxes_labels", []), strict=True))
    outlined = [
        (_around(outlines), label)
        for outlines, label in zip(outputs.get("polygons", []), outputs.get("polygons_labels", []), strict=True)
    ]
    # The model at times repeats itself to the end of its answer.
    distinct = dict.fromkeys((tuple(corners), prompt or _words(label)) for corners, label in named + outlined)
    return [(corners, category, 1.0) for corners, category in distinct if category]


def _words(label: str) -> str:
    """A label without the rest of a broken box before it, which the processor leaves there: `loc_746>dog`."""
    return label.rpartition(">")[2].strip()


def _around(outlines: Sequence[Sequence[float]]) -> list[float]:
    """The box around outlines, each x, y, x, y, ..."""
    x, y = ([value for outline in outlines for value in outline[axis::2]] for axis in (0, 1))
    return [min(x), min(y), max(x), max(y)] if x and y else [0.0] * 4
