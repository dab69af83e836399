"""Making training rows: one fixed schema with verl's columns, the frames as the dataset stores them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.engines.base import Request
from rl.evaluation.protocols import Asker, style_of
from rl.evaluation.samples import Clips, ShownError
from rl.models.families import Model
from rl.rewards import Truth
from rl.training.plan import SPLITS, Plan, Planned, RowsError, RowSettings, Split, names_object
from rl.training.truths import truth_of
from storage.reader import Dataset
from tasks.markers.labels import Style
from tasks.metrics.arrays import StoredSample, StoredVideo, stored_videos

ROWS_VERSION = 1
"""Of the schema and of the code that fills it."""
GROUP_ROWS = 4
"""Rows a row group: what is read to get at one row, some three megabytes."""

_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_VIDEO = pa.struct(
    [
        ("frames", pa.list_(pa.binary())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("times_s", pa.list_(pa.float64())),
    ]
)
_ROW = [("index", pa.int64()), ("split", pa.string()), ("sample_id", pa.string()), ("video_id", pa.string())]

ROWS = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))),
        ("videos", pa.list_(_VIDEO)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([*_ROW, ("clip_id", pa.string()), ("prompt_tokens", pa.int32())])),
    ],
    metadata={"rows_version": str(ROWS_VERSION)},
)
"""One row a sample, with verl's columns. `prompt` is a message list as chat templates take it; `videos` holds its one video:
JPEGs as the dataset stores them, all of one size, when each was on screen (seconds of the clip), and their rate. The ground
truth is a `Truth` as JSON. Sorted by video and sample."""


def write_files(folder: Path, dataset: Dataset, model: Model, settings: RowSettings, plan: Plan) -> Plan:
    """Write a file for each split.

    Returns:
        The plan, without the samples whose frames could not be had after all.

    Raises:
        RowsError: nothing is left for a split.
    """
    maker = _Maker(dataset, model, settings)
    refused: dict[str, str] = {}
    placed = {planned.asked.sample_id: (split, planned) for split in SPLITS for planned in plan.splits[split]}
    with ExitStack() as stack:
        files = {split: stack.enter_context(_RowFile(folder / f"{split}.parquet", split)) for split in SPLITS}
        for video in stored_videos(dataset):
            for sample in sorted(video.samples, key=lambda sample: sample.sample_id):
                if sample.sample_id not in placed:
                    continue
                split, planned = placed[sample.sample_id]
                try:
                    files[split].add(maker.row(video, sample, planned))
                except ShownError as error:
                    refused[sample.sample_id] = error.reason
    made = plan.without(refused)
    if empty := [split for split in SPLITS if not made.splits[split]]:
        raise RowsError(f"no sample of '{dataset.manifest.dataset}' is left for {empty[0]}: {made.counts()}")
    return made


class _RowFile:
    """A Parquet file of rows that is filled one by one."""

    def __init__(self, path: Path, split: Split) -> None:
        self._split, self._count = split, 0
        self._waiting: list[dict[str, Any]] = []
        names = ["data_source", "ability"]
        self._writer = pq.ParquetWriter(path, ROWS, compression="none", use_dictionary=names, write_page_checksum=True)

    def __enter__(self) -> _RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        row["extra_info"] |= {"index": self._count, "split": self._split}
        self._count += 1
        self._waiting.append(row)
        if len(self._waiting) == GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=ROWS))
            self._waiting = []


class _Maker:
    """Makes rows, a sample at a time."""

    def __init__(self, dataset: Dataset, model: Model, settings: RowSettings) -> None:
        self._dataset, self._protocol = dataset, settings.asked_by()
        self._style: Style = style_of(dataset.manifest.stages["frames"].params["render"])
        self._asker = Asker(self._protocol, model, Clips(dataset), self._style)

    def row(self, video: StoredVideo, sample: StoredSample, planned: Planned) -> dict[str, Any]:
        """The row of a sample.

        Raises:
            ShownError: its frames cannot be had.
        """
        request = self._asker.first(planned.asked)
        assert request is not None
        return _row(self._dataset.manifest.dataset, planned, request, self._truth(video, sample, planned))

    def _truth(self, video: StoredVideo, sample: StoredSample, planned: Planned) -> Truth:
        asked = planned.asked
        if not names_object(self._protocol, asked):
            assert asked.span_s is not None
            return Truth(asked.span_s, style=self._style)
        rows = self._dataset.frames(asked.video_id, asked.clip_id, ["clip_id", "frame_index", "markers"]).to_pylist()
        drawn = {row["frame_index"]: {marker["object_id"] for marker in row["markers"]} for row in rows}
        return truth_of(video, sample, drawn, self._style)


def _row(source: str, planned: Planned, request: Request, truth: Truth) -> dict[str, Any]:
    asked, visual = planned.asked, request.visual
    (width, height), times = visual.size, list(visual.times_s)
    video = {"frames": list(visual.frames), "width": width, "height": height, "fps": visual.fps, "times_s": times}
    names = {"sample_id": asked.sample_id, "video_id": asked.video_id, "clip_id": asked.clip_id}
    return {
        "data_source": source,
        "prompt": request.messages,
        "videos": [video],
        "ability": asked.task.value,
        "reward_model": {"style": "rule", "ground_truth": truth.to_json()},
        "extra_info": {**names, "prompt_tokens": planned.tokens},
    }
