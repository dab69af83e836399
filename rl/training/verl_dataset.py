"""Training rows as datasets of verl (`data.custom_cls`), and the agent loop that passes a video's times to the rollout."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch  # noqa: TID253  verl imports this module, nothing else does
from verl.experimental.agent_loop.agent_loop import register  # noqa: TID253
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop  # noqa: TID253

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import append_answer, decode_frames, prepare_batch, video_metadata
from rl.models.families import FAMILIES
from rl.rewards.truth import read_truth
from rl.training.row_writer import ROW_SCHEMA
from rl.training.rows import data_section
from rl.training.selection import RowsError
from rl.training.targets import target_response
from rl.verl.positions import install
from rl.verl.private import overrides

install()

_AGENT = "timed_single_turn"


@register(_AGENT)
class TimedTurn(SingleTurnAgentLoop):
    """verl's single turn whose request repeats the times of the frames, since vLLM drops those that come with a video."""

    async def process_multi_modal_info(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Frames and times of a prompt; the times are kept for the request.

        Args:
            messages: the prompt's message list.
        """
        media: dict[str, Any] = await super().process_multi_modal_info(messages)
        self._times = [times for _, times in media["videos"]]
        return media

    @overrides("verl.experimental.agent_loop.agent_loop.AgentLoopBase._get_mm_processor_kwargs")
    def _get_mm_processor_kwargs(self, audio_data: list[Any] | None = None) -> dict[str, Any]:
        return {**super()._get_mm_processor_kwargs(audio_data), "video_metadata": self._times}


class RowDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows of one or several files by their index. Reads a row group to get one row, and keeps none in memory."""

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
        if dict(config.mm_processor_kwargs).get("do_resize") is not False:
            options = data_section((), (), 0)["mm_processor_kwargs"]
            raise RowsError(f"frames are stored at the model's own size: set data.mm_processor_kwargs to {options}")
        self._paths = [data_files] if isinstance(data_files, str) else [str(path) for path in data_files]
        self._open: dict[str, Any] = {}
        places = [place for path in self._paths for place in self._places(path)]
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

    def _file(self, path: str) -> Any:
        if path not in self._open:
            # Memory-mapped, not read: a file position would be shared with the processes that a data loader forks.
            self._open[path] = pq.ParquetFile(path, memory_map=True)
        return self._open[path]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self._at)

    def _row(self, item: int) -> dict[str, Any]:
        path, group, number = self._at[item]
        [row] = self._file(path).read_row_group(group, use_threads=False).slice(number, 1).to_pylist()
        return dict(row)

    def __getitem__(self, item: int) -> dict[str, Any]:
        row = self._row(item)
        return {
            **{name: row[name] for name in ("data_source", "ability", "reward_model", "extra_info")},
            "raw_prompt": _with_video(row["prompt"], row["videos"]),
            "index": row["extra_info"]["index"],
            "agent_name": _AGENT,
            "tools_kwargs": {},
            "interaction_kwargs": {},
            "dummy_tensor": torch.zeros(1, dtype=torch.uint8),  # verl's batches may not be without one
        }

    @classmethod
    async def process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: int, config: Any
    ) -> tuple[None, list[tuple[Any, dict[str, Any]]], None]:
        """Videos of a prompt for its processor: uint8 (frames, height, width, 3), and their metadata; no images and audio.

        Args:
            messages: the prompt's message list.
            image_patch_size: not used.
            config: not used.
        """
        return None, await asyncio.to_thread(video_inputs, messages), None


class TargetDataset(RowDataset):
    """The same rows with their target responses, as tokens, for verl's supervised trainer."""

    def __init__(self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any, max_samples: int = -1) -> None:
        """Open the files.

        Args:
            parquet_files: files of training rows.
            tokenizer: not used.
            config: verl's section `data`.
            processor: makes tokens and pixels; verl attached the model's config to it.
            max_samples: number of rows, the first ones; -1 for all.
        """
        super().__init__(list(parquet_files), tokenizer, config, processor, max_samples)
        self._processor = processor

    def __getitem__(self, item: int) -> dict[str, Any]:
        """Tokens and whether the loss counts them, int64 (length,); positions (4, length); pixels with their grid."""
        row, processor = self._row(item), self._processor
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


def video_inputs(messages: list[dict[str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    """Frames and metadata of every video of a message list."""
    videos = [part["video"] for turn in messages for part in turn["content"] if part["type"] == "video"]
    return [(decode_frames(visual), video_metadata(visual)) for visual in map(_visual, videos)]


def _visual(video: Mapping[str, Any]) -> VisualInput:
    return VisualInput(tuple(video["frames"]), (video["width"], video["height"]), video["fps"], tuple(video["times_s"]))


def _with_video(prompt: list[dict[str, Any]], videos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The message list with the video in its part, without the fields that a part does not have."""
    rest = iter(videos)
    return [{"role": turn["role"], "content": [_part(part, rest) for part in turn["content"]]} for turn in prompt]


def _part(part: dict[str, Any], videos: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "video", "video": next(videos)} if part["type"] == "video" else part
