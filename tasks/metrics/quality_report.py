"""Results of a quality measurement, and their rows in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Ceiling(NamedTuple):
    """Scores of the best possible answers, in [0, 1]: mean vIoU, and shares of samples above a vIoU of 0.3 and of 0.5."""

    m_v_iou: float
    above_03: float
    above_05: float


@dataclass(frozen=True)
class ThetaQuality:
    """Quality with one size filter.

    Attributes:
        theta: minimum mask area as a fraction of the largest of the category.
        not_detected: samples with a target that no marked object matches on any frame of the true span.
        no_answer: samples without an answer ID.
        ceiling: scores of true time and answer ID with the boxes of marked objects only.
        ceiling_full: the same with all boxes of the mask database.
    """

    theta: float
    not_detected: int
    no_answer: int
    ceiling: Ceiling
    ceiling_full: Ceiling


@dataclass(frozen=True)
class Quality:
    """Data quality of a dataset.

    Attributes:
        samples: samples with true boxes, including those of lost videos.
        lost: samples of lost videos.
        ids: mean number of IDs that match a target over time; 1 is best.
        switches: mean number of changes of the matching ID.
        fragments: mean number of maximal runs with one matching ID.
        covered: mean share of a target's frames on which an object matches.
        thetas: quality per size filter.
    """

    samples: int
    lost: int
    ids: float
    switches: float
    fragments: float
    covered: float
    thetas: tuple[ThetaQuality, ...]

    @property
    def identity(self) -> str:
        """Summary of identity preservation in one sentence."""
        means = f"{self.ids:.2f} IDs, {self.switches:.2f} switches and {self.fragments:.2f} fragments a target"
        return f"{means}; an object matches it on {self.covered:.0%} of its frames. {self.samples} sentences, {self.lost} lost."


def quality_rows(quality: Quality) -> list[dict[str, str | int]]:
    """One row a theta, for tables: shares and means in per cent."""
    return [
        {
            "theta": f"{t.theta:.3g}",
            "samples": quality.samples,
            "not detected": f"{t.not_detected} ({100 * t.not_detected / quality.samples:.1f} %)",
            "no answer": t.no_answer,
            **{f"ceiling {name}": f"{100 * v:.1f}" for name, v in zip(_SCORES, t.ceiling, strict=True)},
            **{f"full {name}": f"{100 * v:.1f}" for name, v in zip(_SCORES, t.ceiling_full, strict=True)},
        }
        for t in quality.thetas
    ]


_SCORES = ("m_vIoU", "vIoU@0.3", "vIoU@0.5")
