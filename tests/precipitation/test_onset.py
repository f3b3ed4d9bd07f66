"""When precipitation first appears: order of time points, gaps, conditions without any call."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.precipitation.onset import onset
from plate_assets.precipitation.tables import ONSET, QUADRUPLET_CALLS


def calls(by_group, hours=(24.0, 48.0, 72.0, 96.0), names=None, plate="P"):
    """QUADRUPLET_CALLS of the groups at each time point, one below the other: a call, or None."""
    names = names or [f"{h:03.0f}h" for h in hours]
    return pl.concat([_visit(by_group, n, name, hours[n], plate) for n, name in enumerate(names)])


def _visit(by_group, n, name, hours, plate):
    about = {
        "Metadata_Plate": plate, "Metadata_Timepoint": name, "Metadata_Timepoint_h": hours, "role": "sample", "n_wells": 4,
        "wells": "", "score": 1.0, "in_domain": True, "reasons": "", "model_version": "m",
    }  # fmt: skip
    rows = [{**about, "Metadata_Quadruplet": g, "condition": f"C {g}", "call": series[n]} for g, series in by_group.items()]
    return QUADRUPLET_CALLS.conform(pl.DataFrame(rows))


def of(table, group):
    return table.filter(Metadata_Quadruplet=group).row(0, named=True)


def test_onset_is_the_first_call_and_last_clear_the_one_before():
    found = of(onset(calls({"A01": [False, False, True, True]})), "A01")
    assert (found["last_clear"], found["last_clear_h"]) == ("048h", 48.0)
    assert (found["onset"], found["onset_h"], found["persists"], found["n_timepoints"]) == ("072h", 72.0, True, 4)
    assert found["condition"] == "C A01"


@pytest.mark.parametrize(
    ("series", "last_clear", "first", "persists", "n"),
    [
        ([True, True, True, True], None, "024h", True, 4),  # there from the beginning
        ([False, False, False, False], "096h", None, None, 4),  # never
        ([False, False, False, True], "072h", "096h", None, 4),  # at the end: nothing later to judge by
        ([False, True, False, True], "024h", "048h", False, 4),  # comes and goes: the first time counts
        ([False, None, True, None], "024h", "072h", None, 2),  # gaps say nothing
        ([None, True, None, True], None, "048h", True, 2),
        ([None, None, None, None], None, None, None, 0),  # excluded at every visit: still a row
    ],
)
def test_every_course_of_calls(series, last_clear, first, persists, n):
    found = of(onset(calls({"A01": series})), "A01")
    assert (found["last_clear"], found["onset"], found["persists"], found["n_timepoints"]) == (last_clear, first, persists, n)


def test_an_excluded_condition_keeps_its_row_beside_the_others():
    table = onset(calls({"A03": [None] * 4, "A01": [False, True, True, True], "C01": [False] * 4}))
    assert table["Metadata_Quadruplet"].to_list() == ["A01", "A03", "C01"]
    assert table["onset"].to_list() == ["048h", None, None]


def test_time_points_without_hours_go_by_the_numbers_in_their_names():
    table = calls({"A01": [True, False, False]}, hours=(None, None, None), names=["d10", "d4", "d2"])
    found = of(onset(table), "A01")
    assert (found["last_clear"], found["onset"], found["onset_h"]) == ("d4", "d10", None)


def test_one_time_point_without_hours_makes_its_own_plate_go_by_name_and_no_other():
    named = calls({"A01": [False, True]}, hours=(96.0, None), names=["096h", "100h"], plate="Q")
    by_hours = calls({"A01": [True, False]}, hours=(96.0, 24.0), names=["1", "2"])
    table = onset(pl.concat([named, by_hours]))
    assert table.select("Metadata_Plate", "onset", "last_clear").rows() == [("P", "1", "2"), ("Q", "100h", "096h")]


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=6), st.randoms())
def test_the_order_of_rows_does_not_matter_and_a_plain_loop_agrees(series, random):
    hours = [24.0 * (n + 1) for n in range(len(series))]
    table = calls({"A01": series}, hours=hours)
    order = list(range(table.height))
    random.shuffle(order)
    found = of(onset(table[order]), "A01")
    known = [(h, call) for h, call in zip(hours, series, strict=True) if call is not None]
    first = next((h for h, call in known if call), None)
    clear = [h for h, call in known if first is None or h < first]
    later = [call for h, call in known if first is not None and h > first]
    assert found["onset_h"] == first
    assert found["last_clear_h"] == (clear[-1] if clear else None)
    assert found["persists"] == (all(later) if later else None)


def test_no_calls_give_an_empty_table():
    assert onset(QUADRUPLET_CALLS.empty()).equals(ONSET.empty())
