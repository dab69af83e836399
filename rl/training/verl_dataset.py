"""Training rows as datasets of verl (`data.custom_cls`); every process that reads them has the agent loop and positions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch  # noqa: TID253  verl imports this module, nothing else does

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import append_answer, decode_frames, prepare_batch, video_metadata
from rl.models.families import FAMILIES
from rl.prompts.templates import Message
from rl.rewards.truth import read_truth
from rl.training.row_schema import ROW_SCHEMA, InfoColumn, RewardColumn, TrainingRow, VideoColumn
from rl.training.rows import data_section
from rl.training.selection import RowsError
from rl.training.targets import target_response
from rl.verl.agent_loop import AGENT
from rl.verl.positions import install

install()


class PromptItem(TypedDict):
    """A prompt for verl's agent loop; `dummy_tensor` is there since verl's batches need a tensor."""

    data_source: str
    ability: str
    reward_model: RewardColumn
    extra_info: InfoColumn
    raw_prompt: list[Message]
    index: int
    agent_name: str
    tools_kwargs: dict[str, str]
    interaction_kwargs: dict[str, str]
    dummy_tensor: torch.Tensor


class TargetItem(TypedDict):
    """A prompt with its target response for verl's supervised trainer.

    Attributes:
        input_ids: int64 (length,).
        position_ids: int64 (4, length).
        loss_mask: int64 (length,), 1 for the tokens of the response.
        multi_modal_inputs: pixels and grid of the video.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    loss_mask: torch.Tensor
    multi_modal_inputs: dict[str, torch.Tensor]


Item = TypeVar("Item", PromptItem, TargetItem)


class _Rows(torch.utils.data.Dataset[Item]):
    """Rows of one or several files by their index. Reads a row group to get one row, and keeps none in memory."""

    def __init__(self, paths: list[str], config: Any, max_samples: int) -> None:
        if dict(config.mm_processor_kwargs).get("do_resize") is not False:
            options = data_section((), (), 0)["mm_processor_kwargs"]
            raise RowsError(f"frames are stored at the model's own size: set data.mm_processor_kwargs to {options}")
        self._open: dict[str, pq.ParquetFile] = {}
        places = [place for path in paths for place in self._places(path)]
        self._at = places if max_samples < 0 else places[:max_samples]

    def _places(self, path: str) -> Iterator[tuple[str, int, int]]:
        try:
            file = self._file(path)
        except (OSError, pa.ArrowException) as error:
            raise RowsError(f"training rows cannot be read ({error}): make them again") from error
        schema = file.schema_arrow
        if not schema.equals(ROW_SCHEMA) or schema.metadata != ROW_SCHEMA.metadata:
            raise RowsError(f"'{path}' does not hold training rows of this version: make them again")
        for group in range(file.num_row_groups):
            for row in range(file.metadata.row_group(group).num_rows):
                yield path, group, row

    def _file(self, path: str) -> pq.ParquetFile:
        if path not in self._open:
            # Memory-mapped, not read: a file position would be shared with the processes that a data loader forks.
            self._open[path] = pq.ParquetFile(path, memory_map=True)
        return self._open[path]

    def __getstate__(self) -> Any:
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self._at)

    def row(self, item: int) -> TrainingRow:
        """A row as it was written."""
        path, group, number = self._at[item]
        rows: list[TrainingRow] = self._file(path).read_row_group(group, use_threads=False).slice(number, 1).to_pylist()
        return rows[0]


class RowDataset(_Rows[PromptItem]):
    """Prompts of training rows for verl's GRPO."""

    def __init__(
        self, data_files: str | Iterable[str], tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        """Open the files.

        Args:
            data_files: one or several files of training rows.
            tokenizer: not used: prompts were counted when the rows were written.
            config: verl's section `data`.
            processor: not used either.
            max_samples: number of rows, the first ones; -1 for all.

        Raises:
            RowsError: a file holds no training rows of this version, or the configuration lets frames be resized.
        """
        super().__init__([data_files] if isinstance(data_files, str) else list(map(str, data_files)), config, max_samples)

    def __getitem__(self, item: int) -> PromptItem:
        row = self.row(item)
        return {
            "data_source": row["data_source"],
            "ability": row["ability"],
            "reward_model": row["reward_model"],
            "extra_info": row["extra_info"],
            "raw_prompt": _with_video(row["prompt"], row["videos"]),
            "index": row["extra_info"]["index"],
            "agent_name": AGENT,
            "tools_kwargs": {},
            "interaction_kwargs": {},
            "dummy_tensor": torch.zeros(1, dtype=torch.uint8),
        }

    @classmethod
    async def process_multi_modal_info(cls, messages: list[Message], image_patch_size: int, config: Any) -> Any:
        """Videos of a prompt for its processor, between no images and no audio, as verl expects them.

        Args:
            messages: the prompt's message list.
            image_patch_size: not used.
            config: not used.
        """
        return None, await asyncio.to_thread(video_inputs, messages), None


class TargetDataset(_Rows[TargetItem]):
    """The same rows with their target responses, as tokens, for verl's supervised trainer."""

    def __init__(self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any, max_samples: int = -1) -> None:
        """Open the files.

        Args:
            parquet_files: files of training rows.
            tokenizer: not used.
            config: verl's section `data`.
            processor: makes tokens and pixels; verl attached the model's config to it.
            max_samples: number of rows, the first ones; -1 for all.

        Raises:
            RowsError: as `RowDataset` does.
        """
        super().__init__(list(map(str, parquet_files)), config, max_samples)
        self._processor = processor

    def __getitem__(self, item: int) -> TargetItem:
        row, processor = self.row(item), self._processor
        request = Request("", row["prompt"], _visual(row["videos"][0]))
        prompt = prepare_batch(processor, FAMILIES["qwen2.5-vl"], processor.config, [request])
        target = target_response(read_truth(row["reward_model"]["ground_truth"])) + processor.tokenizer.eos_token
        whole = append_answer(prompt, processor.tokenizer(target, return_tensors="pt")["input_ids"], processor.config)
        ids = whole["input_ids"][0]
        return {
            "input_ids": ids,
            "position_ids": whole["position_ids"][:, 0],
            "loss_mask": (torch.arange(len(ids)) >= prompt["input_ids"].shape[1]).long(),
            "multi_modal_inputs": {name: whole[name] for name in ("pixel_values_videos", "video_grid_thw")},
        }


def video_inputs(messages: list[Message]) -> list[tuple[Any, Any]]:
    """Frames, uint8 (count, height, width, 3), and metadata of every video of a message list."""
    videos = [part["video"] for turn in messages for part in turn["content"] if part["type"] == "video"]
    return [(decode_frames(visual), video_metadata(visual)) for visual in map(_visual, videos)]


def _visual(video: VideoColumn) -> VisualInput:
    size = (video["width"], video["height"])
    return VisualInput(frames=tuple(video["frames"]), size=size, fps=video["fps"], times_s=tuple(video["times_s"]))


def _with_video(prompt: list[Message], videos: list[VideoColumn]) -> list[Message]:
    """The message list with the video in its part, without the fields that a part does not have."""
    rest = iter(videos)
    return [
        {
            "role": turn["role"],
            "content": [
                {"type": "video", "video": next(rest)} if part["type"] == "video" else part for part in turn["content"]
            ],
        }
        for turn in prompt
    ]
