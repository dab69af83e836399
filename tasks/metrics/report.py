"""A result: means with the convention they follow, the denominator, and what was missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.metrics.tubes import Scores

V_THRESHOLDS = (0.3, 0.5)
T_THRESHOLDS = (0.3, 0.5, 0.7)
_THRESHOLDS = {"vIoU": V_THRESHOLDS, "tIoU": T_THRESHOLDS}


@dataclass
class Report:
    """Scores added up sample by sample.

    Attributes:
        convention: the rule they follow.
        reaches: whether a score counts at a threshold, by that rule.
        per_sample: sample -> scores by name; empty for what is missing.
        missing: samples without a prediction; they score zero.
        lost: samples without data, of lost videos; they score zero and have no row in `per_sample`.
    """

    convention: str
    reaches: Callable[[float, float], bool]
    per_sample: dict[str, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    missing: int = 0
    lost: int = 0

    def add(self, sample_id: str, scores: Mapping[str, float | None] | None, group: str = "") -> None:
        """Add a sample; None for a missing prediction."""
        self.per_sample[sample_id] = {k: v for k, v in (scores or {}).items() if v is not None}
        self.missing += scores is None
        if group:
            self.groups.setdefault(group, []).append(sample_id)

    @property
    def samples(self) -> int:
        """The denominator: every sample that was asked for."""
        return len(self.per_sample) + self.lost

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        told: dict[str, Any] = {"convention": self.convention, "samples": self.samples, "missing": self.missing}
        told |= {"lost": self.lost, **self._means(list(self.per_sample), self.samples)}
        if self.groups:
            told["groups"] = {g: {"samples": len(ids), **self._means(ids, len(ids))} for g, ids in sorted(self.groups.items())}
        zero = dict.fromkeys(self._names(), 0.0)
        return {**told, "per_sample": {sample_id: scores or zero for sample_id, scores in self.per_sample.items()}}

    def values(self) -> dict[str, list[float]]:
        """Each mean's name -> what it is the mean of, a value a sample; lost samples count as zeros."""
        told: dict[str, list[float]] = {}
        for name in self._names():
            values = [scores.get(name, 0.0) for scores in self.per_sample.values()] + [0.0] * self.lost
            told[_mean_name(name)] = values
            for threshold in _THRESHOLDS.get(name, ()):
                told[f"{name}@{threshold}"] = [float(self.reaches(value, threshold)) for value in values]
        return told

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for scores in self.per_sample.values() for name in scores)) or ["tIoU", "vIoU"]

    def _means(self, ids: list[str], count: int) -> dict[str, float]:
        told = {}
        for name in self._names():
            values = [self.per_sample[i].get(name, 0.0) for i in ids]
            told[_mean_name(name)] = sum(values) / count if count else 0.0
            for threshold in _THRESHOLDS.get(name, ()):
                told[f"{name}@{threshold}"] = sum(self.reaches(v, threshold) for v in values) / count if count else 0.0
        return told


def _mean_name(name: str) -> str:
    """m_tIoU of tIoU, gt_m_vIoU of gt_vIoU; J, F and accuracies keep their names."""
    return name.replace("tIoU", "m_tIoU").replace("vIoU", "m_vIoU") if "IoU" in name else name


def named(scores: Scores) -> dict[str, float | None]:
    """Scores under the names they have in results."""
    return {"tIoU": scores.t_iou, "vIoU": scores.v_iou, "gt_vIoU": scores.gt_v_iou}
