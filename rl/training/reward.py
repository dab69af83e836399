"""The reward function that verl calls.

verl trains on without a response whose reward raised, and reports it only in a worker's log. Here the reason is also kept in a
file, for the driver that stops the training.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from rl.rewards import compute_score
from storage.folders.files import atomic_file


class RewardFailure(BaseModel):
    """A reward function that raised.

    Attributes:
        sample: ID of the sample, or its index.
        reason: type and message of the exception.
    """

    model_config = ConfigDict(frozen=True)

    sample: str
    reason: str


def score_response(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, JsonValue],
    *,
    failures: str,
    **options: Any,
) -> dict[str, float]:
    """Score a response, and keep the reason if that raises; the first four arguments are those of `compute_score`.

    Args:
        data_source: name of the dataset.
        solution_str: the response, decoded without special tokens.
        ground_truth: a `Truth` as JSON.
        extra_info: further columns of the row; its `sample_id` identifies the sample.
        failures: folder for the reason.
        options: `reward` and `appearance` of `compute_score`.
    """
    try:
        return compute_score(data_source, solution_str, ground_truth, extra_info, **options)
    except Exception as error:
        sample = str(extra_info.get("sample_id", extra_info.get("index")))
        _keep(Path(failures), RewardFailure(sample=sample, reason=f"{type(error).__name__}: {error}"))
        raise


def _keep(folder: Path, failure: RewardFailure) -> None:
    with atomic_file(folder / f"{os.getpid()}.json", durable=False) as file:
        file.write_text(failure.model_dump_json(), encoding="utf-8")


def reward_failure(folder: Path) -> RewardFailure | None:
    """The first reward that raised; None if none did."""
    for path in sorted(folder.glob("*.json")):
        return RewardFailure.model_validate_json(path.read_text(encoding="utf-8"))
    return None
