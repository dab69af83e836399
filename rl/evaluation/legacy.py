"""Upgrades of stored results of earlier versions to the layout of now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def upgraded_results(stored: dict[str, Any]) -> dict[str, Any]:
    """The content of a results file in the layout of now.

    Version 1, which names no version, has each mean as a field of its report, and its interval under `intervals`.
    """
    if "version" in stored:
        return stored
    scores = {
        convention: {
            **fields,
            **{kind: {task: _upgraded_report(r) for task, r in fields[kind].items()} for kind in ("results", "repaired")},
        }
        for convention, fields in stored.get("scores", {}).items()
    }
    intervals = {name: value for name, value in stored.get("intervals", {}).items() if name != "of"}
    return {**stored, "version": 2, "intervals": intervals, "scores": scores}


_REPORT_FIELDS = {"convention", "samples", "missing", "lost", "per_sample"}


def _upgraded_report(report: Mapping[str, Any]) -> dict[str, Any]:
    intervals = report.get("intervals", {})
    groups = {
        name: {"samples": group["samples"], "metrics": _upgraded_means(group, {})}
        for name, group in report.get("groups", {}).items()
    }
    kept = {name: report[name] for name in _REPORT_FIELDS if name in report}
    return {**kept, "metrics": _upgraded_means(report, intervals), "groups": groups}


def _upgraded_means(report: Mapping[str, Any], intervals: Mapping[str, Any]) -> dict[str, Any]:
    means = {name: value for name, value in report.items() if isinstance(value, float)}
    return {name: {"mean": mean, "interval": intervals.get(name)} for name, mean in means.items()}


def upgraded_state(state: str) -> str:
    """A state of the regression history under its name of now: `passed` was `held`."""
    return "passed" if state == "held" else state
