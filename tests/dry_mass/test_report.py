"""The time-lapse report as text; what a browser makes of it is tried in `tests/browser`."""

import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.figures.strips import strip_image
from plate_assets.dry_mass.report import ReportError, render_report
from plate_assets.dry_mass.report.details import CROPS, POINTS, cell_data, encoded_strip
from plate_assets.pages.document import json_block, rounded, safe_link
from tests.dry_mass.made_timelapses import made_inputs, scored_timelapse, strip_of, timelapse_series, verdicts
from tests.strict_html import Page, assert_whole_and_alone


def data_of(html: str, id: str) -> dict:
    found = re.search(rf'<script type="application/json" id="{id}">(.*?)</script>', html, re.S)
    assert found, f"the page has no data {id}"
    return json.loads(found[1])


def strips_in(html: str) -> int:
    return len(re.findall(r'id="strip-\d+"', html))


def ranked(html: str) -> list[int]:
    return [int(path) for path in re.findall(r'<tr class="(?:flagged|below)" data-cell="(\d+)"', html)]


def test_the_page_is_well_formed_and_fetches_nothing():
    html = render_report(made_inputs(short=2, strips={0: strip_of()}))
    assert_whole_and_alone(html)
    assert "default-src &#39;none&#39;" in html and "unsafe" not in html


def test_the_head_says_timelapse_unit_model_thresholds_and_counts():
    text = Page(render_report(made_inputs(8, 2, short=3, gap_in=[5]))).text
    assert "F1" in text and "mass in pg" in text and "model v1" in text
    assert "2 of 7 scored cells are abnormal." in text and "A guess at why: biology for 2, acquisition for 0." in text
    assert "a window is abnormal above τ = 1, a cell above 0.1" in text
    assert "8 of 11 paths long enough" in text and "windows with a gap" in text
    assert "3 paths are shorter than 30 h (median 20 h, longest 20 h)" in text


def test_relative_masses_are_never_pg():
    html = render_report(made_inputs(unit="relative", strips={0: strip_of()}))
    text = Page(html).text
    assert "relative units" in text and not re.search(r"\bpg\b", text)
    facts = data_of(html, "facts")
    assert facts["unit"] == "relative units" and not re.search(r"\bpg\b", json.dumps(facts))


def test_the_most_abnormal_cells_come_first_and_what_is_left_out_is_counted():
    inputs = made_inputs(30, 12)
    html = render_report(inputs)
    assert ranked(html) == inputs.ranked["path_id"].to_list() and ranked(html)[:12] == list(range(12))
    few = render_report(replace(inputs, most=5))
    assert ranked(few) == [0, 1, 2, 3, 4]
    assert "The 5 most abnormal; 7 further abnormal cells are in cells.csv" in Page(few).text
    assert "cell-5" not in few and "25 further scored cells by rank" in Page(few).text


def test_the_list_shows_the_number_that_it_is_ordered_by_and_what_decided():
    inputs = made_inputs(6, 2)
    signed = pl.col("path_id") == 5  # a sign decides where the score says nothing
    cells = inputs.cells.with_columns(
        abnormal=pl.col("abnormal") | signed,
        first_abnormal_h=pl.when(signed).then(3.0).otherwise("first_abnormal_h"),
        margin=pl.when(signed).then(99.0).otherwise("margin"),
        decided_by=pl.when(signed).then(pl.lit("growth × 0.40 in 6 h, limit × 0.80")).otherwise("decided_by"),
    )
    html = render_report(replace(inputs, cells=cells))
    shown = re.findall(r'<td class="num" data-value="([\d.]+)"><svg class="meter"', html)
    assert ranked(html)[:3] == [5, 0, 1] and [float(value) for value in shown] == sorted(map(float, shown), reverse=True)
    assert 'class="decided" data-value="growth × 0.40 in 6 h, limit × 0.80"' in html
    assert data_of(html, "facts")["cells"]["0"]["decided_by"].startswith("score 0.")


