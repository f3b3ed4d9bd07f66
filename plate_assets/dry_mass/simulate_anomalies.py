"""What goes wrong in a simulated culture, with its onset: in cells (biological) and in their measurement (acquisition).

Belongs here: which lineages are struck, by what and when, and what it does to cells, masses and rows. Not here: sound cells
(`simulate_lineages`), the time-lapse and the table of the truth (`simulate`).
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.dry_mass.simulate_lineages import (
    LATEST_ONSET_H,
    CultureSettings,
    Growth,
    Population,
    daughters_of,
    joined,
    with_descendants,
)


@dataclass(frozen=True)
class Kind:
    """One thing that goes wrong. `within` is when in a cycle it may begin, as shares of it; `lasts_h` for what passes.

    arrests: the cell divides no more. paired: another lineage's cell is part of it. at_division: it begins when a cell divides.
    """

    cause: str
    group: str
    within: tuple[float, float] = (0.0, 1.0)
    lasts_h: tuple[float, float] | None = None
    arrests: bool = False
    paired: bool = False
    at_division: bool = False


KINDS = {
    "asymmetric_division": Kind("biological", "division", at_division=True),
    "three_daughters": Kind("biological", "division", at_division=True),
    "mitotic_slip": Kind("biological", "division", at_division=True, arrests=True),
    "growth_stops": Kind("biological", "growth", (0.1, 0.6), arrests=True),
    "growth_too_fast": Kind("biological", "growth", (0.05, 0.3)),
    "shrinks": Kind("biological", "growth", (0.1, 0.6), arrests=True),
    "merge": Kind("biological", "merge", (0.1, 0.9), arrests=True, paired=True),
    "too_big": Kind("biological", "too_big"),
    "dead": Kind("biological", "dead", (0.1, 0.9), arrests=True),
    "oscillates": Kind("biological", "other", (0.05, 0.5)),
    "identity_swap": Kind("acquisition", "identity_swap", paired=True),
    "merged_outlines": Kind("acquisition", "merged_outlines", lasts_h=(1.0, 6.0), paired=True),
    "gap": Kind("acquisition", "gap", lasts_h=(1.0, 6.0)),
    "jump": Kind("acquisition", "jump", lasts_h=(0.5, 2.0)),
    "saturation": Kind("acquisition", "saturation", lasts_h=(4.0, 10.0)),
    "edge": Kind("acquisition", "edge", lasts_h=(3.0, 8.0)),
}
NAMES = tuple(KINDS)
CODE = {name: code for code, name in enumerate(NAMES)}

LARGER_SHARE = 0.8  # of the mass, for one daughter of an asymmetric division
FAST = 3.0  # growth that is too fast, over the normal rate
SHRINKS_TO_HALF_H = 14.0
LEAST_LEFT = 0.3  # of the mass, where a cell shrinks
DEAD_SHARE, DEAD_WITHIN_H = 0.35, 1.0  # what stays of a dead cell's mass, and how fast the rest goes
TOO_BIG = (2.5, 3.5)  # times the mass of the culture's cells
SWING, PERIOD_H = 0.25, 5.0  # of a mass that oscillates
SATURATED_AT = 0.75  # of the mass at the onset: no more is seen
JUMP_UM = (30.0, 80.0)


@dataclass(frozen=True)
class Events:
    """What goes wrong, (e,) each: code of its kind, the cell it strikes (place), the other cell (-1: none), hours."""

    kind: np.ndarray
    cell: np.ndarray
    partner: np.ndarray
    onset: np.ndarray
    end: np.ndarray  # NaN where it does not pass

    def of(self, *names: str) -> "Events":
        return self.select(np.isin(self.kind, [CODE[name] for name in names]))

    def select(self, keep: np.ndarray) -> "Events":
        return Events(*(getattr(self, name)[keep] for name in ("kind", "cell", "partner", "onset", "end")))


@dataclass
class Rows:
    """The rows of the time-lapse, (r,) each, cell by cell in the order of time; `first` and `start` (cells,): frame and row."""

    cell: np.ndarray
    frame: np.ndarray
    hours: np.ndarray
    first: np.ndarray
    start: np.ndarray
    track: np.ndarray
    mass: np.ndarray
    area: np.ndarray
    x: np.ndarray
    y: np.ndarray
    at_edge: np.ndarray
    saturated: np.ndarray
    keep: np.ndarray

    def at(self, cell: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(m,) row of each cell in each frame; the cell has to be there."""
        return self.start[cell] + frame - self.first[cell]


