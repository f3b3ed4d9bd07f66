"""What the night decides, on a small graph: what is missing or stale, why, and that doing it leaves nothing to do."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.orchestration.asset_graph import AssetGraph
from plate_assets.orchestration.night import UNTOLD, differences, plan
from plate_assets.orchestration.parts import Reason, Why

# images -> tiles -> scores -> calls -> report, growth -> report, champion -> scores; test makes two tables at once
PARENTS = {
    "tiles": {"images"}, "growth": {"images"}, "scores": {"tiles", "champion"}, "calls": {"scores"},
    "report": {"calls", "growth"}, "test": {"tiles"}, "null": {"tiles"},
}  # fmt: skip
OWN = {"tiles": ["images", "channel"], "growth": ["images"], "scores": ["detector"], "calls": ["λ"], "test": ["reference"]}
WHYS = {
    "images": Why.INPUTS, "channel": Why.SETTING, "detector": Why.MODEL, "λ": Why.SETTING, "reference": Why.REFERENCE,
}  # fmt: skip
NOW = {"images": "#a", "channel": "w1", "detector": "m/3", "λ": "0.05", "reference": "#r"}


@dg.multi_asset(
    outs={"test": dg.AssetOut(), "null": dg.AssetOut()}, deps=["tiles"], can_subset=False
)  # fmt: skip
def one_step(): ...


GRAPH = AssetGraph.of(
    [dg.AssetSpec(name, deps=sorted(parents)) for name, parents in PARENTS.items() if name not in ("test", "null")]
    + [dg.AssetSpec("images"), dg.AssetSpec("champion"), one_step]
)
ALL = GRAPH.in_order(PARENTS.keys())


def wanted(name: str, now: dict[str, str] = NOW) -> dict[str, str]:
    """What the result of an asset should rest on: its own parts and those of all before it."""
    names = [name, *GRAPH.before([name])]
    together = {other for each in names for other in GRAPH.together.get(each, ())}
    return {part: now[part] for each in sorted({*names, *together}) for part in OWN.get(each, ())}


def planned(made, recorded, now=NOW, possible=ALL):
    return plan("P1", possible, made, recorded.get, lambda name: wanted(name, now), WHYS, GRAPH)


UP_TO_DATE = {name: wanted(name) for name in ALL}


def test_what_was_never_made_is_made_whole():
    work = planned((), {})
    assert work.assets == ALL and work.reason == "not made yet"


def test_what_rests_on_what_holds_now_is_left_alone():
    assert planned(ALL, UP_TO_DATE) is None


@pytest.mark.parametrize(
    ("part", "value", "again", "said"),
    [
        ("λ", "0.01", {"calls", "report"}, "λ was 0.05, is 0.01"),
        ("detector", "m/4", {"scores", "calls", "report"}, "detector was m/3, is m/4"),
        ("channel", "w2", {"tiles", "scores", "calls", "report", "test", "null"}, "channel was w1, is w2"),
        ("images", "#b", set(ALL), "images changed"),
        ("reference", "#s", {"test", "null"}, "reference changed"),
    ],
)
def test_a_changed_part_makes_again_what_rests_on_it_and_no_more_and_says_why(part, value, again, said):
    work = planned(ALL, UP_TO_DATE, NOW | {part: value})
    assert set(work.assets) == again and work.reason == said
    assert [other for other in WHYS if work.because_of(WHYS[other], other)] == [part]


def test_a_run_that_died_in_the_middle_is_finished_from_where_it_was():
    """The calls were made again and the report was not: it says so by what it was recorded to rest on."""
    now = NOW | {"λ": "0.01"}
    recorded = UP_TO_DATE | {"calls": wanted("calls", now)}
    work = planned(ALL, recorded, now)
    assert work.assets == ("report",) and work.reason == "λ was 0.05, is 0.01"


def test_a_result_that_does_not_say_what_it_rests_on_is_made_again():
    work = planned(ALL, {name: basis for name, basis in UP_TO_DATE.items() if name != "growth"})
    assert set(work.assets) == {"growth", "report"} and work.reasons == (UNTOLD,)


def test_what_cannot_be_told_now_is_not_compared():
    assert differences({"files": "#old"}, {"files": None}, {}) == []


def test_a_part_that_holds_no_more_is_a_difference():
    assert differences({"λ": "1", "reference": "#r"}, {"λ": "1"}, WHYS) == [Reason(Why.REFERENCE, "reference", "#r", "none")]


def test_several_reasons_are_all_said_and_that_something_is_missing_is_not():
    made = [name for name in ALL if name != "report"]
    work = planned(made, UP_TO_DATE, NOW | {"λ": "0.01", "detector": "m/4"})
    assert sorted(work.reason.split("; ")) == ["detector was m/3, is m/4", "λ was 0.05, is 0.01"]


def test_tables_that_one_step_makes_are_made_together():
    recorded = {name: basis for name, basis in UP_TO_DATE.items() if name != "null"}
    assert planned([name for name in ALL if name != "null"], recorded).assets == GRAPH.in_order({"test", "null"})


parts = st.fixed_dictionaries({name: st.sampled_from([value, "another"]) for name, value in NOW.items()})


@given(st.sets(st.sampled_from(ALL)), parts, parts)
def test_whatever_is_made_again_all_behind_it_is_too_and_then_nothing_is_left(made, before, now):
    recorded = {name: wanted(name, before) for name in made}
    work = planned(made, recorded, now)
    again = set(work.assets) if work else set()
    assert GRAPH.behind(again) & set(ALL) <= again and set(ALL) - made <= again
    done = recorded | {name: wanted(name, now) for name in again}
    assert planned(ALL, done, now) is None


def test_without_a_champion_only_what_needs_none_is_possible():
    possible = GRAPH.in_order(set(ALL) - GRAPH.behind(["champion"]))
    assert planned((), {}, possible=possible).assets == possible == ("tiles", "growth", "test", "null")


def test_each_asset_comes_after_all_that_it_rests_on_and_ends_are_what_nothing_rests_on():
    order = list(GRAPH.parents)
    assert all(order.index(parent) < order.index(name) for name, parents in GRAPH.parents.items() for parent in parents)
    assert set(GRAPH.last(ALL)) in ({"report", "test"}, {"report", "null"})