def test_a_cells_data_are_its_curve_its_gaps_its_divisions_and_its_errors():
    series = timelapse_series(2, 240, gap_in=[1])
    windows, _ = scored_timelapse(series, abnormal=1)
    for path in (0, 1):
        rows, own = series.filter(path_id=path), windows.filter(path_id=path)
        found = cell_data(rows, own, None)
        mass = np.array([np.nan if v is None else v for v in found["mass"]])
        assert np.allclose(mass, rows["dry_mass"].fill_null(np.nan), rtol=1e-3, equal_nan=True)
        assert [hour for hour, _ in found["divisions"]] == [pytest.approx(119 / 6, abs=0.01)]
        assert len(found["error"]) == (61 if path == 0 else 0) and found["worst"] is None
    assert cell_data(series.filter(path_id=1), windows.filter(path_id=1), None)["gaps"] == [[19.83, 21.0]]
    abnormal = own.filter(pl.lit(False))
    assert cell_data(series.filter(path_id=0), abnormal, None)["abnormal"] == []


def test_the_worst_window_is_shown_with_its_forecast_and_both_baselines():
    html = render_report(made_inputs(3, 1))
    worst = data_of(html, "cell-0")["worst"]
    assert worst["target"] == [350.0] * 60 and worst["forecast"] == [400.0] * 60
    assert worst["persistence"][0] == 450.0 and worst["linear"][0] == 500.0
    assert len(worst["mass"]) == 180 and worst["mse_persistence"][0] == pytest.approx(1.5 * worst["mse"][0] + 0.1, rel=0.02)


def test_the_baselines_stand_beside_the_network():
    inputs = made_inputs(6, 1)
    text = Page(render_report(inputs)).text
    means = inputs.windows.select(pl.col("mse", "mse_persistence", "mse_linear").mean()).row(0)
    assert all(f"{mean:.4g}" in text for mean in means)
    assert "Network is better in" in text and text.count("100.0 %") == 2


def test_what_a_person_said_is_shown_the_last_word_counts_and_precision_has_its_interval():
    said = verdicts((0, "acquisition", None, "ann"), (0, "biological", "merge", "bob"), (1, "false_positive", None, "ann"))
    other = verdicts((1, "biological", None, "eve"), name="F2")
    html = render_report(made_inputs(4, 2, annotations=pl.concat([said, other])))
    facts = data_of(html, "facts")["cells"]
    assert facts["0"]["verdict"] == "biological (merge), by bob on 2026-03-01 01:00 UTC"
    assert facts["1"]["verdict"].startswith("false positive, by ann") and facts["2"]["verdict"] is None
    assert "50 % precision [9, 91], 2 looked at" in Page(html).text


def test_a_timelapse_without_an_abnormal_cell_says_so_and_shows_the_nearest_to_the_line():
    page = Page(render_report(made_inputs(4, 0)))
    assert "No cell is abnormal. 4 were scored." in page.text and "The cells nearest to the line" in page.text
    assert page.ids["cell-0"] == 1


def test_a_timelapse_of_short_paths_says_what_that_means():
    page = Page(render_report(made_inputs(0, 0, short=5)))
    assert "No cell was scored." in page.text and "the longest path lasts 20 h" in page.text
    assert "no cell is called normal or abnormal" in page.text and "5 paths are shorter than 30 h" in page.text
    assert "Image for longer" in page.text and page.ids["detail"] == 0


def test_a_timelapse_whose_every_window_has_a_gap_is_not_called_short():
    page = Page(render_report(made_inputs(2, 0, gap_in=[0, 1])))
    assert "2 of 2 paths long enough" in page.text
    assert "2 are long enough and have no 30 h without a gap" in page.text and "all 122 touch a gap" in page.text


def test_a_timelapse_without_a_path_gives_a_page():
    inputs = made_inputs(2, 0)
    tables = {name: getattr(inputs, name).clear() for name in ("series", "windows", "cells")}
    assert "The time-lapse has no path at all" in Page(render_report(replace(inputs, **tables, forecasts={}))).text


def test_many_short_paths_are_counted_and_the_longest_named():
    page = render_report(made_inputs(1, 0, short=260))
    assert "The longest 200 of 260" in Page(page).text


