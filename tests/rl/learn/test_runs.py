import json
import sys
from pathlib import Path

import pytest

from rl.learn.__main__ import main
from rl.learn.runs import QUICK

pytestmark = pytest.mark.heavy


def test_a_quick_run_learns_writes_its_report_and_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["learn", "--quick", "--seeds", "1", "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", told)
    main()
    run = json.loads((tmp_path / "runs/markers-0.json").read_text())
    loss = [step["loss"] for step in run["curves"]["warm_up"]]
    assert len(loss) == sum(stage.steps for stage in QUICK.stages)
    assert loss[-3] < loss[0] - 0.5
    assert len(run["curves"]["grpo"]) == QUICK.grpo.steps
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "numbers.json", "warm_up.svg", "grpo.svg"}
    assert {kept["form"] for kept in json.loads((tmp_path / "out/numbers.json").read_text())} == {"markers", "coordinates"}
    page, kept = (tmp_path / "out/README.md").read_text(), (tmp_path / "runs/markers-0.json").stat().st_mtime_ns
    main()
    assert (tmp_path / "out/README.md").read_text() == page
    assert (tmp_path / "runs/markers-0.json").stat().st_mtime_ns == kept
