"""The plate report as text and pictures; what a browser makes of it is tried in `tests/browser`."""

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from plate_assets.pages.document import json_block, number, safe_link, ticks
from plate_assets.plates.layout import Well
from plate_assets.precipitation.report import ReportError, heatmap_png, heatmap_thumbnail, render_report
from plate_assets.precipitation.report.charts import growth_outliers
from plate_assets.precipitation.report.pictures import (
    PicturePlan,
    encode_heat,
    encode_picture,
    encode_wells,
    grey_scale,
    shrink_map,
    to_bytes,
)
from plate_assets.precipitation.report.plate import CELL, outline
from plate_assets.precipitation.report.scale import ColourScale
from plate_assets.precipitation.tables import WELL_SCORES
from tests.made_plates import made_plate
from tests.strict_html import Page, assert_whole_and_alone


def test_the_page_is_well_formed_and_fetches_nothing():
    html = render_report(made_plate(96))
    assert_whole_and_alone(html)


def test_the_suspicious_conditions_come_first_and_the_rest_behind_them():
    inputs = made_plate(384, called=7, doubts=False, side_px=40)
    ranked = inputs.ranked_calls()
    assert ranked["call"].to_list() == [True] * 7 + [False] * 89
    assert ranked["anomaly_score"][:7].is_sorted(descending=True)
    html = render_report(inputs)
    shown = re.findall(r'<tr class="(called|below)" data-group="(\w+)">', html)
    assert [group for _, group in shown] == ranked["Metadata_Quadruplet"][:11].to_list()
    assert "7 of 96 conditions called precipitated." in html and "89 clear, 0 not called" in html


def test_a_plate_without_reference_or_domain_says_why_nothing_is_called():
    html = render_report(made_plate(96, in_domain=False))
    assert "No calls were made on this plate." in html and "lie outside the model's domain: shown, not called" in html
    assert "24 not called: outside the model&#39;s domain, or no reference scores" in html


@pytest.mark.parametrize("table", ["growth", "quality", "effects"])
def test_a_table_that_is_not_there_leaves_the_page_whole(table):
    Page(render_report(made_plate(6, **{table: None})))


def test_an_empty_plate_gives_a_page():
    inputs = made_plate(96)
    Page(
        render_report(
            replace(inputs, wells=inputs.wells.clear(), calls=inputs.calls.clear(), tiles=inputs.tiles.clear(), growth=None)
        )
    )


def test_every_column_of_the_tables_is_explained():
    html = render_report(made_plate(6))
    assert all(f"<code>{column.name}</code>" in html for column in WELL_SCORES.columns)


def test_the_csv_inside_the_page_is_the_table_itself():
    inputs = made_plate(24)
    found = re.search(r'download="wells.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', render_report(inputs))
    table = pl.read_csv(io.BytesIO(base64.b64decode(found[1])), schema_overrides=inputs.wells.schema)
    assert table["score"].equals(inputs.wells["score"]) and table.columns == inputs.wells.columns


def test_pictures_are_asked_for_once_and_the_page_stays_within_its_budget():
    noise = np.random.default_rng(1).integers(0, 65535, (400, 400), dtype=np.uint16)
    asked: list[str] = []

    def picture(well: str) -> np.ndarray:
        asked.append(well)
        return noise

    html = render_report(made_plate(96, well_picture=picture, budget_bytes=2_500_000))
    assert len(html) < 3_000_000
    assert max(Counter(asked).values()) <= 2 and len(asked) <= 96 + 12


def test_pictures_come_in_the_order_of_the_wells_a_few_ahead_of_who_takes_them():
    plan, asked = PicturePlan((0.0, 255.0), 120, None), []
    wells = [f"A{column:02d}" for column in range(1, 25)]

    def picture(well: str) -> np.ndarray | None:
        asked.append(well)
        return None if well == "A03" else np.full((30, 40), 10 * int(well[1:]), np.uint8)

    encoded = encode_wells(wells, set(), plan, picture, lambda well: None, (0.0, 1.0))
    first = next(encoded)
    assert len(asked) <= 6
    found = [first, *encoded]
    assert [well for well, _ in found] == wells and found[2][1] == {}
    pictures = (io.BytesIO(base64.b64decode(found[number][1]["picture"].split(",")[1])) for number in (0, 9, 23))
    grey = [np.asarray(Image.open(picture)).mean() for picture in pictures]
    assert grey == pytest.approx([10, 100, 240], abs=2)


def test_a_well_that_is_not_on_the_plate_is_refused_with_the_remedy():
    inputs = made_plate(24)
    with pytest.raises(ReportError, match="B09 .* not on a plate of 24 wells: set the plate format"):
        replace(inputs, wells=inputs.wells.with_columns(pl.lit("B09").alias("Metadata_Well")))


def test_a_heat_scale_that_is_none_is_refused():
    with pytest.raises(ReportError, match="give two finite numbers"):
        made_plate(6, heat_scale=(1.0, float("nan")))