def test_names_and_evidence_from_outside_are_words():
    hostile = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    inputs = made_inputs(
        2, 1, name=hostile, model={hostile: hostile}, links={"bad": "javascript:alert(1)"},
        annotations=verdicts((0, "biological", None, hostile), name=hostile),
    )  # fmt: skip
    inputs = replace(inputs, cells=inputs.cells.with_columns(evidence=pl.lit(hostile), Metadata_Well=pl.lit(hostile)))
    html = render_report(inputs)
    page = Page(html)
    assert "alert(1)</script>" not in html and "<img src=x" not in html
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert ("href", "#") in page.attributes and hostile in "".join(page.words)
    assert data_of(html, "facts")["name"] == hostile


@settings(max_examples=30)
@given(st.recursive(st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists, max_leaves=5))
def test_json_in_the_page_reads_back_and_never_ends_its_element(value):
    text = str(json_block(value))
    assert json.loads(text) == value and not set("<>&") & set(text)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e9, 1e9) | st.sampled_from([np.nan, np.inf, -np.inf]), max_size=20))
def test_rounded_numbers_are_near_and_what_is_none_is_none(values):
    for value, found in zip(values, rounded(np.array(values)), strict=True):
        assert (found is None) == (not np.isfinite(value)) and (found is None or found == pytest.approx(value, rel=1e-3))


@pytest.mark.parametrize("address", ["javascript:alert(1)", " JaVa\tScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_an_address_that_runs_something_leads_nowhere(address):
    assert safe_link(address) == "#" and safe_link("https://x.org/a?b=c:d") == "https://x.org/a?b=c:d"


def test_the_page_stays_small_whatever_the_timelapse():
    inputs = made_inputs(260, 120, points=300)
    html = render_report(inputs)
    assert len(ranked(html)) == 100 and len(html) < 1_500_000
    assert html.count('class="timelapse-row"') == 100
    long = timelapse_series(1, 6 * 24 * 40)
    data = cell_data(long, scored_timelapse(long)[0], None)
    assert len(data["mass"]) <= POINTS and len(data["error"]) <= POINTS
    assert data["start_h"] + (len(data["mass"]) - 1) * data["step_h"] == pytest.approx(40 * 24, rel=0.01)


def test_strips_are_asked_for_once_and_stay_within_the_budget():
    asked: list[int] = []

    class Strips(dict):
        def get(self, path, default=None):
            asked.append(path)
            return strip_of(60, seed=path)

    inputs = made_inputs(12, 12, strips=Strips.fromkeys(range(12)), crop_um=100.0)
    html = render_report(inputs)
    assert sorted(asked) == list(range(12)) and strips_in(html) == 12
    assert "48 of 60 crops, each 100 µm wide" in data_of(html, "strip-3")["words"]
    one = len(data_of(html, "strip-0")["src"])
    little = render_report(replace(inputs, budget_bytes=int(3.5 * one)))
    assert strips_in(little) == 3 and "strips of 9 cells were left out" in Page(little).text


def test_a_strip_is_thinned_evenly_and_without_a_scale_says_no_micrometre():
    source, words = encoded_strip(strip_of(200, side=16), [], None)
    assert source.startswith("data:image/jpeg;base64,") and f"{CROPS} of 200 crops" in words and "µm" not in words
    assert strip_image(strip_of(3)).mode == "RGB"


def test_a_page_without_strips_has_no_word_of_missing_ones():
    html = render_report(made_inputs(3, 1))
    assert 'id="strip-0"' not in html and "left out, so that the page" not in html


def test_inputs_that_do_not_belong_together_are_refused_with_the_remedy():
    inputs = made_inputs(3, 1)
    with pytest.raises(ReportError, match="holds the time-lapse 'F1', and the report is of 'F2'"):
        replace(inputs, name="F2")
    with pytest.raises(ReportError, match="comes from the model v1, and the report is of v2: score the time-lapse again"):
        replace(inputs, model_version="v2")
    with pytest.raises(ReportError, match="path 2 of 'F1' has no series"):
        replace(inputs, series=inputs.series.filter(pl.col("path_id") < 2))
    with pytest.raises(ReportError, match="one unit is needed"):
        half = pl.when(pl.col("path_id") == 0).then(pl.lit("relative")).otherwise("unit").alias("unit")
        replace(inputs, series=inputs.series.with_columns(half))
    with pytest.raises(ReportError, match="one cell or more"):
        replace(inputs, most=0)
