"""Which samples of a dataset are trained on, and why the others are not; nothing is decoded for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rl.engines.inputs import chat_text, load_processor
from rl.evaluation.protocols import Asker, Protocol, ProtocolError, protocol_named, style_of
from rl.evaluation.samples import Asked, Clips, ShownError, asked_samples
from rl.models.families import Model
from storage.common.errors import InputError
from storage.folders.files import digest
from storage.reader import Dataset
from tasks.benchmarks.samples import Task

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
TRAINED = frozenset({Task.SPATIO_TEMPORAL, Task.TEMPORAL})
"""Tasks whose answers have a time, which every reward asks for."""


class RowsError(InputError):
    """Training rows that cannot be made or read; the message names the remedy."""


@dataclass(frozen=True)
class RowSettings:
    """What shapes training rows, dataset and model aside.

    Attributes:
        protocol: how samples are asked: `marked`, `figures`, `released`, or `unmarked` for times alone.
        max_prompt_tokens: a longer prompt, its video included, is refused.
        validation: share of the videos that are held out for validation; at least one is.
        seed: of the draw of these videos.
        limit: only the first samples, by key; 0 takes all.
    """

    protocol: str = "marked"
    max_prompt_tokens: int = 8192
    validation: float = 0.02
    seed: int = 0
    limit: int = 0

    def asked_by(self) -> Protocol:
        """The protocol.

        Raises:
            ProtocolError: there is none of this name, or one cannot train by it.
        """
        protocol = protocol_named(self.protocol)
        if protocol.boxes or protocol.captions or not protocol.tasks & TRAINED:
            raise ProtocolError(
                f"the protocol '{self.protocol}' cannot be trained by: choose marked, figures, released or unmarked"
            )
        return protocol


class Planned(NamedTuple):
    """A sample that is trained on; tokens are those of its whole prompt, the video's included."""

    asked: Asked
    tokens: int


@dataclass(frozen=True)
class Plan:
    """What is trained on.

    Attributes:
        splits: split -> samples, in the order of their keys; no video is in both.
        refused: sample -> why it is left out: the label step's reason (`target_not_drawn`, ...), the clip's (`no_objects`,
            ...), or `task_not_trained`, `no_true_span`, `several_objects`, `special_token` (a sentence that holds one of the
            model's, such as a video's placeholder), `prompt_too_long`.
    """

    splits: Mapping[Split, Sequence[Planned]]
    refused: Mapping[str, str]

    def kept(self) -> list[Planned]:
        """Samples of every split."""
        return [planned for split in SPLITS for planned in self.splits[split]]

    def without(self, refused: Mapping[str, str]) -> Plan:
        """The plan with further samples refused."""
        splits = {split: [p for p in kept if p.asked.sample_id not in refused] for split, kept in self.splits.items()}
        return Plan(splits, {**self.refused, **refused})

    def counts(self) -> dict[str, int]:
        """Samples of each split, and refused ones by reason."""
        told = {str(split): len(planned) for split, planned in self.splits.items()}
        return told | dict(sorted(Counter(self.refused.values()).items()))


def plan_rows(dataset: Dataset, model: Model, settings: RowSettings) -> Plan:
    """Decide which samples are trained on.

    Raises:
        ProtocolError: one cannot train by the protocol.
        RowsError: the model is of a family that is not trained, or fewer than two videos are left.
    """
    check = _Check(dataset, model, settings)
    every = asked_samples(dataset, set(Task))
    kept, refused = [], {}
    for asked in every[: settings.limit] if settings.limit else every:
        reason, tokens = check.sample(asked)
        if reason:
            refused[asked.sample_id] = reason
        else:
            kept.append(Planned(asked, tokens))
    held_out = _held_out(dataset, kept, settings, refused)
    splits: dict[Split, list[Planned]] = {split: [] for split in SPLITS}
    for planned in kept:
        splits["val" if planned.asked.video_id in held_out else "train"].append(planned)
    return Plan(splits, refused)


def _held_out(dataset: Dataset, kept: Sequence[Planned], settings: RowSettings, refused: Mapping[str, str]) -> set[str]:
    """Videos for validation: those whose seeded hash is smallest."""
    videos = {planned.asked.video_id for planned in kept}
    if len(videos) < len(SPLITS):
        counts = ", ".join(f"{reason} {count}" for reason, count in Counter(refused.values()).items()) or "none"
        name = dataset.manifest.dataset
        raise RowsError(f"'{name}' has {len(videos)} video to train on, and two are needed; samples refused: {counts}")
    count = min(max(round(settings.validation * len(videos)), 1), len(videos) - 1)
    return set(sorted(videos, key=lambda video_id: digest([settings.seed, video_id]))[:count])


class _Check:
    """Looks at one sample after another."""

    def __init__(self, dataset: Dataset, model: Model, settings: RowSettings) -> None:
        if model.family.times != "positions":
            raise RowsError(f"'{model.name}' is of the family '{model.family.name}', and only qwen2.5-vl is trained")
        self._dataset, self._model, self._settings = dataset, model, settings
        self._protocol, self._clips = settings.asked_by(), Clips(dataset)
        style = style_of(dataset.manifest.stages["frames"].params["render"])
        self._asker = Asker(self._protocol, model, self._clips, style)
        self._processor = load_processor(model)
        self._special = tuple(self._processor.tokenizer.get_added_vocab())
        labels = dataset.table("samples", ["sample_id", "answer_ids", "reason"]).to_pylist()
        self._labels = {row["sample_id"]: (row["reason"], len(row["answer_ids"])) for row in labels}

    def sample(self, asked: Asked) -> tuple[str, int]:
        """Why a sample is refused, empty if it is not, and the tokens of its prompt."""
        if asked.task not in TRAINED & self._protocol.tasks:
            return "task_not_trained", 0
        if asked.span_s is None or asked.span_s[1] <= asked.span_s[0]:
            return "no_true_span", 0
        if names_object(self._protocol, asked) and (reason := self._unanswered(asked)):
            return reason, 0
        if any(token in asked.sentence.lower() for token in self._special):
            return "special_token", 0
        clip, frames = self._clips.clip(asked), self._frames(asked)
        if not frames:
            return clip["reason"] or "no_frames", 0
        text = chat_text(self._processor, self._model.family, self._asker.messages(asked))
        placeholder = 1
        said = len(self._processor.tokenizer(text)["input_ids"]) - placeholder
        tokens = said + video_tokens(self._processor, frames, (clip["width"], clip["height"]))
        return ("prompt_too_long" if tokens > self._settings.max_prompt_tokens else ""), tokens

    def _unanswered(self, asked: Asked) -> str:
        reason, objects = self._labels[asked.sample_id]
        return str(reason or ("" if objects == 1 else "several_objects"))

    def _frames(self, asked: Asked) -> int:
        """How many frames are shown."""
        if self._protocol.marked:
            return int(self._dataset.frames(asked.video_id, asked.clip_id, ["clip_id"]).num_rows)
        try:
            return len(self._clips.indices(asked))
        except ShownError:
            return 0


def names_object(protocol: Protocol, asked: Asked) -> bool:
    """Whether an answer names an object."""
    return protocol.marked and asked.task.needs_objects


def video_tokens(processor: Any, frames: int, size: tuple[int, int]) -> int:
    """Tokens of a video of (width, height) pixels that is not resized."""
    how = processor.video_processor
    side, pairs = int(how.patch_size * how.merge_size), -(-frames // int(how.temporal_patch_size))
    return pairs * (size[0] // side) * (size[1] // side)
