"""Series by lineage: nothing is bridged in silence, nothing mixes a mother with her daughters."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.series import NEAR, founders, frame_interval, lineage_series, path_members
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import CELL_TRACKS, DRY_MASS_SERIES
from plate_assets.dry_mass.track_tables import TrackFile, read_track_table


def track(number: int, times: np.ndarray, mass: np.ndarray | float, parent: int | None = None, **columns) -> pl.DataFrame:
    times = np.asarray(times, dtype=float)
    return pl.DataFrame(
        {
            "track_id": np.full(times.size, number),
            "time_h": times,
            "frame": np.rint(times * 60).astype(int),
            "dry_mass": pl.Series(np.broadcast_to(mass, times.shape).astype(float)).fill_nan(None),
            **columns,
        }
    ).with_columns(parent_id=pl.lit(parent, dtype=pl.Int64))


def tracks(*cells: pl.DataFrame, **columns) -> pl.DataFrame:
    table = pl.concat(cells, how="diagonal").with_columns(
        Metadata_Timelapse=pl.lit("time-lapse"), lineage_id=pl.lit(0), unit=pl.lit("pg"), at_edge=False, saturated=False,
        reasons=pl.lit(""), **columns,
    )  # fmt: skip
    return CELL_TRACKS.conform(table)


def every(minutes: float, first: int, n: int) -> np.ndarray:
    return (first + np.arange(n)) * minutes / 60


def of_path(series: pl.DataFrame, path: int) -> pl.DataFrame:
    return series.filter(pl.col("path_id") == path)


def test_a_timelapse_on_the_grid_is_its_own_series():
    mass = np.random.default_rng(0).normal(300, 35, 300)
    found = lineage_series(tracks(track(7, every(10, 0, 300), mass)))
    assert found.table["dry_mass"].to_list() == mass.tolist()
    assert found.table.height == 300  # 50 h
    assert found.table["point"].to_list() == list(range(300)) and not found.table["gap"].any()
    assert found.interval_h == pytest.approx(1 / 6) and found.max_gap_h == pytest.approx(0.25)


@pytest.mark.parametrize("minutes", [3.5, 6.0, 20.0])
def test_a_timelapse_denser_or_sparser_than_the_grid_is_interpolated_linearly_and_it_is_said(minutes):
    times = np.arange(0, 40, minutes / 60)
    mass = np.random.default_rng(1).normal(300, 35, times.size)
    found = lineage_series(tracks(track(0, times, mass)))
    grid = found.table["time_h"].to_numpy()
    assert np.allclose(np.diff(grid), 1 / 6) and grid[-1] > times[-1] - 1 / 6
    expected = np.interp(grid, times, mass)
    away, found_mass = np.abs(grid[:, None] - times).min(axis=1) * 6, found.table["dry_mass"].to_numpy()
    assert np.allclose(found_mass[away > NEAR + 1e-6], expected[away > NEAR + 1e-6])
    assert np.isin(found_mass[away < NEAR - 1e-6], mass).all()
    assert ("more" if minutes < 10 else "fewer") in found.remarks[0] and f"{minutes:g} min" in found.remarks[0]


def test_one_frame_missing_from_a_ten_minute_timelapse_is_a_gap_of_one_point():
    times = np.delete(every(10, 0, 200), 50)
    found = lineage_series(tracks(track(0, times, 300.0))).table
    assert found.filter("gap")["point"].to_list() == [50]
    assert found.filter("gap").select("dry_mass", "area_um2", "speed_um_h").null_count().row(0) == (1, 1, 1)
    assert not lineage_series(tracks(track(0, times, 300.0)), max_gap_h=0.34).table["gap"].any()


@pytest.mark.parametrize(("missing", "bridged"), [(1, True), (2, False)])
def test_a_six_minute_timelapse_is_bridged_over_twelve_minutes_and_not_over_eighteen(missing, bridged):
    times = np.delete(every(6, 0, 200), np.arange(101, 101 + missing))
    gap = lineage_series(tracks(track(0, times, times))).table["gap"]
    assert gap.any() != bridged


def test_a_frame_missing_from_a_twenty_minute_timelapse_is_a_gap_and_the_timelapse_itself_is_none():
    found = lineage_series(tracks(track(0, np.delete(every(20, 0, 100), 40), 300.0))).table
    assert found.filter("gap")["point"].to_list() == [79, 80, 81]


def test_a_row_without_a_mass_is_a_gap_in_the_mass_alone():
    mass = np.full(200, 300.0)
    mass[[0, 60, 199]] = np.nan
    found = lineage_series(tracks(track(0, every(10, 0, 200), mass, area_um2=np.full(200, 500.0)))).table
    assert found.filter("gap")["point"].to_list() == [0, 60, 199]
    assert (found["area_um2"] == 500.0).all()


@pytest.mark.parametrize("minutes", [6.0, 10.0, 20.0])
def test_no_point_mixes_a_mother_with_her_daughter(minutes):
    mother, first = every(minutes, 0, 61), every(minutes, 61, 60)
    found = lineage_series(tracks(track(0, mother, 400.0), track(1, first, 200.0, 0), track(2, first, 190.0, 0))).table
    assert set(found["dry_mass"]) == {400.0, 200.0, 190.0} and not found["gap"].any()
    assert found["path_id"].unique().sort().to_list() == [1, 2]
    for path, mass in ((1, 200.0), (2, 190.0)):
        one = of_path(found, path)
        assert one["dry_mass"].to_list() == [400.0 if cell == 0 else mass for cell in one["track_id"]]
        assert one.filter("divides")["point"].to_list() == [(one["track_id"] == 0).sum() - 1]
        turn = one.filter("divides")["time_h"][0]
        assert abs(turn - mother[-1]) <= minutes / 120 + 1e-9


def test_a_daughter_found_late_leaves_a_gap_of_hers_and_the_division_stays_where_the_mother_ends():
    found = lineage_series(tracks(track(0, every(10, 0, 100), 400.0), track(1, every(10, 120, 100), 200.0, 0))).table
    assert found.filter("gap")["point"].to_list() == list(range(100, 120))
    assert found.filter("gap")["track_id"].unique().to_list() == [1]
    assert found.filter("divides")["point"].to_list() == [99]


def test_there_is_one_path_for_each_last_descendant_and_sisters_share_the_mothers_points():
    cells = [track(0, every(10, 0, 60), 300.0), track(9, every(10, 5, 30), 100.0)]
    cells += [track(n, every(10, 60, 60), 150.0 + n, 0) for n in (1, 2, 3)]
    cells += [track(n, every(10, 120, 60), 70.0 + n, 2) for n in (4, 5)]
    found = lineage_series(tracks(*cells)).table
    paths = {path[0]: one["track_id"].unique(maintain_order=True).to_list() for path, one in found.group_by("path_id")}
    assert paths == {1: [0, 1], 3: [0, 3], 4: [0, 2, 4], 5: [0, 2, 5], 9: [9]}
    assert of_path(found, 4).filter("divides")["track_id"].to_list() == [0, 2]
    assert of_path(found, 9)["lineage_id"].unique().to_list() == [9]
    shared = found.select("track_id", "time_h", "dry_mass").unique()
    assert not shared.select("track_id", "time_h").is_duplicated().any()


@pytest.mark.parametrize(("points", "enough"), [(179, False), (180, True)])
def test_thirty_hours_are_180_points_and_the_path_counts_from_its_founder(points, enough):
    mother, daughter = track(0, every(10, 0, 100), 300.0), track(1, every(10, 100, points - 100), 150.0, 0)
    found = lineage_series(tracks(mother, daughter)).table
    assert found.height == points and (found["long_enough"] == enough).all()


def test_the_speed_is_the_way_of_the_centre_and_a_division_is_no_way():
    first, later = every(10, 0, 60), every(10, 60, 60)
    mother = track(0, first, 300.0, x_um=9.0 * first, y_um=12.0 * first)
    daughter = track(1, later, 150.0, 0, x_um=500 + 3.0 * later, y_um=np.full(60, 80.0))
    found = lineage_series(tracks(mother, daughter)).table
    speed = {cell[0]: one["speed_um_h"].to_numpy() for cell, one in found.group_by("track_id")}
    assert np.allclose(speed[0], 15.0) and np.allclose(speed[1], 3.0)


def test_times_rounded_to_two_decimals_lose_no_point():
    times = np.round(every(10, 0, 290), 2)
    mass = np.arange(290.0) + 1
    found = lineage_series(tracks(track(0, times[:150], mass[:150]), track(1, times[150:], mass[150:], 0))).table
    assert found["dry_mass"].to_list() == mass.tolist()


def test_the_grid_begins_with_the_timelapse_and_not_with_each_cell():
    found = lineage_series(tracks(track(0, every(10, 0, 30) + 0.07, 300.0), track(1, every(6, 20, 30) + 0.07, 300.0))).table
    steps = (found["time_h"].to_numpy() - 0.07) * 6
    assert np.allclose(steps, np.rint(steps))


def test_a_table_without_rows_and_a_cell_of_one_frame_are_series_too():
    empty = lineage_series(CELL_TRACKS.empty())
    assert DRY_MASS_SERIES.check(empty.table).is_empty() and "not known" in empty.remarks[0]
    one = lineage_series(tracks(track(3, np.array([5.0]), 300.0))).table
    assert one.select("path_id", "dry_mass", "speed_um_h", "long_enough").row(0) == (3, 300.0, None, False)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([track(1, every(10, 0, 5), 1.0, 8)], "track 1 has the mother 8 without a row: add her rows"),
        ([track(1, every(10, 0, 5), 1.0, 1)], "among its own ancestors"),
        ([track(1, every(10, 0, 5), 1.0, 2), track(2, every(10, 0, 5), 1.0, 1)], "among its own ancestors"),
        ([track(0, every(10, 0, 9), 1.0), track(1, every(10, 5, 5), 1.0, 0)], "begins at 0.833333 h, before its mother 0 ends"),
    ],
)
def test_what_no_series_can_be_made_of_is_an_error(cells, message):
    with pytest.raises(ValueError, match=message):
        lineage_series(tracks(*cells))


def test_two_timelapses_or_two_units_are_no_one_series_and_parameters_are_checked():
    both = tracks(track(0, every(10, 0, 5), 1.0))
    for column in ("Metadata_Timelapse", "unit"):
        two = pl.concat([both, both.with_columns(pl.lit("relative").alias(column), track_id=pl.lit(1, dtype=pl.Int64))])
        with pytest.raises(ValueError, match="one at a time"):
            lineage_series(two)
    with pytest.raises(ValueError, match="step_min=0"):
        lineage_series(both, step_min=0)
    with pytest.raises(ValueError, match="max_gap_h=-1"):
        lineage_series(both, max_gap_h=-1)


def made_lineages(seed: int, regular: bool) -> pl.DataFrame:
    """A few random lineages: irregular or regular times, frames and masses missing, daughters found early or late."""
    rng = np.random.default_rng(seed)
    minutes = float(rng.choice([4, 6, 10, 15, 20, 25]))
    waiting, cells = [(None, rng.uniform(0, 1)) for _ in range(rng.integers(1, 4))], []
    while waiting and len(cells) < 12:
        parent, begin = waiting.pop(0)
        n = int(rng.integers(1, 14))
        steps = np.full(n, minutes) if regular else rng.uniform(2, 45, n)
        times = begin + np.cumsum(steps) / 60
        keep = (rng.random(n) > 0.2) | (np.arange(n) == 0)
        mass = np.where(rng.random(n) < 0.15, np.nan, rng.uniform(100, 500, n))
        cells.append(track(len(cells), times[keep], mass[keep], parent))
        last = times[keep][-1]
        waiting += [(len(cells) - 1, last + rng.choice([0, 0.05, 0.6])) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
    table = pl.concat(cells).with_columns(frame=pl.int_range(pl.len()))
    return tracks(table)


def by_hand(table: pl.DataFrame, step_h: float, max_gap: float) -> dict[tuple[int, int], tuple[int, float | None]]:
    """{(path, number on the grid): (track, mass)}, point by point: the rules as sentences."""
    start = table["time_h"].min()
    rows = {
        name[0]: [((t - start) / step_h, m) for t, m in one.sort("time_h").select("time_h", "dry_mass").iter_rows()]
        for name, one in table.group_by("track_id")
    }
    mother = {name[0]: one["parent_id"][0] for name, one in table.group_by("track_id")}
    reach = max_gap / step_h

    def turn(cell: int) -> int:
        """The mother's last point on this daughter's path."""
        last, first = rows[mother[cell]][-1][0], rows[cell][0][0]
        return int(np.floor(min((last + first) / 2, last + reach / 2) + NEAR))

    def mass(cell: int, point: int) -> float | None:
        known = [(u, m) for u, m in rows[cell] if m is not None]
        before, after = [row for row in known if row[0] <= point + NEAR], [row for row in known if row[0] > point + NEAR]
        if before and before[-1][0] >= point - NEAR:
            return before[-1][1]
        if before and after:
            (u, m), (v, n) = before[-1], after[0]
            return m + (n - m) * (point - u) / (v - u) if v - u <= reach + NEAR else None
        u, m = (before[-1] if before else after[0]) if known else (np.inf, None)
        return m if abs(point - u) <= reach / 2 + NEAR else None

    found = {}
    for leaf in set(rows) - set(mother.values()):
        chain = [leaf]
        while mother[chain[0]] is not None:
            chain.insert(0, mother[chain[0]])
        for place, cell in enumerate(chain):
            begin = turn(cell) + 1 if place else int(np.ceil(rows[cell][0][0] - NEAR))
            end = turn(chain[place + 1]) if cell != leaf else int(np.floor(rows[cell][-1][0] + NEAR))
            found |= {(leaf, point): (cell, mass(cell, point)) for point in range(begin, end + 1)}
    return found


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([5.0, 10.0, 25.0]), st.sampled_from([0.21, 0.53, 1.07]))
def test_any_lineages_become_what_the_rules_say_point_by_point(seed, regular, step_min, max_gap):
    table = made_lineages(seed, regular)
    series = lineage_series(table, step_min=step_min, max_gap_h=max_gap).table
    start = table["time_h"].min()
    number = np.rint((series["time_h"].to_numpy() - start) * 60 / step_min).astype(int)
    found = {
        (path, int(point)): (cell, mass)
        for path, point, cell, mass in zip(series["path_id"], number, series["track_id"], series["dry_mass"], strict=True)
    }
    expected = by_hand(table, step_min / 60, max_gap)
    assert found.keys() == expected.keys()
    for key, (cell, mass) in expected.items():
        assert found[key][0] == cell
        assert found[key][1] == (pytest.approx(mass) if mass is not None else None), key
    assert (series["gap"] == series["dry_mass"].is_null()).all()


@given(st.lists(st.integers(-1, 30), max_size=30))
def test_founders_are_found_and_circles_too(links):
    parent = np.array([link if link < len(links) else -1 for link in links], dtype=np.int64)
    expected = []
    for place in range(parent.size):
        seen = {place}
        while parent[place] >= 0 and parent[place] not in seen:
            place = int(parent[place])
            seen.add(place)
        expected.append(place if parent[place] < 0 else -1)
    assert founders(parent).tolist() == expected
    if -1 not in expected:
        leaf, cell = path_members(parent)
        assert set(leaf.tolist()) == set(range(parent.size)) - set(parent.tolist())
        pairs = list(zip(leaf.tolist(), cell.tolist(), strict=True))
        for (path, above), (other, below) in zip(pairs, pairs[1:], strict=False):
            assert parent[below] == above if path == other else parent[below] < 0


def test_lineages_do_not_change_each_other_however_many_are_made_at_once():
    """More points than are made at once."""
    culture = simulate_culture(CultureSettings(founders=250, hours=72, seed=5))
    whole = lineage_series(culture.tracks).table
    assert whole.height > 1_000_000
    for lineage in (0, 100, 249):
        alone = lineage_series(culture.tracks.filter(pl.col("lineage_id") == lineage)).table
        if culture.tracks.filter(pl.col("lineage_id") == lineage)["time_h"].min() == 0:
            assert whole.filter(pl.col("lineage_id") == lineage).equals(alone)
    assert not whole.select("path_id", "point").is_duplicated().any()


def test_the_interval_of_a_timelapse_is_the_median_and_gaps_do_not_change_it():
    times = np.delete(every(6, 0, 200), [50, 51, 52])
    assert frame_interval(tracks(track(0, times, 1.0))) == pytest.approx(0.1)
    assert np.isnan(frame_interval(tracks(track(0, np.array([0.0]), 1.0))))


def test_real_traces_with_a_point_every_other_minute_keep_their_gaps(real_data):
    """Buoyant masses of lymphoblasts: of no use as dry mass, so `relative`; a lineage is one long track here."""
    path = real_data / "l1210-buoyant-mass/mass_traces_long.csv"
    names = {"experiment": "track_id", "buoyant_mass_pg": "dry_mass_relative"}
    trace = pl.read_csv(path).rename(names).with_columns(parent_id=pl.lit(None, dtype=pl.String))
    read = read_track_table(TrackFile(path.name, trace.write_csv().encode()), "l1210")
    assert read.tracks.height == 24_022 and read.tracks["track_id"].n_unique() == 7 and read.remarks == ()
    series = lineage_series(read.tracks)
    assert series.interval_h * 60 < 2 and series.max_gap_h == pytest.approx(0.25)
    long = series.table.group_by("path_id").agg(pl.col("long_enough").first())
    assert long["long_enough"].sum() == 4  # four of the seven experiments are longer than 30 h
    assert int(series.table["gap"].sum()) == 7  # points in the pauses of more than 15 min
    start = read.tracks["time_h"].min()
    for number, one in series.table.group_by("path_id"):
        rows = read.tracks.filter(pl.col("track_id") == number[0])
        times, mass = rows["time_h"].to_numpy(), rows["dry_mass"].to_numpy()
        grid, found = one["time_h"].to_numpy(), one["dry_mass"].to_numpy()
        after = np.clip(np.searchsorted(times, grid), 1, times.size - 1)
        near = np.minimum(np.abs(times[after] - grid), np.abs(times[after - 1] - grid)) * 6 < NEAR
        bridged = near | (times[after] - times[after - 1] <= 0.25)
        assert (np.isnan(found) == ~bridged).all()
        known = ~np.isnan(found)
        assert np.abs(found - np.interp(grid, times, mass))[known & ~near].max(initial=0) < 1e-6
        assert np.abs(grid - start - np.rint((grid - start) * 6) / 6).max() < 1e-9
