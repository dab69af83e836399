"""Parquet files of training rows, with frames as the dataset stores them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rl.engines.base import Request
from rl.evaluation.requests import Requester
from rl.evaluation.samples import ClipError, Clips, EvalSample
from rl.models.families import Model
from rl.rewards import Truth
from rl.training.row_schema import ROW_SCHEMA, TrainingRow, VideoColumn
from rl.training.selection import SPLITS, RowsError, RowSettings, Selection, Split, TrainingSample, requires_object
from rl.training.truths import sample_truth
from storage.reader import Dataset
from tasks.build.stages import frames_parameters
from tasks.markers.labels import Style
from tasks.metrics.arrays import StoredSample, StoredVideo, stored_videos

GROUP_ROWS = 4
"""Rows of a row group, which is read as a whole to get one row: some three megabytes."""


def write_row_files(folder: Path, dataset: Dataset, model: Model, settings: RowSettings, selection: Selection) -> Selection:
    """Write one file per split.

    Args:
        folder: receives `train.parquet` and `val.parquet`.
        dataset: published.
        model: of the family whose prompts are written.
        settings: protocol of the prompts.
        selection: samples of each split.

    Returns:
        The selection without the samples whose frames cannot be read.

    Raises:
        RowsError: no sample is left for a split.
    """
    builder = _RowBuilder(dataset, model, settings)
    exclusions: dict[str, str] = {}
    selected = {each.sample.sample_id: (split, each) for split in SPLITS for each in selection.splits[split]}
    with ExitStack() as stack:
        files = {split: stack.enter_context(_RowFile(folder / f"{split}.parquet", split)) for split in SPLITS}
        for video in stored_videos(dataset):
            for stored in sorted(video.samples, key=lambda stored: stored.sample_id):
                if stored.sample_id not in selected:
                    continue
                split, sample = selected[stored.sample_id]
                try:
                    files[split].add(builder.row(video, stored, sample))
                except ClipError as error:
                    exclusions[stored.sample_id] = error.reason
    rest = selection.without(exclusions)
    if empty := [split for split in SPLITS if not rest.splits[split]]:
        raise RowsError(f"no sample of '{dataset.manifest.dataset}' is left for {empty[0]}: {rest.counts()}")
    return rest


class _RowFile:
    """A Parquet file that rows are added to one by one."""

    def __init__(self, path: Path, split: Split) -> None:
        self._split, self._count = split, 0
        self._buffer: list[TrainingRow] = []
        names = ["data_source", "ability"]
        self._writer = pq.ParquetWriter(path, ROW_SCHEMA, compression="none", use_dictionary=names, write_page_checksum=True)

    def __enter__(self) -> _RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: TrainingRow) -> None:
        """Add a row, whose index and split are set here."""
        row["extra_info"]["index"], row["extra_info"]["split"] = self._count, self._split
        self._count += 1
        self._buffer.append(row)
        if len(self._buffer) == GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._writer.write_table(pa.Table.from_pylist(self._buffer, schema=ROW_SCHEMA))
            self._buffer = []


class _RowBuilder:
    """Builds the row of one sample after another."""

    def __init__(self, dataset: Dataset, model: Model, settings: RowSettings) -> None:
        self._dataset, self._protocol = dataset, settings.training_protocol()
        self._style: Style = frames_parameters(dataset).markers.style
        self._requester = Requester(self._protocol, model, Clips(dataset), self._style)

    def row(self, video: StoredVideo, stored: StoredSample, sample: TrainingSample) -> TrainingRow:
        """The row of a sample.

        Args:
            video: with every instance of the mask database.
            stored: the sample in the dataset's tables.
            sample: the same sample with its prompt.

        Raises:
            ClipError: its frames cannot be read.
        """
        request = self._requester.first_request(sample.sample)
        assert request is not None
        return _row(self._dataset.manifest.dataset, sample, request, self._truth(video, stored, sample.sample))

    def _truth(self, video: StoredVideo, stored: StoredSample, sample: EvalSample) -> Truth:
        if not requires_object(self._protocol, sample):
            assert sample.span_s is not None
            return Truth(sample.span_s, style=self._style)
        frames = self._dataset.frames(sample.video_id, sample.clip_id, ["clip_id", "frame_index", "markers"]).to_pylist()
        drawn = {row["frame_index"]: {marker["object_id"] for marker in row["markers"]} for row in frames}
        return sample_truth(video, stored, drawn, self._style)


def _row(source: str, training_sample: TrainingSample, request: Request, truth: Truth) -> TrainingRow:
    sample, visual = training_sample.sample, request.visual
    (width, height), times = visual.size, list(visual.times_s)
    frames = list(visual.frames)
    video = VideoColumn(frames=frames, width=width, height=height, fps=visual.fps, times_s=times)
    return {
        "data_source": source,
        "prompt": request.messages,
        "videos": [video],
        "ability": sample.task.value,
        "reward_model": {"style": "rule", "ground_truth": truth.to_json()},
        "extra_info": {
            "index": 0,
            "split": "",
            "sample_id": sample.sample_id,
            "video_id": sample.video_id,
            "clip_id": sample.clip_id,
            "prompt_tokens": training_sample.prompt_tokens,
        },
    }
