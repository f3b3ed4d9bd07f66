"""The plate report in a real browser: what a scientist does with it."""

from dataclasses import replace

import polars as pl
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from plate_assets.precipitation.report import render_report
from tests.browser.phone import assert_fits_a_phone
from tests.made_plates import made_plate

pytestmark = pytest.mark.browser


def wait(browser, script: str):
    return WebDriverWait(browser, 5).until(lambda b: b.execute_script(f"return {script}"))


def well(browser, name: str):
    return browser.find_element(By.CSS_SELECTOR, f'.plate-score .well[data-well="{name}"]')


def shown(browser, what: str = "panel-picture") -> bool:
    return wait(browser, f"document.getElementById('{what}').complete && document.getElementById('{what}').naturalWidth > 0")


def click(browser, element) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


@pytest.mark.parametrize("wells", [6, 96, 384, 1536])
def test_a_plate_draws_every_well_and_a_click_opens_its_picture(open_page, wells):
    inputs = made_plate(wells, called=1, side_px=60, used=0.3 if wells > 384 else 1.0)
    browser = open_page(render_report(inputs))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".plate-score .well")) == wells
    click(browser, well(browser, "B02"))
    assert browser.find_element(By.ID, "panel-title").text == "Well B02"
    assert shown(browser) and shown(browser, "panel-heat")


def test_a_click_on_a_suspicious_thumbnail_shows_the_well_its_map_and_its_quadruplet(open_page):
    inputs = made_plate(96, called=3, doubts=False)
    worst = inputs.ranked_calls()["Metadata_Quadruplet"][0]
    browser = open_page(render_report(inputs))
    first = browser.find_element(By.CSS_SELECTOR, ".ranked tbody tr")
    assert first.get_attribute("data-group") == worst and "precipitated" in first.text
    click(browser, first.find_elements(By.CSS_SELECTOR, ".thumb")[3])
    assert shown(browser)
    names = [t.get_attribute("data-well") for t in browser.find_elements(By.CSS_SELECTOR, "#group .thumb")]
    assert names == inputs.wells_of(worst)
    assert all(
        wait(browser, f"document.querySelectorAll('#group .stage img:first-child')[{i}].naturalWidth > 0") for i in range(4)
    )


def test_the_heat_map_is_dimmed_and_switched_off(open_page):
    browser = open_page(render_report(made_plate(24, called=1)))
    click(browser, well(browser, "A02"))
    heat = browser.find_element(By.ID, "panel-heat")
    assert heat.value_of_css_property("opacity") == "0.7"
    browser.find_element(By.ID, "heat-opacity").send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert heat.value_of_css_property("opacity") == "0.01"
    browser.find_element(By.ID, "heat-on").click()
    assert heat.value_of_css_property("opacity") == "0"


def test_the_keyboard_walks_the_plate_opens_a_well_and_comes_back(open_page):
    browser = open_page(render_report(made_plate(96, called=0, doubts=False)))
    browser.execute_script("arguments[0].focus()", well(browser, "A01"))
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER):
        browser.switch_to.active_element.send_keys(key)
    assert browser.find_element(By.ID, "panel-title").text == "Well B02"
    assert browser.switch_to.active_element.get_attribute("id") == "panel-title"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_element(By.ID, "panel").is_displayed()
    assert browser.switch_to.active_element.get_attribute("data-well") == "B02"
    assert len(browser.find_elements(By.CSS_SELECTOR, '.plate-score [tabindex="0"]')) == 1  # one stop for Tab, not 96


def test_a_click_on_a_column_sorts_numbers_as_numbers_and_empty_ones_last(open_page):
    inputs = made_plate(96, called=3)
    browser = open_page(render_report(inputs))
    browser.execute_script("document.querySelector('#all details').open = true")
    head = browser.find_elements(By.CSS_SELECTOR, "#all th")[4]
    expected = inputs.calls["score"].drop_nulls().sort().to_list()
    for order, sign in (("descending", -1), ("ascending", 1)):
        click(browser, head.find_element(By.TAG_NAME, "button"))
        assert head.get_attribute("aria-sort") == order
        found = browser.execute_script(
            "return [...document.querySelectorAll('#all tbody tr')].map((r) => r.cells[4].dataset.value)"
        )
        assert [float(v) for v in found if v] == expected[::sign]
        assert found == [v for v in found if v] + [""] * found.count("")


def test_hostile_names_are_words_and_nothing_else(open_page):
    hostile = '</script><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">{}'
    inputs = made_plate(
        6,
        called=1,
        condition=hostile,
        plate='<b onclick="x">"&',
        model={hostile: hostile},
        links={"bad": "javascript:alert(1)"},
    )
    browser = open_page(render_report(inputs))
    click(browser, well(browser, "A01"))
    assert browser.title != "owned" and '<b onclick="x">"&' in browser.title
    assert hostile.format("A01") in browser.find_element(By.ID, "panel-words").text
    assert browser.execute_script("return document.querySelectorAll('header b[onclick], img[src=x]').length") == 0
    assert browser.find_element(By.LINK_TEXT, "bad").get_attribute("href").endswith("#")


def test_a_well_without_a_picture_says_so(open_page):
    browser = open_page(render_report(made_plate(6, well_picture=lambda _: None)))
    click(browser, well(browser, "A01"))
    assert browser.find_element(By.ID, "panel-no-picture").is_displayed()


def test_a_link_to_a_well_opens_it_and_a_phone_needs_no_sideways_scroll(open_page):
    browser = open_page(render_report(made_plate(96)), fragment="#C05")
    assert browser.find_element(By.ID, "panel-title").text == "Well C05"
    browser.find_element(By.ID, "panel-close").click()
    assert_fits_a_phone(browser)


def test_a_link_to_a_condition_opens_its_first_well(open_page):
    inputs = made_plate(96)
    wells = inputs.wells.with_columns(Metadata_Quadruplet="G " + pl.col("Metadata_Quadruplet"))
    calls = inputs.calls.with_columns(Metadata_Quadruplet="G " + pl.col("Metadata_Quadruplet"))
    browser = open_page(render_report(replace(inputs, wells=wells, calls=calls)), fragment="#G%20C05")
    assert browser.find_element(By.ID, "panel-title").text == "Well C05"


def test_the_pictures_can_stand_in_the_wells(open_page):
    browser = open_page(render_report(made_plate(24, called=1)))
    click(browser, browser.find_element(By.ID, "as-pictures"))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".plate-score image")) == 2 * 24
    click(browser, browser.find_element(By.ID, "as-pictures"))
    assert not browser.find_elements(By.CSS_SELECTOR, ".plate-score image")
