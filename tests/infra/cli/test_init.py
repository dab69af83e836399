from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from storage.common.site import SITE


def test_init_writes_a_commented_site_file_that_changes_nothing_and_a_nightly(tmp_path: Path, stvg: Any) -> None:
    done = stvg("init", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "stvg.toml: written\nnightly.toml: written\n")
    text = (tmp_path / SITE).read_text()
    assert tomllib.loads(text) == {"folders": {}, "build": {}, "evaluate": {}}
    assert "# [benchmarks.hcstvg]\n# annotations" in text
    (tmp_path / SITE).write_text("[build]\nworkers = 1\n")
    assert "stvg.toml: exists, unchanged" in stvg("init", cwd=tmp_path).stdout
    assert (tmp_path / SITE).read_text() == "[build]\nworkers = 1\n"


def test_uncommented_every_line_of_a_benchmark_is_a_setting(tmp_path: Path, stvg: Any) -> None:
    stvg("init", cwd=tmp_path)
    lines = (tmp_path / SITE).read_text().splitlines()
    first = lines.index("# [benchmarks.own]")
    (tmp_path / SITE).write_text("\n".join(line.removeprefix("# ") for line in lines[first:]))
    findings = json.loads(stvg("doctor", "--json", cwd=tmp_path).stdout)["findings"]
    texts = [finding["found"] for finding in findings if finding["name"] == "site file"]
    assert "[benchmarks.hcstvg] annotations: is not set" in texts
    assert all("is not set" in text for text in texts), "each is a setting of its benchmark"


def test_every_example_of_the_site_file_is_a_setting_that_can_be_used(tmp_path: Path, stvg: Any) -> None:
    stvg("init", cwd=tmp_path)
    text = (tmp_path / SITE).read_text()
    head = re.sub(r"^# (?=[a-z_.]+ = )", "", text[: text.index("# [benchmarks.")], flags=re.MULTILINE)
    (tmp_path / SITE).write_text(head)
    assert {"detector", "tracker"} <= tomllib.loads(head)["build"].keys()
    findings = json.loads(stvg("doctor", "--json", cwd=tmp_path).stdout)["findings"]
    assert [finding["state"] for finding in findings if finding["name"] == "site file"] == ["there"]


def test_a_bare_command_reads_where_the_benchmark_is_and_names_the_lines_to_add(tmp_path: Path, stvg: Any) -> None:
    done = stvg("plan", "hcstvg", cwd=tmp_path)
    assert done.returncode == 2
    assert "hcstvg needs annotations and videos" in done.stderr
    assert "[benchmarks.hcstvg] annotations" in done.stderr
    (tmp_path / SITE).write_text('[benchmarks.hcstvg]\nannotations = "a.json"\nvideos = "clips"\n')
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "clips").mkdir()
    assert "'a.json' is not HC-STVG" in stvg("plan", "hcstvg", cwd=tmp_path).stderr
    assert "'b.json'" in stvg("plan", "hcstvg", "b.json", cwd=tmp_path).stderr, "an argument replaces the site's"