@given(st.recursive(st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists, max_leaves=5))
def test_json_in_the_page_reads_back_and_never_ends_its_element(value):
    text = str(json_block(value))
    assert json.loads(text) == value and not set("<>&") & set(text)


@pytest.mark.parametrize("address", ["javascript:alert(1)", " JaVa\tScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_an_address_that_runs_something_leads_nowhere(address):
    assert safe_link(address) == "#"


@pytest.mark.parametrize(
    "address", ["https://x.org/a?b=c:d", "report.html", "../a/b.html#C05", "a/b:c", "file:///tmp/x", "#C05"]
)
def test_an_address_of_a_page_is_kept(address):
    assert safe_link(address) == address


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=40))
def test_a_colour_scale_has_room_and_gives_every_number_a_colour(values):
    scale = ColourScale.of(values)
    assert scale.lo < scale.hi
    assert all((scale.colour(v) is None) == (v is None) for v in values)


def test_a_colour_scale_grows_in_lightness():
    scale = ColourScale(0, 1)
    light = [
        sum(w * int(scale.colour(v)[i : i + 2], 16) for w, i in ((0.3, 1), (0.59, 3), (0.11, 5))) for v in np.linspace(0, 1, 30)
    ]
    assert (np.diff(light) > 0).all()


@given(st.floats(-1e5, 1e5), st.floats(1e-4, 1e5))
def test_ticks_are_few_and_inside(lo, width):
    found = ticks(lo, lo + width)
    assert len(found) <= 12 and all(lo - 1e-6 * width <= t <= lo + width + 1e-6 * width for t in found)


def test_numbers_read_as_people_write_them():
    assert [number(v) for v in (None, 0.123456, 27624.3, 3, True, float("nan"), "x")] == [
        "–",
        "0.1235",
        "27624",
        "3",
        "yes",
        "–",
        "x",
    ]


@settings(max_examples=40)
@given(st.sets(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1))
def test_an_outline_has_one_side_for_each_border_of_the_group(cells):
    sides = outline(Well(*cell) for cell in cells).count("M")
    assert sides == sum((r + dr, c + dc) not in cells for r, c in cells for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0)))
    assert CELL > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_keeps_one_scale_and_its_proportions(dtype):
    image = np.linspace(0, np.iinfo(dtype).max, 300 * 200).reshape(200, 300).astype(dtype)
    shown = to_bytes(image, (0, np.iinfo(dtype).max))
    assert shown.min() == 0 and shown.max() == 255
    assert Image.open(io.BytesIO(encode_picture(image, (0, 255), 150))).size == (150, 100)


def test_a_colour_picture_stays_in_colour():
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[..., 0] = 200
    red = np.asarray(Image.open(io.BytesIO(encode_picture(image, (0, 255), 40, 95)))).reshape(-1, 3).mean(axis=0)
    assert red[0] > 180 and red[1] < 30


def test_a_plate_of_one_grey_has_a_scale():
    lo, hi = grey_scale([np.full((40, 40), 7, dtype=np.uint8)])
    assert lo < 7 < hi


def test_a_shrunk_map_keeps_its_mean_and_what_was_not_scored():
    heat = np.full((300, 300), np.nan)
    heat[100:200, 100:200] = np.arange(100)[None, :]
    small = shrink_map(heat, 60)
    assert small.shape == (60, 60)
    assert np.isfinite(small).sum() == 20 * 20 and np.nanmean(small) == pytest.approx(49.5, abs=0.01)


def test_a_map_is_transparent_at_its_low_end_and_shaded_where_nothing_was_scored():
    heat = np.array([[0.0, 1.0], [2.0, np.nan]])
    pixels = np.asarray(Image.open(io.BytesIO(encode_heat(heat, (0.0, 1.0)))).convert("RGBA"))
    assert pixels[0, 0, 3] == 0
    assert pixels[0, 1, 3] > 230 and (pixels[0, 1] == pixels[1, 0]).all()  # above the scale is its end
    assert 0 < pixels[1, 1, 3] < 128 and pixels[1, 1, :3].max() < 40


def test_growth_outliers_are_those_far_from_the_many():
    draw = np.random.default_rng(3)
    growth, score = draw.normal(0.7, 0.05, 200), draw.normal(1, 0.1, 200)
    growth[:3], score[:3] = [0.2, 0.7, 0.71], [1.0, 3.0, -1.0]
    found = growth_outliers(growth, score)
    assert found[:3].all() and found[3:].mean() < 0.03
    assert not growth_outliers(growth[:10], score[:10]).any() and not growth_outliers(np.ones(50), score[:50]).any()


@pytest.mark.parametrize("wells", [6, 384, 1536])
def test_the_heat_map_is_a_png_and_its_thumbnail_is_small(wells):
    inputs = made_plate(wells, called=4, plate="a $x^2_$ plate")
    assert min(Image.open(io.BytesIO(heatmap_png(inputs, width_in=6, dpi=60))).size) > 100
    thumbnail = heatmap_thumbnail(inputs)
    assert len(thumbnail) <= 20_000 and Image.open(io.BytesIO(thumbnail)).format == "PNG"
