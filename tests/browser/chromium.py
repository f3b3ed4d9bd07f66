"""Starting a headless Chromium, for the tests of pages and for the pictures in `docs/`."""

import shutil
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


class NoChromium(RuntimeError):
    """There is no browser that can be driven; the message says what to install."""


def start_chromium(profile: Path, width: int = 1400, height: int = 1000) -> Any:
    """A driver of a Chromium with this profile, an empty folder; raises NoChromium where one cannot be started."""
    browser, driver_file = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not browser or not driver_file:
        raise NoChromium("no chromium with chromedriver on this machine: install them (Debian: chromium chromium-driver)")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        raise NoChromium("selenium is not installed: install the extra `dev`") from None
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver_file))
