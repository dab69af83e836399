"""The preview as data and as text: what it says, that it escapes, that it stands alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.preview import PREVIEW, current_preview, summary_tables, write_preview
from tasks.preview.html import format_bytes, format_count
from tasks.preview.pictures import outline
from tasks.preview.summary import gaps, row_counts, totals
from tasks.preview.timeline import evenly_spaced, format_time, ticks, visible_spans
from tasks.video.reader import Source
from tasks.video.timeline import Timeline

HOSTILE = (
    """<script>alert(1)</script> "quoted" & 'single' <img src=x onerror=alert(2)> </style></svg></title> {{ 7 * 7 }}"""
    """ {% raw %} <a href=javascript:alert(3)> &lt;b&gt; --> ]]> \u202e"""
)
RED = tuple((10.0 + i, 20.0, 50.0 + i, 60.0) for i in range(10))
SAID = (Task.SPATIO_TEMPORAL, 0.0, 1.0, 0, len(RED) - 1, (Target.dense(0, RED),))
UNSAID = (Task.SPATIO_TEMPORAL, 2.0, 3.0, 20, 29, (Target.dense(20, [(0.0, 0.0, 5.0, 5.0)] * 10),))


def build_dataset(folder: Path, clip: Path, config: BuildConfig, videos: int = 2) -> Dataset:
    """Squares under several names, a broken file; sentences with and without an answer; a clip outside its video."""
    sources = folder.parent / "videos"
    sources.mkdir()
    jobs = []
    for number in range(videos):
        video_id = f"v{number}.mp4"
        (sources / video_id).write_bytes(clip.read_bytes())
        samples = (
            Sample(f"{video_id}#said", video_id, HOSTILE, *SAID),
            Sample(f"{video_id}#unsaid", video_id, "nobody at all", *UNSAID),
        )
        clips = (Clip(video_id), Clip(f"{video_id}@late", 90.0, 95.0))
        jobs.append(VideoJob(Source(video_id, sources / video_id), clips, samples if number == 0 else ()))
    (sources / "torn.mp4").write_bytes(clip.read_bytes()[:900])
    jobs.append(VideoJob(Source("torn.mp4", sources / "torn.mp4"), (Clip("torn.mp4"),)))
    build = Build(folder_at(folder), Benchmark(sorted(jobs, key=lambda j: j.source.video_id), {"read": videos + 1}), config)
    masks = run_masks(build, run_here, lambda _: None)
    publish_build(build, masks, run_frames(build, masks, run_here, lambda _: None), error_budget=1.0)
    return Dataset(folder)


@pytest.fixture
def dataset(tmp_path: Path, square_clip: Path, config: BuildConfig, models: object) -> Dataset:
    return build_dataset(tmp_path / "squares", square_clip, config)


class _Tags(HTMLParser):
    """Start tags with their attributes, and the text in between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, css_class: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and css_class in (a.get("class") or "")]


def test_page_says_what_the_dataset_holds(dataset: Dataset) -> None:
    path = Path(write_preview(dataset))
    assert str(path) == f"{dataset.folder}/preview.html"
    page = _Tags(path.read_text(encoding="utf-8"))
    for words in (
        "squares",
        dataset.manifest.content_hash[:12],
        "v0.mp4",
        "nobody at all",
        "target not drawn",
        "truncated",
        "theta",
    ):
        assert words in page.text
    assert len(page.all("article")) == 2
    assert len(page.all("path", "found")) == 4, "each object's discovery is marked"
    assert len(page.all("rect", "answer")) == 1
    assert {"done", "answered", "no answer", "target_not_drawn", "outside_video"} == set(_tags(page.all("article")[0]))
    assert all(image["alt"] for image in page.all("img"))
    assert page.all("html")[0]["lang"] == "en"


def _tags(attributes: dict[str, str | None]) -> list[str]:
    return (attributes["data-tags"] or "").strip("|").split("|")


