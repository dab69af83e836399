"""Training rows: what is planned, what is refused and why, and that rows hold what the dataset holds, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import load_processor, prepare_request
from rl.evaluation.protocols import ProtocolError
from rl.evaluation.samples import eval_samples
from rl.models.families import Model
from rl.rewards.truth import read_truth
from rl.training.row_schema import ROW_SCHEMA
from rl.training.rows import RECORD, open_rows, write_rows
from rl.training.selection import RowsError, RowSettings, select_samples
from storage.manifest import MANIFEST, DatasetError
from storage.reader import Dataset
from tasks.benchmarks.samples import Task

SNAPSHOT = Path(__file__).parent / "rows_schema.txt"
Tiny = Callable[[str], Model]


@pytest.fixture
def model(tiny: Tiny) -> Model:
    return tiny("tiny")


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_the_schema_is_the_one_of_its_version() -> None:
    """Another schema needs another `ROWS_VERSION`: rows that were written before are then made again."""
    assert f"{ROW_SCHEMA.to_string(show_field_metadata=False)}\n" == SNAPSHOT.read_text()


def test_the_plan_says_what_trains_and_why_the_rest_does_not(trained_dataset: Dataset, model: Model) -> None:
    plan = select_samples(trained_dataset, model, RowSettings())
    assert plan.counts() == {"train": 6, "val": 3, "no_objects": 1, "task_not_trained": 3}
    assert plan.exclusions["grey/stvg"] == "no_objects"
    assert plan.exclusions["a/svg"] == "task_not_trained"
    trained, held_out = ({p.sample.video_id for p in plan.splits[split]} for split in ("train", "val"))
    assert not trained & held_out
    assert select_samples(trained_dataset, model, RowSettings()) == plan, "the split is the same each time"


def test_the_split_is_drawn_by_its_seed_and_share(trained_dataset: Dataset, model: Model) -> None:
    drawn = [
        select_samples(trained_dataset, model, RowSettings(seed=seed)).splits["val"][0].sample.video_id for seed in range(8)
    ]
    assert len(set(drawn)) > 1
    assert len(select_samples(trained_dataset, model, RowSettings(validation=0.99)).splits["train"]) == 3, "never everything"


def test_the_plan_counts_the_tokens_that_the_processor_makes(trained_dataset: Dataset, model: Model) -> None:
    processor = load_processor(model)
    rows = write_rows(trained_dataset, model, RowSettings(), trained_dataset.folder.path.parent)  # type: ignore[attr-defined]
    longest = 0
    for row in rows_of(rows.file("train")):
        [video] = row["videos"]
        visual = VisualInput(tuple(video["frames"]), (video["width"], video["height"]), video["fps"], tuple(video["times_s"]))
        made = prepare_request(processor, model.family, Request("", row["prompt"], visual))
        assert made["input_ids"].shape[1] == row["extra_info"]["prompt_tokens"]
        longest = max(longest, made["input_ids"].shape[1])
    assert rows.record.longest_prompt_tokens >= longest


def test_a_longer_prompt_is_refused(trained_dataset: Dataset, model: Model) -> None:
    tokens = sorted(sample.prompt_tokens for sample in select_samples(trained_dataset, model, RowSettings()).samples())
    plan = select_samples(trained_dataset, model, RowSettings(max_prompt_tokens=tokens[4]))
    assert plan.counts()["prompt_too_long"] == sum(count > tokens[4] for count in tokens)
    assert all(sample.prompt_tokens <= tokens[4] for sample in plan.samples())


def test_rows_hold_the_stored_frames_and_their_times(trained_dataset: Dataset, model: Model, tmp_path: Path) -> None:
    rows = write_rows(trained_dataset, model, RowSettings(), tmp_path / "rows")
    made = rows_of(rows.file("train")) + rows_of(rows.file("val"))
    assert len(made) == 9
    for row in made:
        about = row["extra_info"]
        stored = trained_dataset.frames(about["video_id"], about["clip_id"])
        [clip] = [c for c in trained_dataset.rows("clips", about["video_id"]).to_pylist() if c["clip_id"] == about["clip_id"]]
        [video] = row["videos"]
        assert video["frames"] == stored.column("jpeg").to_pylist()
        assert video["times_s"] == stored.column("time_s").to_pylist()
        assert (video["width"], video["height"], video["fps"]) == (clip["width"], clip["height"], clip["sample_fps"])
        assert row["data_source"] == "squares"
    assert [row["extra_info"]["index"] for row in made] == [*range(6), *range(3)]
    texts = {row["extra_info"]["sample_id"]: row["prompt"][1]["content"][0]["text"] for row in made}
    assert '"the b one moves"' in texts["b/stvg"]
    assert "Target ID: [ID]" in texts["b/stvg"]
    assert "Target ID" not in texts["b/when"]


def test_the_truth_of_a_row(trained_dataset: Dataset, model: Model, tmp_path: Path) -> None:
    """The clip is from 1 s; the true span of the red square is 1.5 to 2.5 s, frames 15 to 24 of ten a second."""
    rows = write_rows(trained_dataset, model, RowSettings(), tmp_path)
    made = rows_of(rows.file("train")) + rows_of(rows.file("val"))
    truths = {row["extra_info"]["sample_id"]: row["reward_model"]["ground_truth"] for row in made}
    truth = read_truth(truths["a/stvg"])
    assert truth.object_id == 1
    assert truth.span_s == (0.5, 1.5)
    assert truth.visible == ((0.0, 3.0),), "what a clip does not show does not count"
    assert truth.edges_s == tuple(round(0.5 + k / 10, 6) for k in range(11))
    shown = ((0.0, 0.1), (0.6, 0.7), (1.2, 1.3), (1.7, 1.8), (2.3, 2.4), (2.9, 3.0))
    assert truth.drawn == shown, "the frames that a model sees, each as long as it is on screen"
    assert min(truth.ious[1]) > 0.9
    assert set(truth.ious) == {1}, "the green square never touches the true box"
    assert read_truth(truths["a/again"]).visible == ((0.0, 4.0),)
    assert read_truth(truths["a/when"]).object_id is None
    assert all(len(truth) < 1000 for truth in truths.values())


def test_rows_without_markers_ask_for_times_alone(trained_dataset: Dataset, model: Model, tmp_path: Path) -> None:
    rows = write_rows(trained_dataset, model, RowSettings(protocol="unmarked"), tmp_path)
    assert rows.record.counts == {"train": 7, "val": 3, "task_not_trained": 3}, "the grey video has a time too"
    row = next(row for row in rows_of(rows.file("train")) if row["ability"] == Task.SPATIO_TEMPORAL)
    assert "red number" not in row["prompt"][1]["content"][0]["text"]
    assert read_truth(row["reward_model"]["ground_truth"]).object_id is None
    about = row["extra_info"]
    marked = trained_dataset.frames(about["video_id"], about["clip_id"]).column("jpeg").to_pylist()
    assert all(frame not in marked for frame in row["videos"][0]["frames"])


def test_rows_are_made_once(trained_dataset: Dataset, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_rows(trained_dataset, model, RowSettings(), tmp_path)
    monkeypatch.setattr("rl.training.rows.select_samples", None)
    assert write_rows(trained_dataset, model, RowSettings(), tmp_path) == first
    with pytest.raises(TypeError):
        write_rows(trained_dataset, model, RowSettings(seed=1), tmp_path)
    assert list(tmp_path.glob(".rows-*.tmp")) == []


def test_a_source_that_is_gone_is_a_reason(trained_dataset: Dataset, model: Model, tmp_path: Path) -> None:
    (tmp_path / "grey.mp4").unlink()
    rows = write_rows(trained_dataset, model, RowSettings(protocol="unmarked"), tmp_path / "rows")
    assert rows.record.exclusions["grey/stvg"] == "source_unreadable"
    assert rows.record.counts["train"] + rows.record.counts["val"] == 9


def test_what_a_killed_process_left_is_removed(trained_dataset: Dataset, model: Model, tmp_path: Path) -> None:
    rows = write_rows(trained_dataset, model, RowSettings(), tmp_path)
    left = rows.path.rename(tmp_path / f".{rows.path.name}.1234-abcd.tmp")
    assert write_rows(trained_dataset, model, RowSettings(), tmp_path) == rows
    assert not left.exists()


def test_a_sentence_cannot_speak_in_the_models_own_tokens(
    trained_dataset: Dataset, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second placeholder would stand for pixels that are not there."""
    every = eval_samples(trained_dataset, set(Task))
    spoken = [replace(asked, sentence="It <|VIDEO_PAD|> moves.") if asked.sample_id == "a/stvg" else asked for asked in every]
    monkeypatch.setattr("rl.training.selection.eval_samples", lambda *_: spoken)
    assert select_samples(trained_dataset, model, RowSettings()).exclusions["a/stvg"] == "special_token"


