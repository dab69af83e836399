"""Reports of a sweep, of nights and of all that a folder holds, and what a person is told where there is nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

from infra.ray.backend import RayBackend
from rl.evaluation.nightly import accept, run_nightly
from rl.evaluation.parameters import NightlyParameters, SweepParameters
from rl.evaluation.report.write import evaluation_report, folder_report, regression_report, sweep_report
from rl.evaluation.sweep_run import render_missing, run_cells
from storage.manifest import DatasetError
from storage.progress import no_progress
from storage.reader import Dataset
from tasks.build.run import run_here

WORSE = "<think>It is red.</think><answer>Target ID: 1, Time range: 0.5 to 0.7</answer>"


def read(link: str) -> str:
    return Path(unquote(urlparse(link).path)).read_text(encoding="utf-8")


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>([^<]*?) *<small>", page)


def test_a_sweep_reports_its_cells_and_a_folder_all_that_it_holds(sweep_of: Callable[..., SweepParameters]) -> None:
    parameters = sweep_of()
    sweep = parameters.sweep()
    render_missing(sweep, RayBackend(run_here), no_progress)
    ran = list(run_cells(sweep, sweep.statuses(), RayBackend(run_here)))
    page = read(sweep_report(sweep, ran, "sweep"))
    cells = ["tiny/own/marked/built", "tiny/own/marked/size-40", "tiny/own/marked/theta-0", "tiny/own/unmarked"]
    assert headings(page) == cells * 2, "scores, then samples"
    assert page.count("<article") == 8
    every = read(folder_report(parameters.out, parameters.root))
    assert sorted(name[:10] for name in headings(every)) == ["own/marked"] * 6 + ["own/unmark"] * 2
    assert "is not there any more" not in every, "renders of other settings are found too"
    assert "not there any more" in read(folder_report(parameters.out, "elsewhere"))
    assert ran[0].results is not None
    alone = evaluation_report(Dataset(sweep.dataset_folder(ran[0].cell)), ran[0].results)
    assert alone.endswith(f"{Path(ran[0].results.path).parent.name}/report.html")
    assert headings(read(folder_report(str(Path(unquote(urlparse(alone).path)).parent), parameters.root))) == headings(
        read(alone)
    )


def test_a_regression_reports_its_curves_and_first_the_samples_that_fell(
    sweep_of: Callable[..., NightlyParameters], engine: Any
) -> None:
    run_nightly(sweep_of(model=NightlyParameters), RayBackend(run_here), no_progress)
    accept(sweep_of(model=NightlyParameters))
    engine.says = WORSE
    unmarked = sweep_of(('["marked", "unmarked"]', '["unmarked"]'), model=NightlyParameters)
    run_nightly(unmarked, RayBackend(run_here), no_progress)
    accept(unmarked)
    parameters = sweep_of(model=NightlyParameters)
    nights = run_nightly(parameters, RayBackend(run_here), no_progress)
    page = read(regression_report(parameters, nights))
    assert page.count("<polyline") == 4
    assert page.count('data-tags="|fell|wrong time|"') == 6
    assert "fell <b>2</b>" in page
    assert page.index('data-tags="|fell') < page.index('data-tags="|wrong time|"'), "what was accepted as it is has not fallen"


def test_tables_of_the_paper_are_read_from_the_folder(tmp_path: Path) -> None:
    cell = {"row": "A <b>", "benchmark": "hcstvg-v1", "metric": "m_vIoU", "paper": 40.2, "measured": 38.0}
    cell |= {"interval": [36.0, 40.0], "difference": -2.2, "difference_interval": [-4.2, -0.2], "why": "", "note": ""}
    absent = {**cell, "row": "B", "paper": None, "measured": None, "interval": None, "why": "needs a GPU"}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "table-7.json").write_text(json.dumps({"title": "Table 7", "cells": [cell, absent]}))
    page = read(folder_report(str(tmp_path), "datasets"))
    assert "A &lt;b&gt;" in page
    assert "40.2 · <b>38.0</b> <small>(36.0 to 40.0)</small> -2.2" in page
    assert "B<br><small>needs a GPU</small>" in page


def test_a_folder_without_results_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no results: evaluate a model first"):
        folder_report(str(tmp_path), "datasets")
