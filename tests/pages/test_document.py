"""What all pages share: one skeleton, one style sheet, one script, and a policy that lets nothing else take effect."""

import base64
import hashlib
import re
from datetime import datetime

import polars as pl
import pytest
from jinja2 import TemplateRuntimeError

from plate_assets.dry_mass.report import render_report as timelapse_report
from plate_assets.pages.document import one_value, render_page, when
from plate_assets.pages.morning import MorningInputs, render_morning
from plate_assets.precipitation.report import render_report as plate_report
from tests.dry_mass.made_timelapses import made_inputs
from tests.made_plates import made_plate


@pytest.fixture(scope="module")
def pages() -> list[str]:
    morning = render_morning(MorningInputs(datetime(2026, 5, 4, 18), datetime(2026, 5, 5, 6)))
    return [plate_report(made_plate(6)), timelapse_report(made_inputs(3, 1)), morning]


def test_every_page_has_the_one_style_sheet_and_begins_its_script_with_the_one_that_all_share(pages):
    styles, scripts = ([re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S) for page in pages] for tag in ("style", "script"))
    assert all(len(found) == 1 for found in (*styles, *scripts)) and len({style for (style,) in styles}) == 1
    shared = scripts[2][0]
    assert "const page = " in shared and all(script.startswith(shared) for (script,) in scripts)
    assert all(page.startswith("<!DOCTYPE html>") for page in pages)


def test_the_policy_names_style_and_script_by_their_hash_alone(pages):
    for page in pages:
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'").replace("&#43;", "+")
        for tag in ("style", "script"):
            text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.S)[1]
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_a_template_that_lacks_a_needed_part_is_an_error():
    with pytest.raises(TemplateRuntimeError, match="Required block 'title'"):
        render_page("plate_assets.pages", "base.html")


def test_values_that_should_be_one_are_said_as_one_and_two_as_two():
    table = pl.DataFrame({"model": ["v1", "v1", None, "v2"], "none": [None] * 4})
    assert (one_value(table.head(3), "model"), one_value(table, "model"), one_value(table, "none")) == ("v1", "v1, v2", "–")


def test_a_moment_is_said_to_the_minute():
    assert when(datetime(2026, 5, 4, 18, 3, 59)) == "2026-05-04 18:03" and when(None) == "–"