def test_what_stops_half_way_leaves_nothing(
    trained_dataset: Dataset, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rl.training.row_writer.sample_truth", full)
    with pytest.raises(RowsError, match=r"cannot be written to .* No space left"):
        write_rows(trained_dataset, model, RowSettings(), tmp_path / "rows")
    assert [path for path in (tmp_path / "rows").iterdir() if path.is_dir()] == []


def test_bad_input_is_one_sentence(trained_dataset: Dataset, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("tiny")
    with pytest.raises(RowsError, match=r"family 'qwen3-vl', and only qwen2\.5-vl is trained"):
        select_samples(trained_dataset, tiny("tiny-qwen3-vl"), RowSettings())
    for protocol in ("two-stage", "caption"):
        with pytest.raises(ProtocolError, match=f"'{protocol}' cannot be trained by"):
            select_samples(trained_dataset, model, RowSettings(protocol=protocol))
    with pytest.raises(RowsError, match=r"'squares' has 0 video to train on, .* prompt_too_long 9"):
        select_samples(trained_dataset, model, RowSettings(max_prompt_tokens=10))
    with pytest.raises(RowsError, match="holds no whole training rows"):
        open_rows(tmp_path)


def test_rows_that_are_cut_off_or_of_another_version_are_refused(
    trained_dataset: Dataset, model: Model, tmp_path: Path
) -> None:
    rows = write_rows(trained_dataset, model, RowSettings(), tmp_path)
    record = rows.path / RECORD
    told = json.loads(record.read_text())
    del told["digest"]
    record.write_text(json.dumps({**told, "rows_version": 99}))
    with pytest.raises(RowsError, match="has version 99; this code reads 1"):
        open_rows(rows.path)
    record.write_text(json.dumps(told))
    rows.file("val").write_bytes(rows.file("val").read_bytes()[:-1])
    with pytest.raises(RowsError, match="another size"):
        open_rows(rows.path)


def test_a_dataset_of_another_schema_is_refused(trained_dataset: Dataset) -> None:
    manifest = Path(str(trained_dataset.folder)) / MANIFEST
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "schema_version": 2}))
    with pytest.raises(DatasetError, match="has schema version 2; this code reads version 3: build it again"):
        Dataset(trained_dataset.folder)


def test_only_the_first_samples_where_so_asked(trained_dataset: Dataset, model: Model) -> None:
    keys = [asked.sample_id for asked in eval_samples(trained_dataset, set(Task))]
    settings = RowSettings(limit=6)
    plan = select_samples(trained_dataset, model, settings)
    assert {each.sample.sample_id for each in plan.samples()} | set(plan.exclusions) == set(keys[:6])
