"""When a time-lapse is let in, and when it is measured again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.listing import ListingError
from plate_assets.plates.timelapses.arrivals import SeenTimelapse, decide_timelapses, scan_timelapses

TIMELAPSE = SeenTimelapse("F1", "s1")


def test_a_folder_is_let_in_when_it_has_stayed_the_same_for_long_enough():
    looks, started = {}, []
    for signature in ("s1", "s2", "s2", "s2"):
        decision = decide_timelapses([SeenTimelapse("F1", signature)], (), looks, settle_looks=3)
        looks = decision.looks
        started.append([each.name for each in decision.start])
    assert started == [[], [], [], ["F1"]]


def test_a_copy_that_goes_on_is_waited_for_however_long_it_stays_the_same():
    decision = decide_timelapses([SeenTimelapse("F1", "s1", copying=True)], (), {"F1": ("s1", 9)}, 3)
    assert not decision.start and decision.waiting


def test_a_known_one_is_never_let_in_again_and_one_that_differs_by_case_is_told():
    decision = decide_timelapses([TIMELAPSE, SeenTimelapse("f1", "s")], {"F1"}, {"F1": ("s1", 5), "f1": ("s", 5)}, 2)
    assert not decision.start and "rename one" in (decision.broken[0].error or "")


names = st.text("ab", min_size=1, max_size=2)


@given(st.lists(st.builds(SeenTimelapse, names, st.sampled_from("xy")), unique_by=lambda each: each.name), st.integers(1, 3))
def test_everything_that_stays_is_let_in_once(seen, settle_looks):
    known, looks = set(), {}
    for _ in range(2 * settle_looks):
        decision = decide_timelapses(seen, known, looks, settle_looks)
        assert not known & {each.name for each in decision.start}
        known |= {each.name for each in decision.start}
        looks = decision.looks
    assert known == {each.name for each in seen}


def test_the_folder_is_looked_at_as_it_is(tmp_path):
    (tmp_path / "time-lapse").mkdir()
    (tmp_path / "time-lapse" / "a.tif").write_bytes(b"1")
    (tmp_path / "copying").mkdir()
    (tmp_path / "copying" / "a.tif.part").write_bytes(b"1")
    (tmp_path / "a b").mkdir()
    (tmp_path / "loose.csv").write_bytes(b"1")
    (tmp_path / "known").mkdir()
    seen = {each.name: each for each in scan_timelapses(UPath(tmp_path), {"known"})}
    assert set(seen) == {"time-lapse", "copying", "a b", "loose.csv"}
    assert seen["time-lapse"].error is None and seen["copying"].copying
    assert "cannot name" in seen["a b"].error and "folder of its own" in seen["loose.csv"].error


def test_a_folder_that_cannot_be_listed_is_never_an_empty_one(tmp_path):
    with pytest.raises(ListingError, match="cannot be listed"):
        scan_timelapses(UPath(tmp_path / "gone"))
