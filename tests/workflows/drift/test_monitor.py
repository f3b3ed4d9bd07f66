"""A line's monitor: whatever comes twice, late, at the same time or to a sudden end, its steps are those of one clean pass."""

import multiprocessing
from datetime import UTC, datetime, timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.drift import acquisitions as drift
from plate_assets.drift import tables
from plate_assets.drift.acquisitions import DriftError
from plate_assets.workflows.drift import monitor as drift_monitor
from plate_assets.workflows.drift.monitor import LineSettings, Visit, advance_line, announce, read_line, to_feed
from tests.made_embeddings import VERSION, embeddings

LINE = "scope-1 / viability"
BEGAN = datetime(2026, 3, 1, 20, tzinfo=UTC)
SETTINGS = LineSettings(window=6, ert=300.0, wells_per_acquisition=3)
SHIFTED = range(5, 9)  # of the line's acquisitions


@cache
def reference() -> drift.DriftReference:
    made = ((f"R{i:02d}", embeddings(f"R{i:02d}", wells=(2, 4), tiles=2, growth=0.1, plate_sd=0.2)) for i in range(12))
    return drift.build_reference(made, VERSION)


@cache
def acquisitions(count: int = 14) -> dict[str, tuple[datetime, pl.DataFrame]]:
    """By id: its time and its embeddings; four of them are shifted."""
    return {
        f"N{i:02d}_024h": (
            BEGAN + timedelta(days=i // 2, hours=i % 2),
            embeddings(f"N{i:02d}", wells=(2, 4), tiles=2, growth=0.1, plate_sd=0.2, shift=4.0 * (i in SHIFTED)),
        )
        for i in range(count)
    }


def advanced(folder, ids, settings=SETTINGS) -> drift_monitor.LineState:
    known = acquisitions()
    return advance_line(folder, LINE, reference(), [(i, known[i][0]) for i in ids], lambda i: known[i][1], settings)


@cache
def clean_pass() -> drift_monitor.LineState:
    return advanced(UPath("memory://clean-pass"), list(acquisitions()))


def is_clean_pass(state: drift_monitor.LineState) -> bool:
    clean = clean_pass()
    return state.steps.equals(clean.steps) and state.episodes.equals(clean.episodes) and state.visits == clean.visits


class Killed(BaseException):
    """A sudden end, as a power cut makes: nothing that follows is run."""


def test_the_steps_are_in_the_order_of_time_a_few_wells_of_each_acquisition():
    state = clean_pass()
    tables.DRIFT_STEPS.check(state.steps)
    tables.DRIFT_EPISODES.check(state.episodes)
    assert state.steps.height == 14 * 3 and state.steps["acquired_at"].is_sorted()
    assert state.steps["update"].to_list() == list(range(1, 43))
    assert [visit.acquisition for visit in state.visits] == list(acquisitions())
    firsts = state.steps.group_by("acquisition", maintain_order=True).agg("Metadata_Well")["Metadata_Well"].to_list()
    assert all(len(set(wells)) == 3 for wells in firsts) and len({tuple(wells) for wells in firsts}) > 5


def test_a_shift_opens_one_episode_that_closes_after_two_quiet_windows():
    state = clean_pass()
    assert state.episodes.height == 1
    episode = state.episodes.row(0, named=True)
    assert episode["opened_by"] in {f"N{i:02d}_024h" for i in SHIFTED} and episode["alarms"] >= 1
    drifted = state.steps.filter("drift")["update"].to_list()
    inside = state.steps.drop_nulls("episode")["update"].to_list()
    assert inside == list(range(drifted[0], min(43, drifted[-1] + 2 * SETTINGS.window)))
    after = state.steps.filter(pl.col("update").is_in([update + 1 for update in drifted]))
    assert after["step"].to_list() == [1] * after.height  # the monitor starts again after an alarm


@settings(max_examples=5)
@given(st.data())
def test_any_order_repetition_and_cut_gives_the_steps_of_one_clean_pass(data):
    folder = UPath(f"memory://any-order-{data.draw(st.integers(0, 10**12))}")
    rest = data.draw(st.permutations(list(acquisitions())))
    again = data.draw(st.lists(st.sampled_from(rest), max_size=4))
    todo = [*rest, *again]
    while todo:
        count = data.draw(st.integers(1, 8))
        some, todo = todo[:count], todo[count:]
        advanced(folder, some + data.draw(st.lists(st.sampled_from(some), max_size=2)))
        lost = data.draw(st.sampled_from(["nothing", "state", "damaged"]))  # killed before it was written; half of it gone
        state = drift_monitor.line_folder(folder, LINE, reference(), SETTINGS) / "state"
        if lost == "state":
            state.unlink()
        elif lost == "damaged":
            state.write_bytes(state.read_bytes()[:-100])
    assert is_clean_pass(read_line(folder, LINE, reference(), SETTINGS))


@pytest.mark.parametrize("at", [0, 3, 9])
def test_a_run_that_dies_between_two_acquisitions_is_gone_on_from(tmp_path, at):
    known, ids = acquisitions(), list(acquisitions())

    def dies(acquisition):
        if acquisition == ids[at]:
            raise Killed
        return known[acquisition][1]

    with pytest.raises(Killed):
        advance_line(tmp_path, LINE, reference(), [(i, known[i][0]) for i in ids], dies, SETTINGS)
    assert len(read_line(tmp_path, LINE, reference(), SETTINGS).visits) == at
    assert is_clean_pass(advanced(tmp_path, ids))


def test_several_runs_at_the_same_time_advance_the_line_once(tmp_path):
    ids = list(acquisitions())
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=advanced, args=(tmp_path, part)) for part in (ids, ids[::-1])]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0] * 2
    assert is_clean_pass(read_line(tmp_path, LINE, reference(), SETTINGS))


