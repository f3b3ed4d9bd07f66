"""The morning page in a real browser, on a desk and on a phone."""

from datetime import datetime

import pytest
from selenium.webdriver.common.by import By

from plate_assets.pages.morning import Arrival, Failure, MorningInputs, Refused, Stale, Waiting, render_morning
from plate_assets.workflows.precipitation.morning import CalledCondition, Visit, called_section

pytestmark = pytest.mark.browser


def test_the_page_reads_on_a_phone_without_sideways_scroll(open_page):
    long = "a_very_long_name_without_any_space_" * 3
    when = datetime(2026, 5, 5, 6)
    week = tuple(Visit(f"{hours:03d}h", hours > 90, 3.2, hours > 160, "../P1/report.html#C05") for hours in range(24, 169, 6))
    called = CalledCondition("P1", "C05", long, week, 3.2, 0.7, 0.54, "", "096h")
    page = render_morning(
        MorningInputs(
            datetime(2026, 5, 4, 18), when, {"detector": "models:/precipitation-detector/3"}, [called_section([called], 1)],
            arrived=[Arrival(long, long, "096h", 384, 384, "every file that the index names is there", 3, "out of focus (3)")],
            failed=[Failure(long, "patches", f"{long}/A01.tif is cut off", "copy the file again", "http://localhost:3000/runs/1")],
            waiting=[Waiting(long, "incomplete", when)], refused=[Refused(long, "new bytes under a known name", "rename it")],
            stale=[Stale(long, long)],
        )
    )  # fmt: skip
    browser = open_page(page)
    assert browser.find_element(By.CSS_SELECTOR, "h1").text == "Last night"
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