def choose(settings: CultureSettings, rng: np.random.Generator, cells: Population) -> Events:
    """Deal the kinds evenly to the lineages that are struck, one to each, and choose cell, time and partner in each.

    A lineage in which no cell can be struck in time (lost early, a short time-lapse) is left sound.
    """
    if unknown := sorted(set(settings.kinds) - KINDS.keys()):
        raise ValueError(f"kinds={unknown}: there are {', '.join(NAMES)}")
    lineages = rng.permutation(settings.founders)
    dealt, taken = np.full(settings.founders, -1), 0
    for cause in ("biological", "acquisition"):
        names = [name for name in NAMES if KINDS[name].cause == cause and (not settings.kinds or name in settings.kinds)]
        n = round(getattr(settings, cause) * settings.founders) if names else 0
        dealt[lineages[taken : taken + n]] = rng.permutation(np.resize([CODE[name] for name in names], n))
        taken += n
    found = [_struck(settings, rng, cells, code, dealt) for code in range(len(NAMES))]
    kind, cell, onset, end = (np.concatenate([part[column] for part in found]) for column in range(4))
    events = Events(kind, cell, np.full(kind.size, -1), onset, end)
    return _paired(settings, rng, cells, events, lineages[taken:])


def _struck(settings: CultureSettings, rng: np.random.Generator, cells: Population, code: int, dealt: np.ndarray) -> tuple:
    """Code, cell, onset and end for one kind: one cell of each lineage that it was dealt to."""
    kind = KINDS[NAMES[code]]
    ends = np.minimum(cells.end, settings.last_h)
    lasts = rng.uniform(*kind.lasts_h, cells.size) if kind.lasts_h else np.zeros(cells.size)
    room = 2 * settings.interval_h  # rows before and after
    if kind.at_division:
        early = late = np.where(cells.divides(settings.last_h), cells.end, np.nan)
    else:
        early = np.maximum(cells.birth, 0) + room if kind.cause == "acquisition" else cells.birth + kind.within[0] * cells.cycle
        late = np.minimum(cells.birth + kind.within[1] * cells.cycle, ends - lasts - room)
    early = np.maximum(early, settings.onset_h) if not kind.at_division else np.where(early >= settings.onset_h, early, np.nan)
    late = np.minimum(late, settings.last_h - LATEST_ONSET_H)
    if NAMES[code] == "too_big":
        early = late = np.where(cells.mother < 0, 0.0, np.nan)
    able = (dealt[cells.founder] == code) & (early <= late)
    place = np.flatnonzero(able)
    place = place[np.lexsort((rng.random(place.size), cells.founder[place]))]
    place = place[np.unique(cells.founder[place], return_index=True)[1]]
    onset = rng.uniform(early[place], late[place])
    end = onset + lasts[place] if kind.lasts_h else np.full(place.size, np.nan)
    return np.full(place.size, code), place, onset, end


def _paired(settings: CultureSettings, rng: np.random.Generator, cells: Population, events: Events, free: np.ndarray) -> Events:
    """A cell of a sound lineage of its own beside each event that takes two; events without one are left out.

    A swap takes the one whose age differs most, so that the masses differ too.
    """
    paired = np.array([KINDS[NAMES[code]].paired for code in events.kind], dtype=bool)
    pairs = np.flatnonzero(paired)[: free.size]
    event_of = np.full(settings.founders, -1)
    event_of[free[: pairs.size]] = pairs
    event = event_of[cells.founder]
    place = np.flatnonzero(event >= 0)
    room = 2 * settings.interval_h
    since, until = np.maximum(cells.birth, 0) + room, np.minimum(cells.end, settings.last_h) - room
    needed = np.where(np.isnan(events.end), events.onset, events.end)[event[place]]
    place = place[(since[place] <= events.onset[event[place]]) & (until[place] >= needed)]
    at = event[place]
    age = (events.onset[at] - cells.birth[place]) / cells.cycle[place]
    own = (events.onset[at] - cells.birth[events.cell[at]]) / cells.cycle[events.cell[at]]
    swap = events.kind[at] == CODE["identity_swap"]
    rank = np.where(swap, -np.abs(age - own), rng.random(place.size))
    place = place[np.lexsort((rank, at))]
    found, first = np.unique(event[place], return_index=True)
    partner = np.full(events.kind.size, -1)
    partner[found] = place[first]
    chosen = Events(events.kind, events.cell, partner, events.onset, events.end)
    return chosen.select(~paired | (partner >= 0))


