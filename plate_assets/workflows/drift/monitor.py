"""The online drift test along a line of acquisitions (instrument × assay), which remembers, without Dagster.

Belongs here: which acquisition is taken when, what is stored, and how a run that is killed, repeated or doubled does no harm.
Not here: the test, its thresholds and episodes (`drift.online`, `drift.lines`).

What is stored is what was taken: one small file for each acquisition, made once and never changed (`files.create_bytes`). All
else follows from the set of these files: the steps are those of a monitor that takes the acquisitions in the order of their
times. So an acquisition that comes twice is taken once, two runs at the same time cannot lose or double one, and there is no
moment at which a kill loses anything. Beside them lies `state`, a copy of what follows from the acquisitions that it names: it
saves the work of doing it again, and is used only while those are the first of the line. An acquisition that comes late, older
than one that was taken, makes the line run again from its beginning, with the late one in its place.

    <folder>/<line>/<reference>/monitor      the monitor at its start, made once
                                taken/<acquisition>.parquet
                                state
                                announced/<acquisition>.json

A line takes `wells_per_acquisition` wells of each acquisition, in an order drawn from its id. Of each the mean of reference
wells of like age, of other plates, is subtracted: cells grow, and the line is not to take that for drift.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from upath import UPath

from plate_assets.drift.acquisitions import DriftError, DriftReference, check_embeddings, of_like_age, vectors_of, well_vectors
from plate_assets.drift.tables import DRIFT_EPISODES, DRIFT_STEPS, DRIFT_TAKEN
from plate_assets.progress import Progress
from plate_assets.storage.files import create_bytes, json_bytes, write_bytes
from plate_assets.storage.tables import Provenance, parse_table, read_table, table_bytes

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.drift.online import OnlineMonitor

_STATE = "plate_assets.line/1"


class Visit(NamedTuple):
    """An acquisition on the line; sorted, visits are in the order in which the monitor takes them."""

    acquired_at: datetime
    acquisition: str


@dataclass(frozen=True)
class LineSettings:
    """How a line is watched.

    window: wells that are tested together; ert: mean number of wells until a false alarm; wells_per_acquisition: wells taken of
    each, all where None; tolerance_h: how far in age a reference acquisition may be, hours; seed: of what is drawn at random.
    """

    window: int = 20
    ert: float = 256.0
    wells_per_acquisition: int | None = 4
    tolerance_h: float = 6.0
    seed: int = 0


@dataclass(frozen=True)
class LineState:
    """Where a line stands: the visits that were taken in their order, DRIFT_STEPS and DRIFT_EPISODES.

    left_out: acquisitions that could not be taken, with the reason.
    """

    visits: tuple[Visit, ...]
    steps: pl.DataFrame
    episodes: pl.DataFrame
    left_out: dict[str, str]


def to_feed(folded: Sequence[Visit], taken: Iterable[Visit]) -> tuple[bool, list[Visit]]:
    """Whether to start again, and which visits to feed, in their order.

    folded: the visits that the state holds, in their order; taken: all that are stored, in any order. The state is gone on from
    where its visits are the first of the line; else one came late, or was removed by hand, and the line starts again.
    """
    order = sorted(taken)
    goes_on = order[: len(folded)] == list(folded)
    return not goes_on, order[len(folded) :] if goes_on else order


def advance_line(
    folder: str | Path | UPath,
    line: str,
    reference: DriftReference,
    available: Iterable[tuple[str, datetime]],
    read: Callable[[str], pl.DataFrame],
    settings: LineSettings | None = None,
) -> LineState:
    """Take the acquisitions that the line has not taken yet, and say where it stands.

    folder: where lines keep their state; line: its name, for example `incucyte-2 / viability`; available: ids and times with a
    time zone, in any order; read: gives the PATCH_EMBEDDINGS of an id. Another reference or other settings start a line of
    their own. Raises DriftError where the embedding's version is not the reference's, or a time has no zone.
    """
    settings = settings or LineSettings()
    place = line_folder(folder, line, reference, settings)
    known = set(_stored(place))
    for acquisition, acquired_at in available:
        if acquisition in known:
            continue
        if acquired_at.tzinfo is None:
            raise DriftError(f"the time of acquisition {acquisition!r}, {acquired_at}, has no time zone: give it in UTC")
        rows = _rows_taken(reference, acquisition, acquired_at.astimezone(UTC), read(acquisition), settings)
        _create(place / "taken" / f"{acquisition}.parquet", table_bytes(rows, DRIFT_TAKEN.name, Provenance()))
    return _brought_up_to_date(place, line, lambda: _monitor(place, reference, settings))


@dataclass(frozen=True)
class Lines:
    """Where all lines stand, by name: DRIFT_STEPS and DRIFT_EPISODES of all, and how many acquisitions could not be taken."""

    states: dict[str, LineState]

    @property
    def steps(self) -> pl.DataFrame:
        return pl.concat([DRIFT_STEPS.empty(), *(state.steps for state in self.states.values())])

    @property
    def episodes(self) -> pl.DataFrame:
        return pl.concat([DRIFT_EPISODES.empty(), *(state.episodes for state in self.states.values())])

    @property
    def left_out(self) -> int:
        return sum(len(state.left_out) for state in self.states.values())


def advance_lines(
    folder: str | Path | UPath,
    lines: Mapping[str, Iterable[tuple[str, datetime]]],
    reference: DriftReference,
    read: Callable[[str], pl.DataFrame],
    settings: LineSettings,
    progress: Progress,
) -> Lines:
    """`advance_line` for each line, in the order of their names. lines: by name, the acquisitions that are there."""
    states = {}
    for line, available in sorted(lines.items()):
        states[line] = advance_line(folder, line, reference, available, read, settings)
        progress(len(states), len(lines))
    return Lines(states)


def read_line(
    folder: str | Path | UPath, line: str, reference: DriftReference, settings: LineSettings | None = None
) -> LineState:
    """Where a line stands, without taking anything."""
    settings = settings or LineSettings()
    place = line_folder(folder, line, reference, settings)
    return _brought_up_to_date(place, line, lambda: _monitor(place, reference, settings))


def line_folder(
    folder: str | Path | UPath, line: str, reference: DriftReference, settings: LineSettings | None = None
) -> UPath:
    """Where a line keeps its state: a folder for each reference and setting."""
    text = json.dumps(asdict(settings or LineSettings()), sort_keys=True)
    short = re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-")[:40]
    name = f"{short}-{hashlib.sha256(line.encode()).hexdigest()[:8]}"
    return UPath(folder) / name / f"{reference.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def unannounced(place: UPath, episodes: pl.DataFrame) -> pl.DataFrame:
    """The DRIFT_EPISODES of a line that nobody was told of yet.

    An episode counts as announced when an announcement falls into it, so that one whose beginning a late acquisition moved
    forward is not raised again.
    """
    said = [datetime.fromisoformat(json.loads(path.read_bytes())["opened_at"]) for path in _files(place / "announced", ".json")]
    end = pl.col("closed_at").fill_null(datetime.max.replace(tzinfo=UTC))
    told = [pl.lit(when).is_between(pl.col("opened_at"), end) for when in said]
    return episodes.filter(~pl.any_horizontal(told)) if told else episodes


def announce(place: UPath, episode: dict[str, object]) -> bool:
    """Mark an episode (a row of DRIFT_EPISODES) as announced; True for the one caller that is to raise the alarm."""
    content = {"opened_by": episode["opened_by"], "opened_at": str(episode["opened_at"])}
    return _create(place / "announced" / f"{episode['opened_by']}.json", json_bytes(content))


def _create(path: UPath, content: bytes) -> bool:
    try:
        create_bytes(path, content)
    except FileExistsError:
        return False
    return True


def _stored(place: UPath) -> list[str]:
    return [path.name.removesuffix(".parquet") for path in _files(place / "taken", ".parquet")]


def _files(folder: UPath, suffix: str) -> list[UPath]:
    return [path for path in folder.iterdir() if path.name.endswith(suffix)] if folder.exists() else []


def _rows_taken(
    reference: DriftReference, acquisition: str, acquired_at: datetime, embeddings: pl.DataFrame, settings: LineSettings
) -> pl.DataFrame:
    """DRIFT_TAKEN of an acquisition: its wells in an order drawn from its id."""
    import numpy as np

    check_embeddings(acquisition, embeddings, reference.embedding_version)
    wells = well_vectors(acquisition, embeddings)
    vectors = less_like_age(reference.wells, wells, settings.tolerance_h)
    stamp = {"acquisition": acquisition, "acquired_at": acquired_at}
    if vectors is None:
        reason = f"no other reference plate within {settings.tolerance_h:g} h of its age"
        return DRIFT_TAKEN.conform(pl.DataFrame([{**stamp, "Metadata_Well": None, "vector": None, "reason": reason}]))
    order = np.random.default_rng([settings.seed, *acquisition.encode()]).permutation(len(vectors))
    order = order[: settings.wells_per_acquisition]
    rows = [
        {**stamp, "Metadata_Well": well, "vector": vector, "reason": ""}
        for well, vector in zip(wells["Metadata_Well"].gather(order).to_list(), vectors[order].tolist(), strict=True)
    ]
    return DRIFT_TAKEN.conform(pl.DataFrame(rows))


def less_like_age(reference: pl.DataFrame, wells: pl.DataFrame, tolerance_h: float) -> "np.ndarray | None":
    """(n, d) vectors of one acquisition's wells less the mean of other plates' wells of like age; None without these."""
    like = of_like_age(reference, wells, tolerance_h)
    if not like.height:
        return None
    return vectors_of(wells["vector"]) - vectors_of(like["vector"]).mean(axis=0)


def _monitor(place: UPath, reference: DriftReference, settings: LineSettings) -> "OnlineMonitor":
    """The line's monitor at its start; configured by the first run, read by all others."""
    from plate_assets.drift.online import OnlineMonitor

    path = place / "monitor"
    if not path.exists():
        _create(path, _configured(reference, settings).to_bytes())
    return OnlineMonitor.from_bytes(path.read_bytes())


