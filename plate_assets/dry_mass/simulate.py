"""A simulated time-lapse of a culture: the table of tracks as a microscope would give it, and the truth beside it.

Belongs here: rows, centres, areas and noise of the cells, the table of the truth, the cultures of the three experiments.
Not here: how cells grow and divide (`simulate_lineages`), what goes wrong with them (`simulate_anomalies`), pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from plate_assets.dry_mass.series import founders, path_members
from plate_assets.dry_mass.simulate_anomalies import (
    KINDS,
    NAMES,
    Events,
    Rows,
    choose,
    first_frame,
    masses,
    merge_masses,
    spoil,
    strike,
)
from plate_assets.dry_mass.simulate_lineages import CultureSettings, Growth, Population, factors, populate
from plate_assets.dry_mass.tables import CELL_TRACKS, LINEAGE, PATH, TIMELAPSE, TRACK
from plate_assets.dry_mass.track_tables import flagged
from plate_assets.storage.schema import Column, TableSchema

__all__ = ["SIMULATED_TRUTH", "CultureSettings", "Cultures", "SimulatedCulture", "simulate_culture", "simulate_cultures"]

SIMULATED_TRUTH = TableSchema(
    "simulated_truth",
    "One row for each anomaly of each path: a path through no anomaly has none.",
    (
        TIMELAPSE, LINEAGE, PATH, TRACK,
        Column("event", pl.Int32, "Number of the anomaly: one strikes all paths through its cell"),
        Column("cause", pl.String, "`biological` or `acquisition`"),
        Column("anomaly", pl.String, "Class: as a person's verdict on biology (division, …), or the error of the acquisition"),
        Column("kind", pl.String, f"What happens: one of {', '.join(NAMES)}"),
        Column("onset_h", pl.Float64, "When it begins, hours since the time-lapse began"),
        Column("end_h", pl.Float64, "When it has passed, hours; empty where it does not", nullable=True),
        Column("seen_h", pl.Float64, "Hours from the onset to the last frame of the path"),
    ),
    key=("path_id", "event"),
)  # fmt: skip

_AREA_UM2 = 600.0  # of an adherent cell of 300 pg
_AREA_POWER = 0.75  # a heavier cell is thicker too
_AREA_CV = 0.05
_ROUND_H = 0.7  # a cell rounds up so long before and after its division
_ROUND_SHARE = 0.45  # of its area
_MARGIN_UM = 40.0  # sound cells keep so far from the border
_APART_UM = 10.0  # centres of two daughters, and of two cells that are taken for one


@dataclass(frozen=True)
class SimulatedCulture:
    """One simulated time-lapse. `cells`: one row for each cell that was made, with its true figures, for checks of them."""

    settings: CultureSettings
    tracks: pl.DataFrame  # CELL_TRACKS
    truth: pl.DataFrame  # SIMULATED_TRUTH
    cells: pl.DataFrame  # track_id, birth_h, cycle_h, birth_pg, division_pg (empty where it does not divide)


@dataclass(frozen=True)
class Cultures:
    """The cultures of the three experiments of the paper, as settings differ between them."""

    same: SimulatedCulture  # experiment 1: train and test on it
    other: SimulatedCulture  # experiment 2: test on it what was trained on `same`; another doubling time and mass
    altered: SimulatedCulture  # experiment 3: as `same`, but cells divide out of time, as without their clock genes


def simulate_culture(settings: CultureSettings) -> SimulatedCulture:
    """CELL_TRACKS of a culture, with the truth. The same settings give the same tables."""
    rng = np.random.default_rng([settings.seed, 4])
    cells = populate(settings, rng)
    cells, events = strike(settings, rng, cells, choose(settings, rng, cells))
    growth = _growth(settings, cells)
    rows = _rows(settings, cells)
    rows.mass = masses(cells, growth, rows.cell, rows.hours)
    merge_masses(events, growth, rows)
    rows.area = _areas(settings, rng, cells, rows)
    rows.x, rows.y = _centres(settings, rng, cells, events, rows)
    spoil(settings, rng, events, rows)
    noise = settings.noise_pg * (np.maximum(rows.mass, 0) / 300.0) ** settings.noise_power
    rows.mass = rows.mass + noise * _noise(settings, rng, rows)
    tracks, track_of = _tracks(settings, cells, rows)
    truth = _truth(settings, cells, events, rows, tracks, track_of)
    return SimulatedCulture(settings, tracks, truth, _cell_table(settings, cells, growth, track_of))


def simulate_cultures(settings: CultureSettings | None = None) -> Cultures:
    """The three experiments of the paper from one culture.

    `other` doubles in 1.2 times the time and weighs 0.85 times as much, with other noise; `altered` divides in 1.3 times the
    time on average and twice as unevenly in time and in mass, with everything else as in `same`.
    """
    settings = settings or CultureSettings()
    other = replace(
        settings,
        timelapse=f"{settings.timelapse}-other",
        seed=settings.seed + 1,
        doubling_h=1.2 * settings.doubling_h,
        mass_pg=0.85 * settings.mass_pg,
        noise_pg=1.15 * settings.noise_pg,
    )
    altered = replace(
        settings,
        timelapse=f"{settings.timelapse}-altered",
        seed=settings.seed + 2,
        doubling_h=1.3 * settings.doubling_h,
        doubling_cv=2 * settings.doubling_cv,
        asymmetry=min(2 * settings.asymmetry, 0.15),
    )
    return Cultures(simulate_culture(settings), simulate_culture(other), simulate_culture(altered))


def _growth(settings: CultureSettings, cells: Population) -> Growth:
    """Masses at birth from mother to daughter: one round for each generation."""
    growth = Growth(settings.growth == "exponential", cells.birth, cells.cycle, np.ones(cells.size), np.ones(cells.size))
    for generation in range(int(cells.generation.max()) + 1):
        place = np.flatnonzero(cells.generation == generation)
        mother = cells.mother[place]
        before = masses(cells, growth, mother, cells.end[mother]) if generation else settings.birth_pg * cells.scale[place]
        growth.birth_pg[place] = cells.share[place] * before
        growth.factor[place] = factors(settings, cells, place, growth.birth_pg[place])
    return growth


def _rows(settings: CultureSettings, cells: Population) -> Rows:
    """A row for each cell in each frame from its birth on until before its end."""
    first = first_frame(settings, np.maximum(cells.birth, 0))
    after = np.minimum(first_frame(settings, np.minimum(cells.end, settings.hours + 1)), settings.frames)
    count = np.maximum(after - first, 0)
    start = np.cumsum(count) - count
    cell = np.repeat(np.arange(cells.size), count)
    frame = np.arange(cell.size) - start[cell] + first[cell]
    none, false = np.zeros(cell.size), np.zeros(cell.size, dtype=bool)
    return Rows(
        cell, frame, frame * settings.interval_h, first, start, cell, none, none, none, none, false, false.copy(), ~false
    )  # fmt: skip


def _areas(settings: CultureSettings, rng: np.random.Generator, cells: Population, rows: Rows) -> np.ndarray:
    """(r,) projected area, µm²: with the mass, less while a cell is round about its division."""
    born = np.where(cells.mother >= 0, cells.birth, -np.inf)[rows.cell]
    ends = np.where(cells.divides(settings.last_h), cells.end, np.inf)[rows.cell]
    near = np.minimum(rows.hours - born, ends - rows.hours)
    spread = 1 - (1 - _ROUND_SHARE) * np.clip(1 - near / _ROUND_H, 0, 1)
    shape = _AREA_UM2 * (rows.mass / 300.0) ** _AREA_POWER
    return shape * spread * np.exp(_AREA_CV * rng.standard_normal(rows.cell.size))


def _centres(
    settings: CultureSettings, rng: np.random.Generator, cells: Population, events: Events, rows: Rows
) -> tuple[np.ndarray, np.ndarray]:
    """(r,) centres, µm: random walks that stay in the field, daughters beside each other, cells that are mistaken near."""
    # The mean length of a step of a walk in the plane is its standard deviation along an axis times the root of π/2.
    deviation = settings.speed_um_h * settings.interval_h / np.sqrt(np.pi / 2)
    dead = (cells.kind == NAMES.index("dead"))[rows.cell] & (rows.hours >= cells.onset[rows.cell])
    has = np.bincount(rows.cell, minlength=cells.size) > 0
    last = rows.start + np.bincount(rows.cell, minlength=cells.size) - 1
    centres = []
    for side in settings.field_um:
        walk = np.cumsum(deviation * rng.standard_normal(rows.cell.size) * np.where(dead, 0.1, 1.0))
        begin = np.zeros(cells.size)
        begin[cells.mother < 0] = rng.uniform(0, side, settings.founders)
        beside = rng.uniform(-_APART_UM, _APART_UM, cells.size)
        moved = np.zeros(cells.size)
        moved[has] = walk[last[has]] - walk[rows.start[has]]
        for generation in range(1, int(cells.generation.max()) + 1):
            place = np.flatnonzero(cells.generation == generation)
            begin[place] = begin[cells.mother[place]] + moved[cells.mother[place]] + beside[place]
        centres.append(begin[rows.cell] + walk - walk[rows.start[rows.cell]])
    _bring_together(settings, cells, events, rows, centres, last)
    return _folded(centres[0], settings.field_um[0]), _folded(centres[1], settings.field_um[1])


def _bring_together(
    settings: CultureSettings, cells: Population, events: Events, rows: Rows, centres: list[np.ndarray], last: np.ndarray
) -> None:
    """Move the other cell's lineage to where it is mistaken, and a lineage to the border where one of its cells leaves."""

    def row(cell: np.ndarray, onset: np.ndarray) -> np.ndarray:
        return np.clip(rows.start[cell] + first_frame(settings, onset) - rows.first[cell], rows.start[cell], last[cell])

    pairs = events.select(events.partner >= 0)
    for values in centres:
        way = np.zeros(settings.founders)
        here, there = row(pairs.cell, pairs.onset), row(pairs.partner, pairs.onset)
        way[cells.founder[pairs.partner]] = values[here] - values[there] + _APART_UM / np.sqrt(2)
        values += way[cells.founder[rows.cell]]
    leaves = events.of("edge")
    way = np.zeros(settings.founders)
    way[cells.founder[leaves.cell]] = settings.field_um[0] - _MARGIN_UM - centres[0][row(leaves.cell, leaves.onset)]
    centres[0] += way[cells.founder[rows.cell]]