def strike(settings: CultureSettings, rng: np.random.Generator, cells: Population, events: Events) -> tuple[Population, Events]:
    """The cells after the biological events: who divides no more has no descendants, a third daughter has her own."""
    kind, onset, arrested, until = cells.kind.copy(), cells.onset.copy(), cells.arrested.copy(), cells.until.copy()
    kind[events.cell], onset[events.cell] = events.kind, events.onset
    arrested[events.cell] = [KINDS[NAMES[code]].arrests for code in events.kind]
    merges = events.of("merge")
    until[merges.partner] = merges.onset
    scale = cells.scale.copy()
    big = np.isin(cells.founder, cells.founder[events.of("too_big").cell])
    scale[big] *= rng.uniform(*TOO_BIG, settings.founders)[cells.founder[big]]
    cells = cells.changed(kind=kind, onset=onset, arrested=arrested, until=until, scale=scale)

    share = cells.share.copy()
    mothers = events.of("asymmetric_division").cell
    first, second = _pairs(cells, mothers)
    larger = rng.random(mothers.size) < 0.5
    share[first] = np.where(larger, LARGER_SHARE, 1 - LARGER_SHARE)
    share[second] = 1 - share[first]
    mothers = events.of("three_daughters").cell
    for daughters in _pairs(cells, mothers):
        share[daughters] = 1 / 3
    cells = cells.changed(share=share)
    if mothers.size:
        born = daughters_of(settings, rng, cells, mothers)
        more = with_descendants(settings, rng, born.changed(mother=np.full(mothers.size, -1)))
        own = np.where(more.mother < 0, 0, more.mother + cells.size)
        own[: mothers.size] = mothers
        cells = joined([cells, more.changed(mother=own)])

    keep = np.ones(cells.size, dtype=bool)
    goes_on = cells.divides(settings.last_h)
    for generation in range(1, int(cells.generation.max()) + 1):
        place = np.flatnonzero(cells.generation == generation)
        keep[place] = keep[cells.mother[place]] & goes_on[cells.mother[place]]
    moved = np.cumsum(keep) - 1
    partner = np.where(events.partner < 0, -1, moved[events.partner])
    return cells.select(keep), Events(events.kind, moved[events.cell], partner, events.onset, events.end)


