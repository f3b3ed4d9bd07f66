"""The time-lapse report in a real browser: what a scientist does with it."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from plate_assets.dry_mass.report import render_report
from tests.browser.phone import assert_fits_a_phone
from tests.dry_mass.made_timelapses import made_inputs, strip_of, verdicts

pytestmark = pytest.mark.browser


def one(browser, selector: str):
    return browser.find_element(By.CSS_SELECTOR, selector)


def click(browser, element) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def title(browser) -> str:
    return one(browser, "#detail-title").text


def test_the_worst_cell_is_open_and_a_click_on_another_shows_its_curve(open_page):
    browser = open_page(render_report(made_inputs(12, 3, gap_in=[2], points=400, strips={1: strip_of()}, crop_um=100.0)))
    assert title(browser) == "Cell 0" and not one(browser, "#strip").is_displayed()
    click(browser, one(browser, 'tr[data-cell="1"]'))
    assert title(browser) == "Cell 1" and "a guess: biology" in one(browser, "#detail-cause").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "#curve .star")) == 3
    assert browser.find_elements(By.CSS_SELECTOR, "#curve .shade") and browser.find_elements(By.CSS_SELECTOR, "#errors .above")
    line = browser.execute_script("return document.querySelector('#curve .curve').getTotalLength()")
    assert line > 600, "the curve goes through the chart"
    assert len(browser.find_elements(By.CSS_SELECTOR, "#forecast-plot path.network, #forecast-plot path.linear")) == 2
    assert browser.execute_script("return document.getElementById('strip-picture').naturalWidth") > 200
    assert "network, error 6" in one(browser, "#worst-keys").text
    click(browser, one(browser, 'tr[data-cell="2"]'))
    assert browser.find_elements(By.CSS_SELECTOR, "#curve .gap") and not one(browser, "#strip").is_displayed()


def test_a_click_on_a_row_of_the_timelapse_shows_that_cell(open_page):
    browser = open_page(render_report(made_inputs(12, 3)))
    click(browser, one(browser, '.timelapse-row[data-cell="2"]'))
    assert title(browser) == "Cell 2" and browser.switch_to.active_element.get_attribute("id") == "detail-title"
    assert "here" in one(browser, 'tr[data-cell="2"]').get_attribute("class")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.switch_to.active_element.get_attribute("data-cell") == "2"


def test_the_keyboard_walks_the_list_and_the_timelapse(open_page):
    browser = open_page(render_report(made_inputs(12, 3)))
    browser.execute_script("arguments[0].focus()", one(browser, 'button.link[data-cell="0"]'))
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert title(browser) == "Cell 2"
    browser.switch_to.active_element.send_keys(Keys.ARROW_UP, Keys.ENTER)
    assert title(browser) == "Cell 1" and browser.switch_to.active_element.get_attribute("id") == "detail-title"
    browser.execute_script("arguments[0].focus()", one(browser, ".timelapse-row"))
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert title(browser) == "Cell 2"
    assert len(browser.find_elements(By.CSS_SELECTOR, '.timelapse-row[tabindex="0"]')) == 1  # one stop for Tab, not twelve


def test_the_list_is_sorted_by_a_column_and_filtered_by_cause(open_page):
    inputs = made_inputs(12, 3)
    browser = open_page(render_report(inputs))
    rows = "[...document.querySelectorAll('.ranked tbody tr')]"
    shown = f"return {rows}.filter((row) => !row.hidden).map((row) => Number(row.dataset.cell))"
    head = browser.find_elements(By.CSS_SELECTOR, ".ranked th button")[1]
    click(browser, head)
    assert browser.execute_script(shown) == sorted(range(12), reverse=True)
    click(browser, head)
    assert browser.execute_script(shown) == list(range(12))
    click(browser, one(browser, '.filter label:has([value="biological"])'))
    assert browser.execute_script(shown) == [0, 1, 2]
    assert one(browser, "#before").get_attribute("disabled")
    for _ in range(2):
        click(browser, one(browser, "#after"))
    assert title(browser) == "Cell 2" and one(browser, "#after").get_attribute("disabled")


def test_the_list_reads_consistently_from_the_margin_above(open_page):
    browser = open_page(render_report(made_inputs(12, 3)))
    cells = browser.execute_script(
        "return [...document.querySelectorAll('.ranked tbody tr')].map((row) => [row.cells[3].dataset.value, row.className])"
    )
    margins, flagged = [float(margin) for margin, _ in cells], ["flagged" in names for _, names in cells]
    assert margins == sorted(margins, reverse=True) and flagged == [margin >= 1 for margin in margins]
    assert one(browser, "#detail-words").text.startswith("margin ")


def test_the_command_is_the_one_that_records_the_verdict(open_page):
    name = "it's a time-lapse"
    browser = open_page(render_report(made_inputs(4, 2, name=name, annotations=verdicts((0, "both", None, "ann"), name=name))))
    assert "Said: both, by ann" in one(browser, "#said").text
    Select(one(browser, "#verdict")).select_by_value("biological")
    Select(one(browser, "#biology")).select_by_value("too_big")
    one(browser, "#author").send_keys("Ann Bee")
    wanted = """plate-assets annotate 'it'"'"'s a time-lapse' 0 biological --biology too_big --author 'Ann Bee'"""
    assert one(browser, "#command").text == wanted
    Select(one(browser, "#verdict")).select_by_value("false_positive")
    assert "--biology" not in one(browser, "#command").text
    click(browser, one(browser, 'tr[data-cell="1"]'))
    assert " 1 false_positive --author 'Ann Bee'" in one(browser, "#command").text
    assert "Nobody has said" in one(browser, "#said").text


def test_hostile_names_are_words_and_nothing_else(open_page):
    hostile = '</script><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
    browser = open_page(render_report(made_inputs(3, 1, name=hostile, links={"bad": "javascript:alert(1)"})))
    assert browser.title.startswith("</script>") and one(browser, "h1").text == hostile
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert one(browser, "nav .out").get_attribute("href").endswith("#")


@pytest.mark.parametrize("short", [0, 4])
def test_a_timelapse_without_scored_cells_opens_without_a_fault(open_page, short):
    browser = open_page(render_report(made_inputs(0, 0, short=short) if short else made_inputs(1, 0, gap_in=[0])))
    assert "No cell was scored." in one(browser, "header").text and not browser.find_elements(By.ID, "detail")


def test_a_link_to_a_cell_opens_it_and_a_phone_needs_no_sideways_scroll(open_page):
    browser = open_page(render_report(made_inputs(8, 2, short=2, strips={1: strip_of()})), fragment="#cell-1")
    assert title(browser) == "Cell 1"
    assert_fits_a_phone(browser)