def _folded(values: np.ndarray, side: float) -> np.ndarray:
    """Walks that turn back at the margin of the field; two that are near stay near."""
    margin = min(_MARGIN_UM, side / 4)
    width = side - 2 * margin
    return margin + width - np.abs((values - margin) % (2 * width) - width)


def _noise(settings: CultureSettings, rng: np.random.Generator, rows: Rows) -> np.ndarray:
    """(r,) noise of standard deviation 1 within each cell: white, or forgotten by 1/e after the time that is asked for."""
    white = rng.standard_normal(rows.cell.size)
    if not settings.noise_correlation_h:
        return white
    from scipy.signal import lfilter

    kept = float(np.exp(-settings.interval_h / settings.noise_correlation_h))
    new = np.sqrt(1 - kept**2)
    heads = np.zeros(rows.cell.size, dtype=bool)
    heads[rows.start[rows.cell]] = True
    # One filter over all rows; what the cell before left behind is taken away again, so that each cell starts afresh.
    through = np.asarray(lfilter([1.0], [1.0, -kept], np.where(heads, 1.0, new) * white))
    before = np.concatenate([[0.0], through])[rows.start[rows.cell]]
    return through - before * kept ** (np.arange(rows.cell.size) - rows.start[rows.cell] + 1)


def _tracks(settings: CultureSettings, cells: Population, rows: Rows) -> tuple[pl.DataFrame, np.ndarray]:
    """CELL_TRACKS, and the track of each cell's last row (-1: it was in no frame)."""
    count = np.bincount(rows.cell, minlength=cells.size)
    track_of = np.full(cells.size, -1)
    track_of[count > 0] = rows.track[(rows.start + count - 1)[count > 0]]
    kept_tracks, track = np.unique(rows.track[rows.keep], return_inverse=True)
    number = np.full(cells.size, -1)
    number[kept_tracks] = np.arange(kept_tracks.size)
    mother = cells.mother[kept_tracks]  # a track begins as the cell whose place it is called by
    parent = np.where(mother < 0, -1, number[track_of[mother]])
    columns = {name: pl.Series(getattr(rows, name)[rows.keep]) for name in ("frame", "mass", "area", "x", "y", "hours")}
    table = pl.DataFrame(
        {
            "lineage_id": founders(parent)[track],
            "track_id": track,
            "parent_id": parent[track],
            "frame": columns["frame"],
            "time_h": columns["hours"],
            "x_um": columns["x"],
            "y_um": columns["y"],
            "area_um2": columns["area"],
            "dry_mass": columns["mass"],
            "at_edge": rows.at_edge[rows.keep],
            "saturated": rows.saturated[rows.keep],
        }
    ).with_columns(
        Metadata_Timelapse=pl.lit(settings.timelapse),
        unit=pl.lit("pg"),
        reasons=pl.lit(""),
        parent_id=pl.when(pl.col("parent_id") >= 0).then("parent_id"),
    )
    made = CELL_TRACKS.conform(flagged(table).sort("track_id", "frame"))
    return made, np.where(track_of < 0, -1, number[track_of])


