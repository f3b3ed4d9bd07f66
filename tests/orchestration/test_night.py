from hypothesis import given
from hypothesis import strategies as st

from plate_assets.orchestration.night import BEHIND, SCORING, Materialised, only_of_another_model, plan
from plate_assets.orchestration.timelapse_night import JUDGING, MEASURING, MeasuredTimelapse, plan_timelapses

ALL = frozenset(SCORING)


def test_a_plate_that_was_never_scored_gets_every_asset():
    (work,) = plan({"P1_096h": Materialised(frozenset())}, "precipitation-detector.3", {}, ())
    assert work.assets == SCORING
    assert work.reason == "unscored"


def test_a_scored_plate_with_the_same_champion_and_decisions_gets_no_run():
    state = {"P1_096h": Materialised(ALL, "precipitation-detector.3", "aa")}
    assert plan(state, "precipitation-detector.3", {"P1_096h": "aa"}, ()) == []


def test_a_new_champion_scores_again_without_cutting_tiles_or_measuring_growth_again():
    state = {"P1_096h": Materialised(ALL, "precipitation-detector.2", "aa")}
    (work,) = plan(state, "precipitation-detector.3", {"P1_096h": "aa"}, ())
    assert work.assets == ("patch_scores", "well_scores", "quadruplet_calls", "layout_effects", "plate_report")
    assert work.reason == "scored by precipitation-detector.2, and the champion is precipitation-detector.3"
    assert only_of_another_model([work]) == [work]


def test_a_well_taken_out_changes_calls_and_leaves_tile_scores_alone():
    state = {"P1_096h": Materialised(ALL, "precipitation-detector.3", "aa")}
    (work,) = plan(state, "precipitation-detector.3", {"P1_096h": "bb"}, ())
    assert work.assets == ("well_scores", "quadruplet_calls", "layout_effects", "plate_report")
    assert only_of_another_model([work]) == []


def test_a_run_that_died_in_the_middle_is_finished_from_where_it_was():
    state = {"P1_096h": Materialised({"patches", "growth", "patch_scores"}, "precipitation-detector.3")}
    (work,) = plan(state, "precipitation-detector.3", {}, ())
    assert work.assets == ("well_scores", "quadruplet_calls", "layout_effects", "plate_report")


def test_a_plate_with_a_run_in_flight_is_left_alone():
    assert plan({"P1_096h": Materialised(frozenset())}, "precipitation-detector.3", {}, {"P1_096h"}) == []


def test_without_a_champion_only_what_needs_no_model_is_made():
    (work,) = plan({"P1_096h": Materialised(frozenset())}, None, {}, ())
    assert work.assets == ("patches", "growth")


assets = st.frozensets(st.sampled_from(SCORING))
versions = st.sampled_from([None, "m.1", "m.2"])
states = st.dictionaries(
    st.text("ABC", min_size=1, max_size=3), st.builds(Materialised, assets, versions, versions), max_size=6
)


@given(states, st.sampled_from(["m.1", "m.2"]))
def test_doing_the_work_leaves_nothing_to_do(state, champion):
    done = {key: Materialised(ALL, champion, made.decisions) for key, made in state.items()}
    assert plan(done, champion, {}, ()) == []


@given(states, st.sampled_from(["m.1", "m.2"]))
def test_whatever_is_made_again_everything_behind_it_is_made_again_too(state, champion):
    for work in plan(state, champion, {}, ()):
        for name in work.assets:
            assert set(BEHIND[name]) <= set(work.assets)


def timelapses(**timelapse):
    return {"F1": MeasuredTimelapse(**{"assets": MEASURING + JUDGING, "signature": "s", "model_version": "f.1"} | timelapse)}


def test_a_timelapse_that_is_judged_by_the_champion_is_left_alone():
    assert plan_timelapses(timelapses(), (), "f.1", ()) == []


def test_a_timelapse_that_has_grown_is_measured_and_judged_again():
    (work,) = plan_timelapses(timelapses(), {"F1"}, "f.1", ())
    assert work.assets == MEASURING + JUDGING and work.reason == "its files changed"
    assert plan_timelapses(timelapses(), {"F1"}, "f.1", {"F1"}) == []


def test_another_champion_judges_a_timelapse_again_and_measures_nothing():
    (work,) = plan_timelapses(timelapses(), (), "f.2", ())
    assert work.assets == JUDGING and work.reason.startswith("scored by f.1")


def test_without_a_champion_a_timelapse_is_measured_and_no_more():
    (work,) = plan_timelapses(timelapses(assets=("timelapse",), model_version=None), (), None, ())
    assert work.assets == MEASURING[1:] and work.reason == "unmeasured"
    assert plan_timelapses(timelapses(assets=MEASURING, model_version=None), (), None, ()) == []


@given(st.sets(st.sampled_from(MEASURING + JUDGING)), st.booleans(), st.sampled_from([None, "f.1", "f.2"]))
def test_what_is_planned_for_a_timelapse_is_always_a_tail_of_the_chain(assets, grown, champion):
    possible = MEASURING + JUDGING if champion else MEASURING
    for work in plan_timelapses(timelapses(assets=assets), {"F1"} if grown else (), champion, ()):
        assert work.assets == possible[-len(work.assets) :] and set(possible) - assets <= set(work.assets)
