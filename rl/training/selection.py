"""Selection of a dataset's samples for training, with a reason for each that is excluded; nothing is decoded for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import Field

from rl.engines.inputs import chat_text, load_processor
from rl.evaluation.protocols import Protocol, ProtocolError, protocol_named
from rl.evaluation.requests import Requester
from rl.evaluation.samples import ClipError, Clips, EvalSample, eval_samples
from rl.models.families import Model
from storage.common.config import Config
from storage.common.errors import InputError
from storage.folders.files import json_digest
from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.build.stages import frames_parameters

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
TRAINED = frozenset({Task.SPATIO_TEMPORAL, Task.TEMPORAL})
"""Tasks whose answers have a time, which every reward needs."""


class RowsError(InputError):
    """Training rows that cannot be written or read."""


class RowSettings(Config):
    """Settings that shape training rows, beside dataset and model."""

    protocol: str = Field(
        "marked",
        title="Protocol",
        description="Prompt protocol: marked, figures, released, or unmarked for times alone.",
    )
    max_prompt_tokens: int = Field(
        8192, title="Prompt tokens", ge=1, description="Prompts with more tokens, those of the video included, are excluded."
    )
    validation: float = Field(
        0.02, title="Validation", gt=0, lt=1, description="Share of the videos that is held out for validation; at least one."
    )
    seed: int = Field(0, title="Seed", description="Seed of the validation split.")
    limit: int = Field(0, title="Limit", ge=0, description="Number of samples, the first by key; 0 selects all.")

    def training_protocol(self) -> Protocol:
        """Look up the protocol.

        Raises:
            ProtocolError: there is none of this name, or it cannot be trained by.
        """
        protocol = protocol_named(self.protocol)
        if protocol.boxes or protocol.captions or not protocol.tasks & TRAINED:
            raise ProtocolError(
                f"the protocol '{self.protocol}' cannot be trained by: choose marked, figures, released or unmarked"
            )
        return protocol


class TrainingSample(NamedTuple):
    """A sample to train on, with the tokens of its prompt, those of the video included."""

    sample: EvalSample
    prompt_tokens: int


@dataclass(frozen=True)
class Selection:
    """Samples to train on.

    Attributes:
        splits: split -> samples in the order of their keys; no video is in both.
        exclusions: sample ID -> reason: the label step's (`target_not_drawn`, ...), the clip's (`no_objects`, ...), or
            `task_not_trained`, `no_true_span`, `several_objects`, `special_token` (a sentence that contains a token of the
            model such as a video's placeholder), `prompt_too_long`.
    """

    splits: Mapping[Split, Sequence[TrainingSample]]
    exclusions: Mapping[str, str]

    def samples(self) -> list[TrainingSample]:
        """Samples of every split."""
        return [sample for split in SPLITS for sample in self.splits[split]]

    def without(self, exclusions: Mapping[str, str]) -> Selection:
        """The selection with further samples excluded.

        Args:
            exclusions: sample ID -> reason.
        """
        splits = {split: [s for s in samples if s.sample.sample_id not in exclusions] for split, samples in self.splits.items()}
        return Selection(splits, {**self.exclusions, **exclusions})

    def counts(self) -> dict[str, int]:
        """Number of samples of each split, and of excluded ones by reason."""
        by_split = {str(split): len(samples) for split, samples in self.splits.items()}
        return by_split | dict(sorted(Counter(self.exclusions.values()).items()))


def select_samples(dataset: Dataset, model: Model, settings: RowSettings) -> Selection:
    """Select the samples to train on and split them.

    Args:
        dataset: published.
        model: its tokenizer and processor count tokens.
        settings: protocol, limits and seed.

    Raises:
        ProtocolError: the protocol cannot be trained by.
        RowsError: the model's family is not supported, or fewer than two videos are left.
    """
    sample_filter = _SampleFilter(dataset, model, settings)
    every = eval_samples(dataset, set(Task))
    samples, exclusions = [], {}
    for sample in every[: settings.limit] if settings.limit else every:
        reason, tokens = sample_filter.check(sample)
        if reason:
            exclusions[sample.sample_id] = reason
        else:
            samples.append(TrainingSample(sample, tokens))
    validation = _validation_videos(dataset, samples, settings, exclusions)
    splits: dict[Split, list[TrainingSample]] = {split: [] for split in SPLITS}
    for each in samples:
        splits["val" if each.sample.video_id in validation else "train"].append(each)
    return Selection(splits, exclusions)


def _validation_videos(
    dataset: Dataset, samples: Sequence[TrainingSample], settings: RowSettings, exclusions: Mapping[str, str]
) -> set[str]:
    """IDs of the videos for validation: those with the smallest seeded hashes."""
    videos = {each.sample.video_id for each in samples}
    if len(videos) < len(SPLITS):
        counts = ", ".join(f"{reason} {count}" for reason, count in Counter(exclusions.values()).items()) or "none"
        name = dataset.manifest.dataset
        raise RowsError(f"'{name}' has {len(videos)} video to train on, and two are needed; samples refused: {counts}")
    count = min(max(round(settings.validation * len(videos)), 1), len(videos) - 1)
    return set(sorted(videos, key=lambda video_id: json_digest([settings.seed, video_id]))[:count])


class _SampleFilter:
    """Checks one sample after another."""

    def __init__(self, dataset: Dataset, model: Model, settings: RowSettings) -> None:
        if model.family.times != "positions":
            raise RowsError(f"'{model.name}' is of the family '{model.family.name}', and only qwen2.5-vl is trained")
        self._dataset, self._model, self._max_tokens = dataset, model, settings.max_prompt_tokens
        self._protocol, self._clips = settings.training_protocol(), Clips(dataset)
        style = frames_parameters(dataset).markers.style
        self._requester = Requester(self._protocol, model, self._clips, style)
        self._processor = load_processor(model)
        self._special_tokens = tuple(self._processor.tokenizer.get_added_vocab())
        labels = dataset.table("samples", ["sample_id", "answer_ids", "reason"]).to_pylist()
        self._labels = {row["sample_id"]: (row["reason"], len(row["answer_ids"])) for row in labels}

    def check(self, sample: EvalSample) -> tuple[str, int]:
        """The reason to exclude a sample, empty to keep it, and the tokens of its prompt."""
        if sample.task not in TRAINED & self._protocol.tasks:
            return "task_not_trained", 0
        if sample.span_s is None or sample.span_s[1] <= sample.span_s[0]:
            return "no_true_span", 0
        if requires_object(self._protocol, sample) and (reason := self._label_reason(sample)):
            return reason, 0
        if any(token in sample.sentence.lower() for token in self._special_tokens):
            return "special_token", 0
        clip, frames = self._clips.clip(sample), self._frame_count(sample)
        if not frames:
            return clip.reason or "no_frames", 0
        text = chat_text(self._processor, self._model.family, self._requester.messages(sample))
        placeholder = 1
        text_tokens = len(self._processor.tokenizer(text)["input_ids"]) - placeholder
        tokens = text_tokens + video_tokens(self._processor, frames, clip.size)
        return ("prompt_too_long" if tokens > self._max_tokens else ""), tokens

    def _label_reason(self, sample: EvalSample) -> str:
        reason, objects = self._labels[sample.sample_id]
        return str(reason or ("" if objects == 1 else "several_objects"))

    def _frame_count(self, sample: EvalSample) -> int:
        """Number of frames in the prompt."""
        if self._protocol.marked:
            return int(self._dataset.frames(sample.video_id, sample.clip_id, ["clip_id"]).num_rows)
        try:
            return len(self._clips.indices(sample))
        except ClipError:
            return 0


def requires_object(protocol: Protocol, sample: EvalSample) -> bool:
    """Whether the answer to a sample names an object.

    Args:
        protocol: prompts on frames without markers ask for no objects.
        sample: its task may ask for times alone.
    """
    return protocol.marked and sample.task.needs_objects


def video_tokens(processor: Any, frames: int, size: tuple[int, int]) -> int:
    """Tokens of a video that is not resized.

    Args:
        processor: of a Qwen2.5-VL model.
        frames: number of frames.
        size: (width, height) in pixels.
    """
    vision = processor.video_processor
    side, pairs = int(vision.patch_size * vision.merge_size), -(-frames // int(vision.temporal_patch_size))
    return pairs * (size[0] // side) * (size[1] // side)