def test_a_state_that_another_run_wrote_from_less_is_brought_up_to_date(tmp_path):
    ids = list(acquisitions())
    place = drift_monitor.line_folder(tmp_path, LINE, reference(), SETTINGS)
    advanced(tmp_path, ids[:4])
    old = (place / "state").read_bytes()
    advanced(tmp_path, ids)
    (place / "state").write_bytes(old)  # a slow run writes last
    assert is_clean_pass(read_line(tmp_path, LINE, reference(), SETTINGS))


@given(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_what_is_fed_follows_from_what_was_taken(before, now):
    folded, taken = ([Visit(BEGAN + timedelta(hours=n), f"N{n}") for n in numbers] for numbers in (sorted(before), now))
    again, feed = to_feed(folded, taken)
    assert (feed if again else [*folded, *feed]) == sorted(taken)
    assert again == (sorted(taken)[: len(folded)] != folded)


def test_an_alarm_is_announced_once_also_when_a_late_acquisition_moves_its_beginning(tmp_path):
    ids = list(acquisitions())
    place = drift_monitor.line_folder(tmp_path, LINE, reference(), SETTINGS)
    state = advanced(tmp_path, [i for i in ids if i != ids[4]])
    (episode,) = drift_monitor.unannounced(place, state.episodes).to_dicts()
    assert announce(place, episode) and not announce(place, episode)
    assert drift_monitor.unannounced(place, state.episodes).is_empty()
    late = advanced(tmp_path, ids)
    assert late.episodes.height == 1 and drift_monitor.unannounced(place, late.episodes).is_empty()


def test_another_reference_or_other_settings_start_a_line_of_their_own(tmp_path):
    advanced(tmp_path, list(acquisitions())[:3])
    assert not read_line(tmp_path, LINE, reference(), LineSettings(window=6, ert=301.0, wells_per_acquisition=3)).visits
    assert not read_line(tmp_path, "another line", reference(), SETTINGS).visits


def test_an_age_that_the_reference_lacks_is_left_out_with_its_reason(tmp_path):
    state = advance_line(
        tmp_path, LINE, reference(), [("N00_090h", BEGAN)], lambda _: embeddings("N00", 90.0, wells=(2, 4)), SETTINGS
    )
    assert state.steps.is_empty() and "within 6 h of its age" in state.left_out["N00_090h"]
    assert [visit.acquisition for visit in read_line(tmp_path, LINE, reference(), SETTINGS).visits] == ["N00_090h"]


def test_growth_alone_moves_no_vector():
    reference_wells = reference().wells
    young = drift.well_vectors("N", embeddings("N01", 24.0, wells=(2, 4), tiles=2, growth=0.1, plate_sd=0.2))
    found = drift_monitor.less_like_age(reference_wells, young, 6.0)
    assert found is not None and abs(found[:, 0].mean()) < 1.5  # 2.4 of growth are gone


@pytest.mark.parametrize(
    ("acquired_at", "version", "words"),
    [(BEGAN.replace(tzinfo=None), VERSION, "has no time zone"), (BEGAN, "file:other", "'file:other', and the reference")],
)
def test_what_cannot_be_taken_is_an_error_and_nothing_is_stored(tmp_path, acquired_at, version, words):
    with pytest.raises(DriftError, match=words):
        advance_line(
            tmp_path, LINE, reference(), [("N00_024h", acquired_at)], lambda _: embeddings("N00", version=version), SETTINGS
        )
    assert not read_line(tmp_path, LINE, reference(), SETTINGS).visits
