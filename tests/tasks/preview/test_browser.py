"""The preview in a real browser: it draws, filters, answers the pointer, fits, and runs nothing but its own script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.preview import write_preview
from tasks.video.reader import Source

pytestmark = pytest.mark.heavy

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> walks"
SCHEMES = ("light", "dark")
Opened = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def page_file(tmp_path: Path, square_clip: Path, config: BuildConfig, models: object) -> Path:
    """Two videos of two squares, one with a sentence answered, one with a sentence not; and a broken file."""
    (tmp_path / "broken.mp4").write_text("words, not frames")
    boxes = tuple((10.0 + i, 20.0, 50.0 + i, 60.0) for i in range(10))
    said = Sample("said", "a.mp4", HOSTILE, Task.SPATIO_TEMPORAL, 0.0, 1.0, 0, len(boxes) - 1, (Target.dense(0, boxes),))
    unsaid = Sample(
        "unsaid",
        "b.mp4",
        "nobody waits",
        Task.SPATIO_TEMPORAL,
        2.0,
        3.0,
        20,
        29,
        (Target.dense(20, [(0.0, 0.0, 5.0, 5.0)] * 10),),
    )
    jobs = [
        VideoJob(Source("a.mp4", square_clip), (Clip("a.mp4"),), (said,)),
        VideoJob(Source("b.mp4", square_clip), (Clip("b.mp4"),), (unsaid,)),
        VideoJob(Source("broken.mp4", tmp_path / "broken.mp4"), (Clip("broken.mp4"),)),
    ]
    build = Build(folder_at(tmp_path / "squares"), Benchmark(jobs), config)
    masks = run_masks(build, run_here, lambda _: None)
    publish_build(build, masks, run_frames(build, masks, run_here, lambda _: None), error_budget=1.0)
    return Path(write_preview(Dataset(build.folder)))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1400, 600])
def test_it_draws_everything_and_fits(opened: Opened, page_file: Path, width: int, scheme: str) -> None:
    page, wrong = opened(page_file, width, scheme)
    page.evaluate("Promise.all([...document.images].map(image => (image.loading = 'eager', image.decode())))")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 50)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shape = page.locator("svg.masks path").first.bounding_box()
    picture = page.locator("svg.masks").first.bounding_box()
    assert shape["width"] / picture["width"] == pytest.approx(40 / 240, abs=0.03), "the outline lies on the square"
    seen = page.locator("rect.seen").first.bounding_box()
    lane = page.locator(".lanes > svg").first.bounding_box()
    assert seen["width"] == pytest.approx(lane["width"], abs=2), "the first square is there throughout"
    band, answer = (page.locator(f"rect.{name}").first.bounding_box() for name in ("band", "answer"))
    assert band["width"] / lane["width"] == pytest.approx(1.0 / 4.0, abs=0.01)
    assert (answer["x"], answer["width"]) == pytest.approx((band["x"], band["width"]), abs=2)
    assert _luminance(page) > 200 if scheme == "light" else _luminance(page) < 60
    assert wrong == []


def _luminance(page: Any) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour[4:-1].split(","))) / 3


def test_filters_show_what_is_asked_for(opened: Opened, page_file: Path) -> None:
    page, wrong = opened(page_file)

    def shown() -> list[str]:
        return page.locator("article:visible h3, table.rows tbody tr:visible th").all_text_contents()

    assert shown() == ["a.mp4", "b.mp4", "broken.mp4", "unsaid"]
    page.fill("#search", "WALKS")
    assert shown() == ["a.mp4"]
    page.fill("#search", "")
    page.select_option("#tag", "no answer")
    assert shown() == ["b.mp4", "unsaid"]
    page.get_by_role("button", name="quarantined: not a video").click()
    assert shown() == ["broken.mp4"]
    assert page.locator("#count").text_content() == "1 of 4"
    page.fill("#search", "no such thing")
    assert shown() == []
    assert page.locator("#nothing").is_visible()
    page.fill("#search", "")
    page.get_by_role("button", name="quarantined: not a video").click()
    assert len(shown()) == 4
    assert wrong == []


def test_pointing_lights_up_an_object_and_a_click_enlarges(opened: Opened, page_file: Path) -> None:
    page, wrong = opened(page_file)
    card = page.locator("article").first
    card.locator(".labels [data-id='2']").hover()
    assert set(card.locator(".lit").evaluate_all("all => all.map(e => e.dataset.id)")) == {"2"}
    card.locator(".samples li").hover()
    assert card.locator("g.span.lit").count() == 1
    card.locator(".zoom").first.click()
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    page.uncheck("#masks")
    assert page.evaluate("document.body.classList.contains('bare')")
    assert wrong == []


def test_a_hostile_sentence_is_shown_as_it_was_written(opened: Opened, page_file: Path) -> None:
    page, wrong = opened(page_file)
    assert page.locator("article q").first.text_content() == HOSTILE
    assert page.evaluate("document.scripts.length") == 1
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    assert page.evaluate("window.ran === undefined"), "the policy lets no other script run"
    assert any("Content Security Policy" in text for text in wrong)
    assert not any("alert" in text or text in {"1", "2"} for text in wrong)
