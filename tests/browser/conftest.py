"""A real headless Chromium for the pages; skipped with the reason where there is none, a failure in CI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


def _cannot(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A Chromium driven by selenium, 1400 px wide, with a profile of its own."""
    browser, driver_file = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not browser or not driver_file:
        _cannot(
            "no chromium with chromedriver on this machine: install them (Debian: chromium chromium-driver) to test the pages"
        )
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _cannot("selenium is not installed: install the extra `dev` to test the pages in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--window-size=1400,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_file))
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
