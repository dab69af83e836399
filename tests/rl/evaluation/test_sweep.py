from __future__ import annotations

from pathlib import Path

import pytest

from bench.scripted_engine import ScriptedEngine
from rl.engines.config import DecodingConfig
from rl.evaluation.cells import Cell, CellState, cell_status
from rl.evaluation.protocols import PROTOCOLS, ProtocolError
from rl.evaluation.results import read_results, results_of, results_path, score_predictions
from rl.evaluation.run import Evaluation, collect_predictions
from rl.evaluation.sweep import SweepError, combined_cells
from rl.models.families import FAMILIES, Model
from storage.reader import Dataset


@pytest.fixture
def evaluation(asked_dataset: Dataset, tmp_path: Path) -> Evaluation:
    model = Model("told", FAMILIES["qwen2.5-vl"], None)
    return Evaluation(asked_dataset, PROTOCOLS["marked"], model, DecodingConfig(), tmp_path / "answers", batch_size=2)


def test_every_combination_is_a_cell_and_what_shows_no_markers_one_for_all_settings() -> None:
    found = combined_cells(["a", "b"], ["x"], ["marked", "unmarked"], ["s", "t"])
    assert found == [
        *(Cell("a", "x", "marked", setting) for setting in ("s", "t")),
        Cell("a", "x", "unmarked"),
        *(Cell("b", "x", "marked", setting) for setting in ("s", "t")),
        Cell("b", "x", "unmarked"),
    ]
    assert combined_cells(["a", "a"], ["x"], ["two-stage"], ["s"]) == [Cell("a", "x", "two-stage")]


def test_an_empty_sweep_and_an_unknown_protocol_are_refused() -> None:
    with pytest.raises(SweepError, match="at least one checkpoint"):
        combined_cells([], ["x"], ["marked"], [""])
    with pytest.raises(ProtocolError, match="there is no protocol 'loud'"):
        combined_cells(["a"], ["x"], ["loud"], [""])


def test_an_evaluation_stands_where_its_predictions_do(evaluation: Evaluation) -> None:
    engine = ScriptedEngine("Target ID: 1")
    before = cell_status(evaluation, engine.identity)
    assert (before.samples, before.remaining, before.seconds, before.state) == (6, 6, None, CellState.PENDING)
    collect_predictions(evaluation, engine)
    after = cell_status(evaluation, engine.identity)
    assert after.key == before.key == evaluation.store(engine).spec.key
    assert (after.remaining, after.seconds, after.state) == (0, 0.0, CellState.DONE)
    assert cell_status(evaluation, ScriptedEngine("another").identity).remaining == 6


def test_results_are_those_of_the_predictions_however_old_the_file_is(evaluation: Evaluation) -> None:
    store = collect_predictions(evaluation, ScriptedEngine("Target ID: 1, Time range: 0.5 to 1.5"))
    scored = results_of(evaluation.dataset, store, ["paper"])
    assert scored == score_predictions(evaluation.dataset, store, ["paper"]) == read_results(store)
    assert (scored.path, scored.key) == (results_path(store), store.spec.key)
    path = Path(results_path(store))
    kept = path.stat().st_mtime_ns
    assert results_of(evaluation.dataset, store, ["paper"]) == scored
    assert path.stat().st_mtime_ns == kept, "nothing is scored again"
    both = results_of(evaluation.dataset, store, ["paper", "hcstvg_official"])
    assert list(both.scores) == ["paper", "hcstvg_official"]
    path.write_text('{"samples": 1, "scores": {}}')
    assert results_of(evaluation.dataset, store, ["paper"]) == scored
    path.write_text("[")
    assert results_of(evaluation.dataset, store, ["paper"]) == scored