def _truth(
    settings: CultureSettings, cells: Population, events: Events, rows: Rows, tracks: pl.DataFrame, track_of: np.ndarray
) -> pl.DataFrame:
    """Each event on each path through a track that it strikes."""
    beginning = np.arange(cells.size)  # the track that a cell begins in, by its place
    count = np.bincount(rows.cell, minlength=cells.size)
    struck = pl.DataFrame({"event": np.arange(events.kind.size), "cell": events.cell})
    partners = pl.DataFrame({"event": np.arange(events.kind.size), "cell": events.partner}).filter(pl.col("cell") >= 0)
    at_division = np.isin(events.kind, [NAMES.index("asymmetric_division"), NAMES.index("three_daughters")])
    daughters = pl.DataFrame({"mother": cells.mother, "cell": beginning}).filter(pl.Series(count > 0))
    born = struck.filter(pl.Series(at_division)).rename({"cell": "mother"}).join(daughters, on="mother").select("event", "cell")
    struck = pl.concat([struck.filter(pl.Series(~at_division)), partners, born])

    made = tracks.group_by("track_id").agg(
        pl.col("parent_id").first(), pl.col("lineage_id").first(), last=pl.col("time_h").max()
    ).sort("track_id")  # fmt: skip
    leaf, track = path_members(made["parent_id"].fill_null(-1).to_numpy())
    paths = pl.DataFrame({"path_id": leaf, "track_id": track})
    kinds = [KINDS[NAMES[code]] for code in events.kind]
    told = pl.DataFrame(
        {
            "event": np.arange(events.kind.size),
            "cause": pl.Series([kind.cause for kind in kinds], dtype=pl.String),
            "anomaly": pl.Series([kind.group for kind in kinds], dtype=pl.String),
            "kind": pl.Series([NAMES[code] for code in events.kind], dtype=pl.String),
            "onset_h": events.onset,
            "end_h": pl.Series(events.end).fill_nan(None),
        }
    )
    truth = (
        struck.with_columns(track_id=pl.Series(track_of[struck["cell"].to_numpy()]))
        .filter(pl.col("track_id") >= 0)
        .join(paths, on="track_id")
        .unique(["event", "path_id"], keep="first", maintain_order=True)
        .join(told, on="event")
        .join(made.select("lineage_id", path_id="track_id", last="last"), on="path_id")
        .with_columns(Metadata_Timelapse=pl.lit(settings.timelapse), seen_h=(pl.col("last") - pl.col("onset_h")).clip(0))
        .sort("path_id", "event")
    )
    return SIMULATED_TRUTH.conform(truth.drop("cell", "last"))


def _cell_table(settings: CultureSettings, cells: Population, growth: Growth, track_of: np.ndarray) -> pl.DataFrame:
    divides = cells.divides(settings.last_h)
    place = np.arange(cells.size)
    division = np.where(divides, masses(cells, growth, place, np.minimum(cells.end, settings.last_h)), np.nan)
    return pl.DataFrame(
        {
            "track_id": track_of,
            "birth_h": cells.birth,
            "cycle_h": cells.cycle,
            "birth_pg": growth.birth_pg,
            "division_pg": pl.Series(division, nan_to_null=True),
        }
    ).filter(pl.col("track_id") >= 0)