def test_sentences_are_text_and_the_page_fetches_nothing(dataset: Dataset) -> None:
    text = Path(write_preview(dataset)).read_text(encoding="utf-8")
    page = _Tags(text)
    assert HOSTILE in page.text
    assert len(page.all("script")) == 1
    assert not any(a.get("onerror") for _, a in page.tags)
    assert all((a.get(name) or "data:").startswith(("data:", "#")) for _, a in page.tags for name in ("src", "href", "srcset"))
    assert not re.search(r"https?://|url\(|@import|\bfetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text


def test_stored_frames_are_shown_byte_for_byte(dataset: Dataset) -> None:
    import base64

    text = Path(write_preview(dataset)).read_text(encoding="utf-8")
    first = dataset.frames("v0.mp4", "v0.mp4").column("jpeg")[0].as_py()
    assert base64.b64encode(first).decode() in text
    assert "as stored" in text


def test_thumbnails_come_from_stored_frames_when_the_source_is_another(dataset: Dataset) -> None:
    note = "these are stored frames"
    assert note not in Path(write_preview(dataset)).read_text(encoding="utf-8")
    source = dataset.source("v0.mp4")
    source.write_bytes(source.read_bytes() + b"\0\0\0\x08free")
    source.with_name("v1.mp4").unlink()
    page = Path(write_preview(dataset)).read_text(encoding="utf-8")
    assert page.count(note) == 2
    assert len(_Tags(page).all("svg", "masks")) == 8


def test_of_many_videos_evenly_spread_ones_are_shown(
    tmp_path: Path, square_clip: Path, config: BuildConfig, models: object
) -> None:
    dataset = build_dataset(tmp_path / "many", square_clip, config, videos=5)
    path = Path(write_preview(dataset, tmp_path / "elsewhere" / "page.html", limit=3))
    text = path.read_text(encoding="utf-8")
    assert [f"v{n}.mp4</h3>" in text for n in range(5)] == [True, False, True, False, True]
    assert "3 of 5, evenly spread" in text
    assert not _Tags(Path(write_preview(dataset, limit=0)).read_text(encoding="utf-8")).all("article")


def test_a_video_without_frames_still_has_its_masks_shown(
    tmp_path: Path, square_clip: Path, config: BuildConfig, models: object
) -> None:
    job = VideoJob(Source("only.mp4", square_clip), (Clip("late", 90.0, 95.0),))
    build = Build(folder_at(tmp_path / "filtered"), Benchmark([job]), config)
    masks = run_masks(build, run_here, lambda _: None)
    publish_build(build, masks, run_frames(build, masks, run_here, lambda _: None), error_budget=0.0)
    page = _Tags(Path(write_preview(Dataset(build.folder))).read_text(encoding="utf-8"))
    assert len(page.all("svg", "masks")) == 4
    assert _tags(page.all("article")[0]) == ["filtered", "outside_video"]


def test_a_dataset_of_broken_videos_has_a_page(tmp_path: Path, config: BuildConfig, models: object) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    build = Build(folder_at(tmp_path / "lost"), Benchmark([VideoJob(Source("a.mp4", tmp_path / "a.mp4"), ())]), config)
    masks = run_masks(build, run_here, lambda _: None)
    publish_build(build, masks, run_frames(build, masks, run_here, lambda _: None), error_budget=1.0)
    assert "the file has no bytes" in Path(write_preview(Dataset(build.folder))).read_text(encoding="utf-8")


def test_summary_tables(dataset: Dataset) -> None:
    outcomes, videos = summary_tables(dataset)
    assert [(r["status"], r["reason"], r["videos"]) for r in outcomes] == [("done", "", 2), ("quarantined", "truncated", 1)]
    assert sum(float(r["share"]) for r in outcomes) == pytest.approx(1)
    frames = dataset.rows("frames", "v0.mp4").num_rows
    assert videos[0] == {
        "video": "torn.mp4",
        "objects": 0,
        "frames": 0,
        "samples": 0,
        "status": "quarantined",
        "reason": "truncated",
    }
    assert videos[1] == {"video": "v0.mp4", "objects": 2, "frames": frames, "samples": 2, "status": "done", "reason": ""}


def test_totals_count_published_rows(dataset: Dataset) -> None:
    counts = totals(dataset)
    assert counts["masks"] == sum(dataset.rows("masks", v).num_rows for v in ("v0.mp4", "v1.mp4"))
    assert (counts["videos"], counts["objects"], counts["clips"], counts["samples"]) == (2, 4, 4, 2)
    assert row_counts(dataset, "samples") == {"v0.mp4": 2}
    assert [(g["kind"], g["reason"]) for g in gaps(dataset)] == [("clip", "outside_video")] * 2 + [
        ("sample", "target_not_drawn")
    ]


def test_presence_closes_gaps_too_narrow_to_see() -> None:
    timeline = Timeline(np.arange(1000) / 10, 100.0)
    frames = np.array([0, 1, 2, 4, 5, 500, 999])
    assert [(s.start_s, pytest.approx(s.end_s)) for s in visible_spans(frames, timeline)] == [
        (0.0, 0.6),
        (50.0, 50.1),
        (99.9, 100.0),
    ]


def test_axis_and_numbers_read_well() -> None:
    assert [t.label for t in ticks(8.0)] == [f"{s} s" for s in range(8)]
    assert all(2 <= len(ticks(d)) <= 9 for d in (0.5, 3.0, 59.0, 200.0, 5000.0, 40000.0, 90000.0))
    assert [format_time(s) for s in (0.0, 2.54, 119.0, 187.2)] == ["0 s", "2.5 s", "119 s", "3:07"]
    assert [list(evenly_spaced(5, n)) for n in (0, 1, 2, 9)] == [[], [0], [0, 4], [0, 1, 2, 3, 4]]
    assert (format_bytes(999), format_bytes(12_345_678), format_count(1234567)) == ("999 B", "12.3 MB", "1\u2009234\u2009567")


def test_outline_encloses_the_mask_and_its_hole() -> None:
    mask = np.zeros((90, 120), bool)
    mask[20:70, 30:90] = True
    mask[40:50, 50:60] = False
    rings = outline(mask, (60, 45)).split("Z")[:-1]
    points = [[tuple(map(float, p.split())) for p in ring[1:].split("L")] for ring in rings]
    extents = sorted(tuple(f(v) for v in zip(*ring, strict=True) for f in (min, max)) for ring in points)
    assert extents[0] == pytest.approx((15, 44.5, 10, 34.5), abs=0.6)
    assert extents[1] == pytest.approx((25, 30, 20, 25), abs=1)
    assert outline(np.zeros((9, 9), bool), (9, 9)) == ""


def test_a_page_that_shows_what_is_published_is_not_written_again(dataset: Dataset) -> None:
    page = Path(current_preview(dataset))
    assert page == Path(str(dataset.folder)) / PREVIEW
    first = page.stat().st_mtime_ns
    assert Path(current_preview(dataset)).stat().st_mtime_ns == first
    page.write_text(page.read_text().replace(dataset.manifest.content_hash, "0" * 64))
    assert dataset.manifest.content_hash in Path(current_preview(dataset)).read_text()