def _configured(reference: DriftReference, settings: LineSettings) -> "OnlineMonitor":
    import numpy as np

    from plate_assets.drift.lines import configure_line

    parts = [
        (visit, vectors)
        for visit in reference.wells.partition_by("acquisition", maintain_order=True)
        if (vectors := less_like_age(reference.wells, visit, settings.tolerance_h)) is not None
    ]
    if not parts:
        raise DriftError("no two plates of the reference are of like age: add reference plates, or raise the tolerance")
    wells = pl.concat([visit for visit, _ in parts])
    vectors = np.concatenate([vectors for _, vectors in parts])
    typical = int(wells.group_by("acquisition").len()["len"].to_numpy().min())
    return configure_line(
        vectors, wells["Metadata_Plate"].to_numpy(), wells["acquisition"].to_numpy(), window=settings.window,
        ert=settings.ert, wells_per_plate=settings.wells_per_acquisition or typical, seed=settings.seed,
    )  # fmt: skip


@dataclass
class _Line:
    """A line while it is fed: what `state` holds."""

    monitor: "OnlineMonitor"
    visits: list[Visit]
    steps: list[pl.DataFrame]
    left_out: dict[str, str]
    updates: int = 0
    episode: tuple[int, bool, int] = (0, False, 0)

    def feed(self, line: str, rows: pl.DataFrame) -> None:
        """Take one acquisition, rows of DRIFT_TAKEN."""
        from plate_assets.drift.lines import Episode

        visit, wells, found = Visit(rows["acquired_at"][0], rows["acquisition"][0]), rows.drop_nulls("Metadata_Well"), []
        episode = Episode(*self.episode)
        for well, vector in zip(wells["Metadata_Well"], vectors_of(wells["vector"]) if wells.height else (), strict=True):
            step = self.monitor.update(vector)
            self.updates += 1
            episode = episode.after(step.drift, self.monitor.window)
            found.append({
                "line": line, "acquisition": visit.acquisition, "acquired_at": visit.acquired_at, "Metadata_Well": well,
                "update": self.updates, "step": self.monitor.steps, "statistic": step.statistic, "threshold": step.threshold,
                "drift": step.drift, "episode": episode.number if episode.open else None,
            })  # fmt: skip
            if step.drift:
                self.monitor.restart()
        self.episode = (episode.number, episode.open, episode.quiet)
        self.visits.append(visit)
        if found:
            self.steps.append(DRIFT_STEPS.conform(pl.DataFrame(found, infer_schema_length=None)))
        else:
            self.left_out[visit.acquisition] = rows["reason"][0]

    def to_bytes(self) -> bytes:
        import numpy as np

        from plate_assets.drift.packing import pack

        parts = {"monitor": self.monitor.to_bytes(), "steps": table_bytes(self.table(), DRIFT_STEPS.name)}
        values = {
            "visits": [[visit.acquired_at.isoformat(), visit.acquisition] for visit in self.visits],
            "left_out": self.left_out, "updates": self.updates, "episode": list(self.episode),
        }  # fmt: skip
        return pack(_STATE, values, {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Line":
        """ValueError where the bytes are no whole state."""
        from typing import Any, cast

        from plate_assets.drift.online import OnlineMonitor
        from plate_assets.drift.packing import unpack

        found, arrays = unpack(data, _STATE)
        values = cast(dict[str, Any], found)
        visits = [Visit(datetime.fromisoformat(when), acquisition) for when, acquisition in values["visits"]]
        steps = parse_table(arrays["steps"].tobytes(), "the state of a drift monitor")[1]
        monitor = OnlineMonitor.from_bytes(arrays["monitor"].tobytes())
        return cls(monitor, visits, [steps], values["left_out"], values["updates"], tuple(values["episode"]))

    def table(self) -> pl.DataFrame:
        return DRIFT_STEPS.check(pl.concat(self.steps)) if self.steps else DRIFT_STEPS.empty()


def _brought_up_to_date(place: UPath, line: str, begin: "Callable[[], OnlineMonitor]") -> LineState:
    """The state after all that was taken; written where it is new, and looked at again, as another run may have added to it."""
    while True:
        state = _read_state(place)
        visits = _visits(place, state)
        again, feed = to_feed(state.visits if state else (), visits)
        if not feed and not again:
            return _line_state(state, line)
        if state is None or again:
            state = _Line(begin(), [], [], {})
        for visit in feed:
            state.feed(line, read_table(place / "taken" / f"{visit.acquisition}.parquet", DRIFT_TAKEN))
        write_bytes(place / "state", state.to_bytes())


def _read_state(place: UPath) -> "_Line | None":
    """None where there is none, or where it is no whole one: then all is done again."""
    path = place / "state"
    try:
        return _Line.from_bytes(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _visits(place: UPath, state: "_Line | None") -> list[Visit]:
    """All visits that were taken; the times of those that the state does not know are read from their files."""
    known = {visit.acquisition: visit for visit in state.visits} if state else {}
    found = []
    for acquisition in _stored(place):
        if acquisition not in known:
            rows = read_table(place / "taken" / f"{acquisition}.parquet", DRIFT_TAKEN)
            known[acquisition] = Visit(rows["acquired_at"][0], acquisition)
        found.append(known[acquisition])
    return found


def _line_state(state: "_Line | None", line: str) -> LineState:
    if state is None:
        return LineState((), DRIFT_STEPS.empty(), DRIFT_EPISODES.empty(), {})
    steps = state.table()
    return LineState(tuple(state.visits), steps, episodes_of(steps, line), dict(state.left_out))


def episodes_of(steps: pl.DataFrame, line: str) -> pl.DataFrame:
    """DRIFT_EPISODES of a line's DRIFT_STEPS. An episode is closed where an update outside of it follows."""
    inside = steps.drop_nulls("episode")
    if not inside.height:
        return DRIFT_EPISODES.empty()
    after = steps.with_columns(before=pl.col("episode").shift(1)).filter(pl.col("before").is_not_null())
    after = after.filter(pl.col("episode").is_null() | (pl.col("episode") != pl.col("before")))
    closed = after.select(episode="before", closed_by="acquisition", closed_at="acquired_at")
    found = inside.group_by("episode", maintain_order=True).agg(
        opened_by=pl.col("acquisition").first(), opened_at=pl.col("acquired_at").first(),
        last_drift_by=pl.col("acquisition").filter(pl.col("drift")).last(), alarms=pl.col("drift").sum(),
    )  # fmt: skip
    return DRIFT_EPISODES.conform(found.join(closed, on="episode", how="left").with_columns(line=pl.lit(line)))
