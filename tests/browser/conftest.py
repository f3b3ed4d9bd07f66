"""A real headless Chromium for the pages; skipped with the reason where there is none, a failure in CI."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.browser.chromium import NoChromium, start_chromium


def _cannot(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A Chromium driven by selenium, 1400 px wide, with a profile of its own."""
    try:
        driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    except NoChromium as error:
        _cannot(str(error))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium, tmp_path: Path):
    """Opens HTML text as a file, without a network; at the test's end no console message may be left."""

    def opened(html: str, width: int = 1400, height: int = 1000, fragment: str = ""):
        page = tmp_path / "page.html"
        page.write_text(html, encoding="utf-8")
        chromium.set_window_size(width, height)
        chromium.get("about:blank")
        chromium.get_log("browser")
        chromium.get(page.as_uri() + fragment)
        return chromium

    yield opened
    messages = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert messages == []
