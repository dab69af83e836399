"""A headless Chromium for every test that looks at a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.chromium import chromium
from bench.figures import NotRunError


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright, one for each file of tests: no test may run asyncio while Playwright's loop is there."""
    try:
        with chromium() as started:
            yield started
    except NotRunError as error:
        pytest.skip(str(error))


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., tuple[Any, list[str]]]]:
    """Opens a file; gives its page, and a list that fills with all that goes wrong on it or is fetched by it."""
    pages: list[Any] = []

    def open_file(page_file: Path, width: int = 1400, scheme: str = "light") -> tuple[Any, list[str]]:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        wrong: list[str] = []
        own = {"file", "data"}
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: wrong.append(request.url) if request.url.split(":")[0] not in own else None)
        page.goto(page_file.as_uri())
        return page, wrong

    yield open_file
    for page in pages:
        page.close()
