"""Each part of `bench/gpu.sh` runs dry on a CPU, and a part that fails or hangs costs only itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.figures import NotRunError
from bench.gpu import PARTS, runner, table


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in PARTS if name != "vllm"])
def test_parts_run_dry(name: str) -> None:
    figures = list(runner.measure(name)(True))
    assert figures
    assert len({(figure.figure, figure.how) for figure in figures}) == len(figures)


def test_vllm_is_reported_absent() -> None:
    with pytest.raises(NotRunError):
        list(runner.measure("vllm")(True))


def test_a_report_has_every_part_and_a_table(tmp_path: Path) -> None:
    report = runner.run_parts(["vllm"], tmp_path, dry=True)
    assert [(part.name, part.status) for part in report.parts] == [("vllm", "not run")]
    assert table.read(tmp_path / "gpu.json") == report
    assert "- vllm: not run: " in table.markdown(report)
    assert json.loads((tmp_path / "gpu.json").read_text())["machine"]["packages"]["torch"]


def test_a_part_that_hangs_or_fails_costs_only_itself(tmp_path: Path) -> None:
    hung = runner._run("vllm", tmp_path / "log", dry=True, seconds=runner.LEAST_SECONDS_PART)
    assert hung.status == "not run"
    assert runner._run("vllm", tmp_path / "log", dry=True, seconds=1.0).reason == "no time was left"
    failed = runner._run("no such part", tmp_path / "log", dry=True, seconds=60)
    assert (failed.status, failed.reason, failed.figures) == ("failed", "it ended with 2", ())


def test_a_part_is_ended_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LEAST_SECONDS_PART", 0.0)
    part = runner._run("vllm", tmp_path / "log", dry=True, seconds=0.01)
    assert (part.status, part.reason) == ("timed out", "it had 0 s")
