"""The reward as verl calls it.

verl trains on without an answer whose reward raised, and says so only in a worker's log: here the reason is kept in a file,
for whoever stops the training.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rl.rewards import compute_score as score
from storage.folders.files import replacing


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: dict[str, Any], *, failures: str, **variant: Any
) -> dict[str, float]:
    """The reward of an answer and its parts.

    The first four are verl's; `failures` is a folder for the reason, should it raise, and the rest chooses a variant.
    """
    try:
        return score(data_source, solution_str, ground_truth, extra_info, **variant)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _keep(Path(failures), {"sample": extra_info.get("sample_id", extra_info.get("index")), "reason": reason})
        raise


def _keep(folder: Path, failure: dict[str, Any]) -> None:
    with replacing(folder / f"{os.getpid()}.json", durable=False) as file:
        file.write_text(json.dumps(failure), encoding="utf-8")


def failure(folder: Path) -> str:
    """One sentence of why a reward raised; empty if none did."""
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"the reward of an answer to '{told['sample']}' raised {told['reason']}"
    return ""
