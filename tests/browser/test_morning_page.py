"""The morning page in a real browser, on a desk and on a phone."""

from datetime import datetime

import pytest
from selenium.webdriver.common.by import By

from plate_assets.pages.morning import Arrival, Failure, MorningInputs, Refused, Stale, Waiting, render_morning
from plate_assets.workflows.precipitation.morning import CalledCondition, Visit, called_section
from tests.browser.phone import assert_fits_a_phone

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
    assert_fits_a_phone(browser)


def test_a_click_on_a_column_sorts_the_called_conditions(open_page):
    week = (Visit("024h", False, 1.0, False), Visit("048h", True, 3.2, True, "../P1/report.html"))
    called = [CalledCondition("P1", name, None, week, score) for name, score in (("A01", 5.0), ("C05", None), ("E09", 4.0))]
    inputs = MorningInputs(datetime(2026, 5, 4, 18), datetime(2026, 5, 5, 6), sections=[called_section(called, 1)])
    browser = open_page(render_morning(inputs))
    head = browser.find_element(By.XPATH, "//th/button[text()='Score']")

    def order() -> list[str]:
        return [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#called tbody td:first-child")]

    head.click()
    assert order() == ["E09", "A01", "C05"], "one without a score comes last"
    head.click()
    assert order() == ["A01", "E09", "C05"]
    mark = browser.find_element(By.CSS_SELECTOR, ".visit.called")
    assert mark.get_attribute("aria-label") == "048h: precipitated, score 3.2" and mark.get_attribute("href").endswith(
        "report.html"
    )
