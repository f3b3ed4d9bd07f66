"""Signs: what is usual is learnt robustly, sound cultures show none, and each anomaly shows its own, with its time."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.signs import SignRules, Signs, StepStatistics, find_signs
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.simulate_anomalies import KINDS
from plate_assets.dry_mass.windows import PathSeries
from tests.dry_mass.made_series import culture, path_rows, table_of

USUAL = StepStatistics(
    0.035, 0.03, 0.04, growth=((6.0, 0.2, 0.05), (16.0, 0.55, 0.08)), division_median=0.035, division_spread=0.05,
    cycle_median=20.0, cycle_spread=3.0,
)  # fmt: skip


def signs_of(series: PathSeries, steps: StepStatistics = USUAL, rules: SignRules | None = None, **more) -> Signs:
    nowhere = np.full(len(series), np.nan)
    return find_signs(series, np.ones(len(series), dtype=bool), nowhere, nowhere, steps, rules or SignRules(), **more)


def texts(found: list[list[tuple[float, str]]]) -> list[list[str]]:
    return [[text for _, text in path] for path in found]


def cells(*lengths: int, shares: tuple[float, ...] = (), hours: float = 20.0) -> dict:
    """A path through cells of so many points that double in so many hours; a daughter has her share of the mother, or half."""
    masses, last = [], 250.0
    for number, n in enumerate(lengths):
        masses.append(last * np.exp2(np.arange(n) / (6 * hours)))
        last = masses[-1][-1] * (shares[number] if number < len(shares) else 0.5)
    mass, ends = np.concatenate(masses), np.cumsum(lengths)
    tracks = np.repeat(np.arange(len(lengths)), lengths)
    return path_rows(
        mass, path=len(lengths) - 1, lineage=0, tracks=tracks, divides=np.isin(np.arange(len(mass)), ends[:-1] - 1)
    )


def flat(statistics: StepStatistics) -> list[float]:
    return [*np.ravel(statistics.growth), *(value for name, value in vars(statistics).items() if name != "growth")]


def test_growth_and_halving_division_show_nothing():
    found = signs_of(PathSeries.of(table_of(cells(100, 120, 110))))
    assert found.faults == found.biology == found.remarks == [[]] and np.isnan(found.first()).all()


def test_growth_that_stops_is_seen_over_hours_and_with_its_beginning():
    path = cells(280, hours=30)
    path["dry_mass"][120:] = path["dry_mass"][120]
    found = signs_of(PathSeries.of(table_of(path)), replace(USUAL, cycle_median=None))
    (text,) = texts(found.biology)[0]
    assert text.startswith("growth: × 1.00 in 16 h from ") and text.endswith("where × 1.73 is usual")
    assert 19 <= found.first()[0] <= 31


@pytest.mark.parametrize(("share", "said"), [(0.8, "0.80"), (0.2, "0.20"), (1 / 3, "0.33")])
def test_a_daughter_that_does_not_weigh_half_is_seen_at_her_division(share, said):
    found = signs_of(PathSeries.of(table_of(cells(100, 120, shares=(share,)))), replace(USUAL, growth=()))
    (text,) = texts(found.biology)[0]
    assert text.startswith(f"division: {said} of the mother's mass") and found.first()[0] == pytest.approx(99 / 6)


def test_three_daughters_are_seen_on_every_path_through_their_mother():
    paths = [cells(100, 100) for _ in range(3)]
    for number, path in enumerate(paths):
        path["path_id"][:] = 1 + number
        path["track_id"][100:] = 1 + number
    found = signs_of(PathSeries.of(table_of(*paths)))
    assert texts(found.biology) == [["division: into 3 at 16.5 h"]] * 3
    assert texts(signs_of(PathSeries.of(table_of(*paths[:2]))).biology) == [[], []]


def test_a_cell_that_does_not_divide_in_time_is_seen_when_it_should_have():
    found = signs_of(PathSeries.of(table_of(cells(60, 240, hours=40))), replace(USUAL, growth=()))
    assert texts(found.biology) == [["cycle: no division for 40 h at 49.8 h, where 20 h are usual"]]
    assert found.first()[0] == pytest.approx(10 + 20 + 5 * 3, abs=0.3)


def test_no_paths_one_point_and_a_division_at_the_very_end_show_nothing():
    ends = cells(60)
    ends["divides"][-1] = True
    for path in (cells(1), ends):
        assert signs_of(PathSeries.of(table_of(path))).biology == [[]]
    none = PathSeries.of(table_of(ends).clear())
    assert signs_of(none).first().size == 0
    fitted = StepStatistics.fit(none, np.zeros(0, dtype=bool))
    assert fitted.growth == () and fitted.cycle_median is None


def test_with_few_whole_cycles_nobody_knows_how_long_one_takes():
    few, many = (PathSeries.of(culture(n, 50, seed=1)) for n in (2, 20))
    fitted = [StepStatistics.fit(series, np.arange(len(series)) < 1000) for series in (few, many)]
    assert fitted[0].cycle_median is None or few.divides.sum() > 40
    assert fitted[1].cycle_median == pytest.approx(19, abs=2) and fitted[1].division_median == pytest.approx(0, abs=0.06)


@given(st.floats(0.01, 100), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_the_mass_and_the_other_paths_change_no_sign(factor, seed):
    table = culture(6, 45, seed=seed, biological=0.3, onset_from_h=10.0)
    series = PathSeries.of(table)
    steps = StepStatistics.fit(series, np.ones(len(series), dtype=bool))
    found = signs_of(series, steps)
    scaled = signs_of(PathSeries.of(table.with_columns(pl.col("dry_mass") * factor)), steps)
    assert texts(scaled.biology) == texts(found.biology) and texts(scaled.faults) == texts(found.faults)
    one = series.about["path_id"][len(series) // 2]
    lineage = table.filter(pl.col("lineage_id") == table.filter(path_id=one)["lineage_id"][0])
    alone = PathSeries.of(lineage)
    at = alone.about["path_id"].to_list().index(one)
    assert texts(signs_of(alone, steps).biology)[at] == texts(found.biology)[len(series) // 2]


@pytest.fixture(scope="module")
def usual() -> StepStatistics:
    """Learnt from a culture in which a tenth of the lineages went wrong, as it is in use."""
    series = PathSeries.of(lineage_series(simulate_culture(CultureSettings(founders=60, hours=55, seed=1)).tracks).table)
    return StepStatistics.fit(series, np.ones(len(series), dtype=bool))


def test_a_sound_culture_shows_next_to_no_signs(usual):
    series = PathSeries.of(culture(60, 55, seed=7))
    assert np.isfinite(signs_of(series, usual).first()).mean() < 0.02


@pytest.mark.parametrize(
    ("kind", "words", "least"),
    [
        ("gap", "gap: ", 0.95), ("edge", "edge: ", 0.95), ("saturation", "saturation: ", 0.95),
        ("merged_outlines", "jump: .* and back|gap: ", 0.9), ("jump", "jump: ", 0.9), ("merge", "jump that stays: ", 0.7),
        ("three_daughters", "division: into 3", 0.95), ("asymmetric_division", "division: 0", 0.7),
        ("shrinks", "growth: ", 0.7), ("growth_too_fast", "growth: ", 0.7),
    ],
)  # fmt: skip
def test_each_anomaly_shows_its_own_sign(usual, kind, words, least):
    biological = 0.4 * (KINDS[kind].cause == "biological")
    made = simulate_culture(CultureSettings(
        founders=50, hours=55, seed=6, kinds=(kind,), biological=biological, acquisition=0.4 - biological
    ))  # fmt: skip
    series = PathSeries.of(lineage_series(made.tracks).table)
    found = signs_of(series, usual, tracks=made.tracks)
    told = pl.DataFrame({
        "path_id": series.about["path_id"],
        "said": pl.Series(["; ".join(a + b) for a, b in zip(texts(found.faults), texts(found.biology), strict=True)]),
    })  # fmt: skip
    seen = made.truth.filter(pl.col("seen_h") >= 12)
    struck = told.filter(pl.col("path_id").is_in(seen["path_id"].implode()))
    assert struck.height >= 6 and struck["said"].str.contains(words).to_numpy().mean() >= least


def test_statistics_are_of_the_chosen_paths_and_an_outlier_does_not_move_them():
    table = culture(12, 45, seed=3)
    series = PathSeries.of(table)
    chosen = np.arange(len(series)) % 2 == 0
    fitted = StepStatistics.fit(series, chosen)
    others = np.repeat(~chosen, np.diff(series.offsets))[:, None]
    spoilt = np.where(others, series.values * np.random.default_rng(0).uniform(1, 3, series.values.shape), series.values)
    same = StepStatistics.fit(PathSeries(**{**vars(series), "values": spoilt}), chosen)
    assert flat(same) == pytest.approx(flat(fitted))
    struck = series.values.copy()
    struck[series.offsets[0] + 60 : series.offsets[0] + 66] *= 5
    moved = StepStatistics.fit(PathSeries(**{**vars(series), "values": struck}), chosen)
    assert moved.jump_spread == pytest.approx(fitted.jump_spread, rel=0.05)
    # A culture that doubles in 20 h grows by ln 2 / 20 of the logarithm in an hour.
    assert fitted.jump_median == pytest.approx(np.log(2) / 20, abs=0.01)
