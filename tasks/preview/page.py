"""Preview page of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from storage.folders.local import LocalFolder
from storage.reader import Dataset
from tasks.metrics.quality import measure_quality
from tasks.metrics.quality_report import quality_rows
from tasks.preview.collect import VideoCard, collect_card
from tasks.preview.html import render_page
from tasks.preview.summary import answer_rows, gaps, outcome_rows, parameters, totals
from tasks.preview.timeline import evenly_spaced

PREVIEW = "preview.html"
_STRIP_BYTES = 4_000_000
"""Maximum JPEG bytes of all film strips at stored size; beyond it they are downscaled. Base64 adds a third."""
_MAX_GAPS = 500


def write_preview(dataset: Dataset, path: Path | None = None, limit: int = 60) -> str:
    """Write the preview page of a dataset.

    Args:
        dataset: a published dataset.
        path: target file; None for `preview.html` in the dataset's folder.
        limit: maximum number of video cards; of more videos, evenly spaced ones are shown, and the page states it.

    Returns:
        Path or URL of the page.
    """
    folder, name = (LocalFolder(path.parent), path.name) if path else (dataset.folder, PREVIEW)
    folder.write(name, _render(dataset, _cards(dataset, limit)))
    return f"{folder}/{name}"


def current_preview(dataset: Dataset) -> str:
    """Path or URL of the dataset's page, which is written if it does not show the published version."""
    try:
        current = dataset.folder.read(PREVIEW)
    except FileNotFoundError:
        return write_preview(dataset)
    return f"{dataset.folder}/{PREVIEW}" if dataset.manifest.content_hash.encode() in current else write_preview(dataset)


def _cards(dataset: Dataset, limit: int) -> list[VideoCard]:
    videos = dataset.video_ids("videos")
    endings = {row["video_id"]: row for row in dataset.outcomes.to_pylist()}
    chosen = [videos[i] for i in evenly_spaced(len(videos), limit)]
    share = _STRIP_BYTES // max(1, len(chosen))
    return [collect_card(dataset, video_id, endings[video_id], share) for video_id in chosen]


def _render(dataset: Dataset, cards: Sequence[VideoCard]) -> bytes:
    outcomes = dataset.outcomes.to_pylist()
    measured = measure_quality(dataset)
    missing = list(islice(gaps(dataset), _MAX_GAPS + 1))
    return render_page(
        Path(__file__).with_name("page.html.j2"),
        dataset=dataset.manifest,
        totals=totals(dataset),
        planned=len(outcomes),
        outcomes=outcome_rows(dataset),
        answers=answer_rows(dataset),
        endings=[row for row in outcomes if row["status"] != "done"],
        gaps=missing[:_MAX_GAPS],
        more_gaps=len(missing) > _MAX_GAPS,
        quality=measured,
        quality_rows=quality_rows(measured) if measured else [],
        parameters=list(parameters(dataset)),
        cards=cards,
    )
