"""Simulated cultures: their figures are those that were asked for, and each anomaly does what its truth says."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import (
    SIMULATED_TRUTH,
    CultureSettings,
    SimulatedCulture,
    simulate_culture,
    simulate_cultures,
)
from plate_assets.dry_mass.simulate_anomalies import DEAD_SHARE, FAST, KINDS, LARGER_SHARE, SATURATED_AT, SWING
from plate_assets.dry_mass.tables import BIOLOGY, CELL_TRACKS

SOUND = CultureSettings(founders=300, biological=0, acquisition=0)
STEP = 1 / 6


def with_one_kind(kind: str, seed: int = 0, **changes) -> SimulatedCulture:
    """A quarter of the lineages have it; no noise, and all cells double."""
    shares = {"biological": 0.25, "acquisition": 0.0} if KINDS[kind].cause == "biological" else {"acquisition": 0.25}
    quiet = {"founders": 80, "noise_pg": 0.0, "fold_cv": 0.0, "homeostasis": 0.0, "biological": 0.0, "seed": seed}
    return simulate_culture(CultureSettings(**{**quiet, **shares, "kinds": (kind,), **changes}))


def cell(culture: SimulatedCulture, track: int) -> pl.DataFrame:
    return culture.tracks.filter(pl.col("track_id") == track)


def mass_at(rows: pl.DataFrame, hours: float, after: bool) -> float:
    """Of the last frame before the time, or the first at or after it."""
    side = rows.filter(pl.col("time_h") >= hours - 1e-9) if after else rows.filter(pl.col("time_h") < hours - 1e-9)
    return side["dry_mass"][0 if after else -1]


def events(culture: SimulatedCulture) -> list[dict]:
    """Each event once, with the tracks that it strikes."""
    grouped = culture.truth.group_by("event", "kind", "onset_h", "end_h").agg(pl.col("track_id").unique().sort())
    assert grouped.height > 0
    return grouped.sort("event").to_dicts()


def struck_cells(kind: str, **changes):
    """(culture, onset, end, rows of the cell) of each event that strikes one track."""
    culture = with_one_kind(kind, **changes)
    found = [(culture, e["onset_h"], e["end_h"], cell(culture, e["track_id"][0])) for e in events(culture)]
    assert len(found) >= 10
    return found


def daughters(culture: SimulatedCulture, mother: int) -> list[pl.DataFrame]:
    return [rows for _, rows in culture.tracks.filter(pl.col("parent_id") == mother).group_by("track_id")]


@pytest.fixture(scope="module")
def sound() -> tuple[SimulatedCulture, SimulatedCulture]:
    """A sound culture, and the same without noise."""
    return simulate_culture(SOUND), simulate_culture(replace(SOUND, noise_pg=0))


def test_the_table_is_a_table_of_tracks_and_the_same_settings_give_the_same_one(sound):
    culture = sound[0]
    assert CELL_TRACKS.check(culture.tracks).height > 100_000
    assert simulate_culture(SOUND).tracks.equals(culture.tracks)
    assert not simulate_culture(replace(SOUND, seed=1)).tracks.equals(culture.tracks)
    assert culture.truth.is_empty() and (culture.tracks["reasons"] == "").all()
    assert not culture.tracks.select(pl.any_horizontal("at_edge", "saturated").any()).item()
    assert culture.tracks["frame"].max() == 72 * 6 and culture.tracks["time_h"].max() == pytest.approx(72)


def test_a_cycle_takes_twenty_hours_on_average_and_varies_by_a_fifth(sound):
    cycle = sound[0].cells["cycle_h"]
    assert cycle.mean() == pytest.approx(20, rel=0.02)
    assert cycle.std() / cycle.mean() == pytest.approx(0.2, rel=0.05)
    cells = sound[0].tracks.group_by("frame").len().sort("frame")["len"]
    assert 72 / np.log2(cells[-1] / cells[0]) == pytest.approx(20, rel=0.08)  # the population as a whole


@pytest.mark.parametrize("growth", ["exponential", "linear"])
def test_the_culture_weighs_300_pg_on_average_at_any_time(growth):
    culture = simulate_culture(replace(SOUND, growth=growth, noise_pg=0))
    for frame in (0, 216, 432):
        mass = culture.tracks.filter(pl.col("frame") == frame)["dry_mass"]
        assert mass.mean() == pytest.approx(300, rel=0.06)
        assert 0.2 < mass.std() / mass.mean() < 0.32


def test_a_cell_doubles_and_halves(sound):
    cells = sound[1].cells.drop_nulls()
    factor = cells["division_pg"] / cells["birth_pg"]
    assert factor.mean() == pytest.approx(2, rel=0.03)
    divided = (
        sound[1]
        .tracks.group_by("track_id")
        .agg(pl.col("parent_id").first(), pl.col("dry_mass").first().alias("first"), pl.col("dry_mass").last().alias("last"))
    )
    pairs = divided.drop_nulls("parent_id").join(divided, left_on="parent_id", right_on="track_id")
    share = pairs["first"] / pairs["last_right"]
    assert share.mean() == pytest.approx(0.5 * 2 ** (STEP / 20), abs=0.003)  # a frame's growth lies between
    assert share.std() == pytest.approx(SOUND.asymmetry, rel=0.15)
    both = pairs.group_by("parent_id").agg(pl.col("first").sum() / pl.col("last_right").first(), pl.len())
    assert (both["len"] == 2).all() and both["first"].std() < 0.01  # nothing is lost at a division


def test_a_light_cell_grows_by_more_than_its_double(sound):
    first = sound[1].tracks.group_by("track_id").agg(pl.col("lineage_id").first())
    cells = sound[1].cells.drop_nulls().join(first, on="track_id")
    within = cells.with_columns(
        birth=pl.col("birth_pg").log() - pl.col("birth_pg").log().mean().over("lineage_id"),
        factor=(pl.col("division_pg") / pl.col("birth_pg")).log(),
    ).with_columns(factor=pl.col("factor") - pl.col("factor").mean().over("lineage_id"))
    slope = np.polyfit(within["birth"].to_numpy(), within["factor"].to_numpy(), 1)[0]
    assert slope == pytest.approx(-SOUND.homeostasis, abs=0.1)


@pytest.mark.parametrize(("growth", "straight"), [("exponential", np.log), ("linear", np.asarray)])
def test_growth_is_exponential_or_linear(growth, straight):
    culture = simulate_culture(replace(SOUND, founders=5, growth=growth, noise_pg=0))
    for _, rows in culture.tracks.group_by("track_id"):
        mass = straight(rows.sort("frame")["dry_mass"].to_numpy())
        assert np.allclose(np.diff(mass, 2), 0, atol=1e-9)


def test_the_noise_is_35_pg_for_a_cell_of_300_pg_and_white(sound):
    true, measured = (culture.tracks["dry_mass"].to_numpy() for culture in (sound[1], sound[0]))
    noise, near = measured - true, (true > 290) & (true < 310)
    assert np.std(noise[near]) == pytest.approx(35, rel=0.02) and abs(noise[near].mean()) < 1
    light = (true > 140) & (true < 160)
    assert np.std(noise[light]) == pytest.approx(35 * np.sqrt(0.5), rel=0.03)
    constant = simulate_culture(replace(SOUND, noise_power=0)).tracks["dry_mass"].to_numpy() - true
    assert np.nanstd(constant[light]) == pytest.approx(35, rel=0.03)
    own = sound[0].tracks.with_columns(noise=noise).select("noise", before=pl.col("noise").shift(1).over("track_id"))
    assert abs(own.drop_nulls().select(pl.corr("noise", "before")).item()) < 0.01


def test_noise_may_be_remembered_within_a_cell_and_never_from_another():
    long = replace(SOUND, noise_correlation_h=2.0, noise_power=0)
    noise = simulate_culture(long).tracks["dry_mass"] - simulate_culture(replace(long, noise_pg=0)).tracks["dry_mass"]
    rows = simulate_culture(long).tracks.with_columns(noise=noise)
    for frames, expected in ((1, np.exp(-STEP / 2)), (12, np.exp(-1))):
        lagged = rows.select("noise", before=pl.col("noise").shift(frames).over("track_id")).drop_nulls()
        assert lagged.select(pl.corr("noise", "before")).item() == pytest.approx(expected, abs=0.03)
    firsts = rows.sort("track_id", "frame").group_by("track_id", maintain_order=True).agg(
        pl.col("noise").first(), last=pl.col("noise").last()
    )  # fmt: skip
    assert firsts["noise"].std() == pytest.approx(35, rel=0.05)
    assert abs(firsts.select(pl.corr("noise", pl.col("last").shift(1))).item()) < 0.06


def test_centres_stay_in_the_field_move_as_asked_and_daughters_begin_beside_their_mother(sound):
    tracks = sound[0].tracks
    assert tracks["x_um"].is_between(0, 6400).all() and tracks["y_um"].is_between(0, 4600).all()
    speed = lineage_series(tracks).table["speed_um_h"]
    assert speed.mean() == pytest.approx(12, rel=0.02)
    ends = tracks.group_by("track_id").agg(
        pl.col("parent_id").first(),
        *(pl.col(c).first() for c in ("x_um", "y_um")),
        x=pl.col("x_um").last(),
        y=pl.col("y_um").last(),
    )
    pairs = ends.drop_nulls("parent_id").join(ends, left_on="parent_id", right_on="track_id")
    assert np.hypot(pairs["x_um"] - pairs["x_right"], pairs["y_um"] - pairs["y_right"]).max() < 30


def test_a_track_may_be_lost_for_good():
    lost = simulate_culture(replace(SOUND, founders=500, lost_per_h=0.05)).tracks
    first = lost.filter(pl.col("frame") == 0)["track_id"]
    ends = (
        lost.filter(pl.col("track_id").is_in(first.implode())).group_by("track_id").agg(pl.col("frame").max() * STEP)["frame"]
    )
    mothers = lost["parent_id"].drop_nulls().unique()
    kept = first.is_in(mothers.implode()).mean()
    assert 0.4 < kept < 0.7  # exp(-0.05 · 9.6 h) on average over the rest of the first cycle
    assert ends.mean() < 9


def test_every_class_of_the_taxonomy_is_made_and_errors_of_the_acquisition_too():
    assert {kind.group for kind in KINDS.values() if kind.cause == "biological"} == set(BIOLOGY)
    culture = simulate_culture(CultureSettings(founders=640, biological=0.25, acquisition=0.15, seed=2))
    SIMULATED_TRUTH.check(culture.truth)
    counts = dict(culture.truth.group_by("kind").agg(pl.col("event").n_unique()).iter_rows())
    assert counts.keys() == KINDS.keys()
    assert set(counts.values()) == {16}


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_is_a_row_for_each_event_on_each_path_and_one_event_strikes_a_lineage(seed):
    made = CultureSettings(founders=160, biological=0.2, acquisition=0.2, lost_per_h=0.01, seed=seed)
    culture = simulate_culture(made)
    series = lineage_series(culture.tracks).table
    truth, paths = culture.truth, series.group_by("path_id").agg(pl.col("time_h").max(), pl.col("track_id").unique())
    assert truth.join(paths, on="path_id", how="anti").is_empty()
    joined = truth.join(paths, on="path_id", suffix="_path")
    assert joined.select(pl.col("track_id").is_in("track_id_path").all()).item()
    assert np.allclose(joined["seen_h"], (joined["time_h"] - joined["onset_h"]).clip(0))
    late = truth.filter(pl.col("kind") != "too_big")
    assert late["onset_h"].min() >= 20 and late["onset_h"].max() <= 68
    assert (truth["cause"] == truth["kind"].replace_strict({name: kind.cause for name, kind in KINDS.items()})).all()
    owners = truth.select("event", "lineage_id").unique()
    two = owners.group_by("event").len().filter(pl.col("len") > 1)["event"]
    kinds = truth.filter(pl.col("event").is_in(two.implode()))["kind"].unique()
    assert set(kinds) <= {"merge", "identity_swap", "merged_outlines"}


def test_an_asymmetric_division_gives_one_daughter_most_of_the_mass():
    culture = with_one_kind("asymmetric_division")
    for event in events(culture):
        assert len(event["track_id"]) == 2
        first = [cell(culture, track) for track in event["track_id"]]
        mother = cell(culture, first[0]["parent_id"][0])
        assert first[0]["parent_id"][0] == first[1]["parent_id"][0] and mother["time_h"][-1] < event["onset_h"]
        shares = sorted(rows["dry_mass"][0] / mother["dry_mass"][-1] for rows in first)
        assert shares == pytest.approx([1 - LARGER_SHARE, LARGER_SHARE], rel=0.02)
        assert first[0]["time_h"][0] - event["onset_h"] == pytest.approx(0, abs=STEP)


def test_three_daughters_share_the_mass_and_have_descendants_of_their_own():
    culture = with_one_kind("three_daughters", hours=96)
    grandchildren = 0
    for event in events(culture):
        assert len(event["track_id"]) == 3
        rows = [cell(culture, track) for track in event["track_id"]]
        mother = cell(culture, rows[0]["parent_id"][0])
        assert [one["dry_mass"][0] / mother["dry_mass"][-1] for one in rows] == pytest.approx([1 / 3] * 3, rel=0.02)
        grandchildren += sum(len(daughters(culture, track)) == 2 for track in event["track_id"])
    assert grandchildren >= 3


@pytest.mark.parametrize(("kind", "cycle_is_over"), [("mitotic_slip", True), ("growth_stops", False)])
def test_a_cell_that_stops_stays_as_it_is_until_the_timelapse_ends(kind, cycle_is_over):
    for culture, onset, _, rows in struck_cells(kind):
        after = rows.filter(pl.col("time_h") >= onset)["dry_mass"]
        assert after.len() > 20 and after.max() == pytest.approx(after.min())
        assert not daughters(culture, rows["track_id"][0]) and rows["frame"].max() == 432
        made = culture.cells.filter(pl.col("track_id") == rows["track_id"][0])
        share = (onset - made["birth_h"][0]) / made["cycle_h"][0]
        assert share == pytest.approx(1) if cycle_is_over else 0.1 <= share <= 0.6
        assert after[0] == pytest.approx(made["birth_pg"][0] * 2**share)


@pytest.mark.parametrize("growth", ["exponential", "linear"])
def test_growth_that_is_too_fast_is_three_times_the_normal(growth):
    for culture, onset, _, rows in struck_cells("growth_too_fast", growth=growth):
        made = culture.cells.filter(pl.col("track_id") == rows["track_id"][0])
        sound = np.log(2) if growth == "exponential" else made["birth_pg"][0]
        mass = rows.filter(pl.col("time_h") > onset)["dry_mass"].to_numpy()
        slope = np.diff(np.log(mass) if growth == "exponential" else mass) / STEP * made["cycle_h"][0]
        assert np.allclose(slope, FAST * sound)


def test_a_cell_that_shrinks_loses_half_in_fourteen_hours():
    for culture, onset, _, rows in struck_cells("shrinks"):
        mass = rows.filter(pl.col("time_h") > onset)["dry_mass"].to_numpy()
        assert (np.diff(mass) <= 1e-9).all() and not daughters(culture, rows["track_id"][0])
        if mass.size > 84:
            assert mass[84] / mass[0] == pytest.approx(0.5)


def test_two_cells_that_merge_weigh_their_sum_and_one_of_them_is_there_no_more():
    culture = with_one_kind("merge")
    for event in events(culture):
        rows = sorted((cell(culture, track) for track in event["track_id"]), key=lambda rows: rows["time_h"][-1])
        gone, merged = rows
        onset = event["onset_h"]
        assert gone["time_h"][-1] < onset <= gone["time_h"][-1] + STEP and merged["frame"].max() == 432
        assert mass_at(merged, onset, after=True) == pytest.approx(
            gone["dry_mass"][-1] + mass_at(merged, onset, after=False), rel=0.02
        )
        assert not daughters(culture, gone["track_id"][0]) and not daughters(culture, merged["track_id"][0])
        last = merged.filter(pl.col("time_h") < onset).row(-1, named=True)
        assert np.hypot(last["x_um"] - gone["x_um"][-1], last["y_um"] - gone["y_um"][-1]) < 40


def test_a_lineage_that_is_too_big_is_so_from_the_beginning_and_for_good():
    culture = with_one_kind("too_big", lineage_cv=0.0, homeostasis=0.6)
    big = culture.truth["lineage_id"].unique()
    means = culture.tracks.group_by("lineage_id").agg(pl.col("dry_mass").mean())
    is_big = means["lineage_id"].is_in(big.implode())
    assert means.filter(is_big)["dry_mass"].min() > 1.5 * means.filter(~is_big)["dry_mass"].max()
    assert (culture.truth["onset_h"] == 0).all() and big.len() == 20
    late = culture.tracks.filter(pl.col("time_h") > 60).group_by("lineage_id").agg(pl.col("dry_mass").mean())
    assert late.filter(late["lineage_id"].is_in(big.implode()))["dry_mass"].mean() > 600


def test_a_dead_cells_mass_falls_and_stays_and_it_moves_no_more():
    for culture, onset, _, rows in struck_cells("dead"):
        before, after = mass_at(rows, onset, after=False), rows.filter(pl.col("time_h") > onset + 6)
        if after.height:
            assert after["dry_mass"].to_numpy() == pytest.approx(before * DEAD_SHARE, rel=0.03)
        assert not daughters(culture, rows["track_id"][0])
        moved = rows.filter(pl.col("time_h") > onset).select(pl.col("x_um").diff().abs().mean()).item()
        assert moved < 0.5 * rows.filter(pl.col("time_h") < onset).select(pl.col("x_um").diff().abs().mean()).item()


def test_a_mass_that_oscillates_swings_about_its_growth():
    swings = []
    for culture, onset, _, rows in struck_cells("oscillates"):
        made = culture.cells.filter(pl.col("track_id") == rows["track_id"][0])
        age = (rows["time_h"].to_numpy() - made["birth_h"][0]) / made["cycle_h"][0]
        relative = rows["dry_mass"].to_numpy() / (made["birth_pg"][0] * 2**age) - 1
        assert np.allclose(relative[rows["time_h"].to_numpy() < onset], 0)
        swings.append(np.abs(relative).max())
    assert max(swings) == pytest.approx(SWING, rel=0.01) and np.median(swings) > 0.2


def test_an_identity_swap_exchanges_two_cells_and_their_descendants():
    culture = with_one_kind("identity_swap")
    jumps = []
    for event in events(culture):
        one, other = (cell(culture, track) for track in event["track_id"])
        onset = event["onset_h"]
        before = [mass_at(rows, onset, after=False) for rows in (one, other)]
        after = [mass_at(rows, onset, after=True) for rows in (one, other)]
        assert after == pytest.approx(before[::-1], rel=0.02)
        jumps.append(abs(np.log(after[0] / before[0])))
        for rows in (one, other):
            for daughter in daughters(culture, rows["track_id"][0]):
                assert daughter["dry_mass"][0] == pytest.approx(rows["dry_mass"][-1] / 2, rel=0.25)
                assert daughter["time_h"][0] - rows["time_h"][-1] == pytest.approx(STEP)
    assert np.median(jumps) > 0.2


def test_merged_outlines_give_one_cell_both_masses_and_leave_the_other_without_rows():
    culture = with_one_kind("merged_outlines")
    for event in events(culture):
        rows = [cell(culture, track) for track in event["track_id"]]
        onset, end = event["onset_h"], event["end_h"]
        within = pl.col("time_h").is_between(onset, end)
        rows.sort(key=lambda one: one.filter(within).height)
        absent, both = rows
        assert absent.filter(within).is_empty() and both.filter(within).height == pytest.approx((end - onset) * 6, abs=1)
        assert absent["time_h"][-1] > end
        assert mass_at(both, onset, after=True) == pytest.approx(
            mass_at(both, onset, after=False) + mass_at(absent, onset, after=False), rel=0.02
        )
        made, later = culture.cells.filter(pl.col("track_id") == both["track_id"][0]), both.filter(pl.col("time_h") > end)
        age = (later["time_h"][0] - made["birth_h"][0]) / made["cycle_h"][0]
        assert later["dry_mass"][0] == pytest.approx(made["birth_pg"][0] * 2**age)  # its own again


def test_a_gap_is_a_gap_in_the_series():
    for culture, onset, end, rows in struck_cells("gap"):
        assert rows.filter(pl.col("time_h").is_between(onset, end)).is_empty()
        assert rows["time_h"][0] < onset and rows["time_h"][-1] > end
        series = lineage_series(culture.tracks.filter(pl.col("lineage_id") == rows["lineage_id"][0])).table
        gap = series.filter(pl.col("gap"))
        assert gap["time_h"].min() >= onset and gap["time_h"].max() <= end
        assert gap["time_h"].n_unique() == pytest.approx((end - onset) * 6, abs=1)


def test_a_jump_is_another_object_for_a_while():
    for _, onset, end, rows in struck_cells("jump"):
        factor = mass_at(rows, onset, after=True) / mass_at(rows, onset, after=False)
        assert 0.28 < factor < 0.62 or 1.58 < factor < 2.55
        assert mass_at(rows, end + 1e-6, after=True) / mass_at(rows, onset, after=False) == pytest.approx(1, abs=0.1)
        around = rows.filter(pl.col("time_h").is_between(onset - STEP, onset + STEP))
        assert np.hypot(*(np.diff(around[axis].to_numpy())[0] for axis in ("x_um", "y_um"))) > 20


def test_saturation_caps_the_mass_and_is_flagged():
    for _, onset, end, rows in struck_cells("saturation"):
        within = rows.filter(pl.col("time_h").is_between(onset, end))
        assert within["saturated"].all() and rows["saturated"].sum() == within.height
        assert within["dry_mass"].max() <= SATURATED_AT * 1.02 * mass_at(rows, onset, after=False)


def test_a_cell_at_the_edge_is_seen_in_part_and_flagged():
    for _, onset, end, rows in struck_cells("edge"):
        within = rows.filter(pl.col("time_h").is_between(onset, end))
        assert within["at_edge"].all() and rows["at_edge"].sum() == within.height
        assert (within["x_um"] > 6390).all() and within["dry_mass"].min() < 0.6 * mass_at(rows, onset, after=False)
        # The cell comes from near the border, and goes on as it was.
        assert rows.filter(pl.col("time_h") < onset)["x_um"][-1] > 6300
        assert rows.filter(pl.col("time_h") > end)["dry_mass"][0] > 0.8 * mass_at(rows, onset, after=False)


def test_the_cultures_of_the_three_experiments_differ_as_they_should():
    base = replace(SOUND, founders=150, hours=48)
    cultures = simulate_cultures(base)
    cycle = {name: getattr(cultures, name).cells["cycle_h"] for name in ("same", "other", "altered")}
    mass = {name: getattr(cultures, name).tracks["dry_mass"].mean() for name in cycle}
    assert cultures.same.tracks.equals(simulate_culture(base).tracks)
    assert cycle["other"].mean() == pytest.approx(24, rel=0.05) and mass["other"] == pytest.approx(255, rel=0.05)
    assert cycle["altered"].mean() == pytest.approx(26, rel=0.05) and mass["altered"] == pytest.approx(300, rel=0.08)
    spread = {name: cycle[name].std() / cycle[name].mean() for name in cycle}
    assert spread["altered"] > 1.6 * spread["same"] and spread["other"] == pytest.approx(spread["same"], rel=0.15)
    assert len({getattr(cultures, name).tracks["Metadata_Timelapse"][0] for name in cycle}) == 3


@settings(max_examples=12)
@given(
    st.integers(0, 50), st.sampled_from([24.0, 48.0, 96.0]), st.sampled_from([6.0, 10.0, 20.0]), st.booleans(),
    st.sampled_from([0.0, 0.05]),
)  # fmt: skip
def test_any_timelapse_gives_tracks_a_series_can_be_made_of(seed, hours, minutes, linear, lost):
    culture = simulate_culture(
        CultureSettings(
            founders=12, hours=hours, interval_min=minutes, seed=seed, growth="linear" if linear else "exponential",
            lost_per_h=lost, biological=0.25, acquisition=0.25,
        )
    )  # fmt: skip
    found = lineage_series(culture.tracks).table
    assert set(found["path_id"]) >= set(culture.truth["path_id"])
    assert found["path_id"].n_unique() >= 12
    tracks = culture.tracks
    assert (tracks["dry_mass"].is_null() == (tracks["reasons"] != "")).all()


def test_ten_thousand_cells_over_72_hours_take_seconds():
    """Of the processor, not the clock: another program on the machine does not count."""
    start = time.process_time()
    culture = simulate_culture(CultureSettings(founders=420, hours=72))
    lineage_series(culture.tracks)
    assert culture.tracks["track_id"].n_unique() > 10_000
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"growth": "cubic"}, "growth='cubic'"),
        ({"founders": 0}, "founders=0"),
        ({"hours": 0}, "hours=0"),
        ({"noise_pg": -1}, "noise_pg=-1"),
        ({"homeostasis": 2}, "homeostasis=2"),
        ({"interval_min": 600}, "between two frames"),
        ({"biological": 0.4, "acquisition": 0.4}, "0.5 or less together"),
        ({"onset_from_h": 70}, "lower `onset_from_h`"),
    ],
)
def test_settings_that_make_no_culture_are_told(change, message):
    with pytest.raises(ValueError, match=message):
        CultureSettings(**change)


def test_a_kind_that_does_not_exist_is_told():
    with pytest.raises(ValueError, match="kinds=.*'explodes'.* there are asymmetric_division"):
        simulate_culture(CultureSettings(founders=10, kinds=("explodes",)))