def _pairs(cells: Population, mothers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two daughters of each mother: they stand side by side."""
    order = np.argsort(cells.mother, kind="stable")
    first = order[np.searchsorted(cells.mother[order], mothers)]
    return first, first + 1


def masses(cells: Population, growth: Growth, cell: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """(m,) mass of the cells (places), pg, at the times, with what went wrong in each of them alone (a merge adds later)."""
    mass = growth.at(cell, hours)
    kind, onset = cells.kind[cell], cells.onset[cell]
    struck = np.flatnonzero((kind >= 0) & (hours >= onset))
    if not struck.size:
        return mass
    cell, kind, onset = cell[struck], kind[struck], onset[struck]
    since, before = hours[struck] - onset, growth.at(cell, onset)
    changed = mass[struck]

    def where(*names: str) -> np.ndarray:
        return np.isin(kind, [CODE[name] for name in names])

    stops = where("mitotic_slip", "growth_stops")
    changed[stops] = before[stops]
    shrinks = where("shrinks")
    changed[shrinks] = (before * np.maximum(0.5 ** (since / SHRINKS_TO_HALF_H), LEAST_LEFT))[shrinks]
    dead = where("dead")
    changed[dead] = (before * (DEAD_SHARE + (1 - DEAD_SHARE) * np.exp(-since / DEAD_WITHIN_H)))[dead]
    swings = where("oscillates")
    changed[swings] *= (1 + SWING * np.sin(2 * np.pi * since / PERIOD_H))[swings]
    fast = where("growth_too_fast")
    more = (FAST - 1) * growth.rate(cell) * since / growth.cycle[cell]
    changed[fast] = (changed * np.exp(more) if growth.exponential else changed + more)[fast]
    merged = where("merge")  # the merged cell grows on until it should have divided, and stays
    ripe = np.minimum(hours[struck], growth.birth[cell] + growth.cycle[cell])
    changed[merged] = growth.at(cell, np.maximum(ripe, onset))[merged]
    mass[struck] = changed
    return mass


def merge_masses(events: Events, growth: Growth, rows: Rows) -> None:
    """Add the other cell's mass to a merged cell, from the onset on. Needs all masses at birth."""
    merges = events.of("merge")
    added = np.zeros(growth.birth.size)
    added[merges.cell] = growth.at(merges.partner, merges.onset)
    onset = np.full(growth.birth.size, np.inf)
    onset[merges.cell] = merges.onset
    rows.mass += np.where(rows.hours >= onset[rows.cell], added[rows.cell], 0.0)


def spoil(settings: CultureSettings, rng: np.random.Generator, events: Events, rows: Rows) -> None:
    """What the microscope, the outlines and the tracking get wrong, in the rows before their noise."""
    blinded = events.of("saturation")
    row, event, _ = _spans(settings, blinded, rows)
    cap = SATURATED_AT * rows.mass[rows.at(blinded.cell, first_frame(settings, blinded.onset))]
    rows.mass[row] = np.minimum(rows.mass[row], cap[event])
    rows.saturated[row] = True

    row, event, share = _spans(settings, events.of("edge"), rows)
    seen = 1 - 0.6 * np.sin(np.pi * share)  # the cell leaves the field by more than half, and comes back
    rows.mass[row] *= seen
    rows.area[row] *= seen
    rows.x[row] = settings.field_um[0] - 8.0 * seen
    rows.at_edge[row] = True

    jumps = events.of("jump")
    row, event, _ = _spans(settings, jumps, rows)
    n = jumps.kind.size
    factor = np.where(rng.random(n) < 0.5, rng.uniform(0.3, 0.6, n), rng.uniform(1.6, 2.5, n))
    angle, way = rng.uniform(0, 2 * np.pi, n), rng.uniform(*JUMP_UM, n)
    rows.mass[row] *= factor[event]
    rows.area[row] *= factor[event]
    rows.x[row] += (way * np.cos(angle))[event]
    rows.y[row] += (way * np.sin(angle))[event]

    row, _, _ = _spans(settings, events.of("gap"), rows)
    rows.keep[row] = False

    outlines = events.of("merged_outlines")
    row, event, _ = _spans(settings, outlines, rows)
    other = rows.at(outlines.partner[event], rows.frame[row])
    for column in (rows.mass, rows.area):
        column[row] += column[other]
    for column in (rows.x, rows.y):
        column[row] = (column[row] + column[other]) / 2
    rows.keep[other] = False

    swaps = events.of("identity_swap")
    onset = np.full(rows.first.size, np.inf)
    onset[swaps.cell] = onset[swaps.partner] = swaps.onset
    other = np.arange(rows.first.size)
    other[swaps.cell], other[swaps.partner] = swaps.partner, swaps.cell
    rows.track = np.where(rows.hours >= onset[rows.cell], other[rows.cell], rows.cell)


def first_frame(settings: CultureSettings, hours: np.ndarray) -> np.ndarray:
    """(n,) number of the first frame at or after each time."""
    return np.ceil(hours / settings.interval_h - 1e-9).astype(np.int64)


def _spans(settings: CultureSettings, events: Events, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the events' cells from onset to end, which event each belongs to, and how far through it lies, 0 to 1."""
    first = first_frame(settings, events.onset)
    last = np.floor(events.end / settings.interval_h + 1e-9).astype(np.int64)
    count = last - first + 1
    event = np.repeat(np.arange(count.size), count)
    step = np.arange(event.size) - np.repeat(np.cumsum(count) - count, count)
    row = rows.at(events.cell[event], first[event] + step)
    return row, event, (step + 0.5) / count[event]
