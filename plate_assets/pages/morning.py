"""The morning page: what the night brought, on one page that a phone can read, and in a few lines for a message.

Belongs here: what the page says and in which order. Not here: where it is learnt from (`orchestration`), how the message is
sent (`workflows.night.notify`), the page of one plate (`report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from plate_assets.pages.document import content_security_policy, environment, look, source

PACKAGE = "plate_assets.pages"
SHORT_LINES = 8  # conditions and failures named in the short text; the rest is counted


@dataclass(frozen=True)
class Arrival:
    """A plate that was let in."""

    acquisition_id: str
    plate: str
    timepoint: str
    n_wells: int
    plate_wells: int
    completeness: str  # how it is known to be complete, for a person
    n_flagged: int = 0
    flags: str = ""  # the most frequent reasons
    arrived_at: datetime | None = None
    report: str = ""  # address of the plate's report, empty where there is none yet


@dataclass(frozen=True)
class Called:
    """A condition that was called in the night. onset: the first time point that was called, empty where it is not known."""

    acquisition_id: str
    plate: str
    timepoint: str
    group: str
    condition: str | None
    score: float | None
    anomaly_score: float | None = None
    threshold: float | None = None
    onset: str = ""
    reasons: str = ""
    report: str = ""


@dataclass(frozen=True)
class Failure:
    """What failed, why, and what to do about it."""

    acquisition_id: str
    step: str
    why: str
    remedy: str
    link: str = ""


@dataclass(frozen=True)
class Waiting:
    """A folder or plate that is not done: incomplete, settling, or queued."""

    acquisition_id: str
    why: str
    since: datetime | None = None


@dataclass(frozen=True)
class Refused:
    """New bytes under a known name, or a folder that cannot be let in."""

    acquisition_id: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Rescored:
    """A plate that another model scored before. n_changed: conditions whose call changed, None where it is not known."""

    acquisition_id: str
    old_model: str
    new_model: str
    n_changed: int | None = None
    report: str = ""


@dataclass(frozen=True)
class Timelapse:
    """A time-lapse that was judged in the night. worst: its most abnormal cells in words."""

    name: str
    n_paths: int
    n_scored: int
    n_abnormal: int
    n_acquisition: int = 0  # abnormal ones that the microscope may be the cause of
    worst: str = ""
    report: str = ""


@dataclass(frozen=True)
class Drifted:
    """An acquisition that drifted. named: also where the night's tests are judged together."""

    acquisition_id: str
    p_value: float | None
    effect: float | None
    named: bool
    why: str = ""
    withheld: bool = False  # whether its calls were


@dataclass(frozen=True)
class Alarm:
    """A line of acquisitions whose alarm is open: since when, and how many tiles wait for a person."""

    line: str
    since: datetime
    opened_by: str
    alarms: int
    to_label: int = 0


@dataclass(frozen=True)
class MorningInputs:
    """One night. champion is the model in force, None where none is; stale are plates that still wait for it.

    watched: acquisitions that were tested for drift; note: what their tests could not have found.
    """

    since: datetime
    until: datetime
    champion: str | None
    arrived: Sequence[Arrival] = ()
    scored: int = 0
    called: Sequence[Called] = ()
    failed: Sequence[Failure] = ()
    waiting: Sequence[Waiting] = ()
    refused: Sequence[Refused] = ()
    rescored: Sequence[Rescored] = ()
    stale: Sequence[str] = ()
    timelapses: Sequence[Timelapse] = ()
    alarms: Sequence[Alarm] = ()
    drifted: Sequence[Drifted] = ()
    watched: int = 0
    note: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    def called_by_plate(self) -> list[tuple[str, list[Called]]]:
        """The called conditions of each acquisition, the highest score first; acquisitions in the order given."""
        plates: dict[str, list[Called]] = {}
        for call in self.called:
            plates.setdefault(call.acquisition_id, []).append(call)
        return [(name, sorted(calls, key=_high_first)) for name, calls in plates.items()]

    @property
    def quiet(self) -> bool:
        """True where nothing happened and nothing needs a person."""
        return not any(
            (
                self.arrived,
                self.scored,
                self.called,
                self.failed,
                self.waiting,
                self.refused,
                self.rescored,
                self.stale,
                self.timelapses,
                self.alarms,
                self.drifted,
            )
        )


def _high_first(call: Called) -> tuple[float, str]:
    return (-call.score if call.score is not None else float("inf"), call.group)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 plate`, `2 plates`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def headline(inputs: MorningInputs) -> str:
    """The night in one sentence."""
    if inputs.quiet:
        return "A quiet night: nothing arrived, nothing failed, nothing waits."
    plates = len({call.acquisition_id for call in inputs.called})
    found = (
        f"{counted(len(inputs.called), 'condition')} called on {counted(plates, 'plate')}"
        if inputs.called
        else "No condition called"
    )
    parts = [found, f"{counted(len(inputs.arrived), 'plate')} arrived", f"{inputs.scored} scored"]
    parts += [f"{len(inputs.failed)} failed"] * bool(inputs.failed) + [f"{len(inputs.refused)} refused"] * bool(inputs.refused)
    cells = sum(timelapse.n_abnormal for timelapse in inputs.timelapses)
    parts += [f"{counted(cells, 'abnormal cell')} in {counted(len(inputs.timelapses), 'timelapse')}"] * bool(inputs.timelapses)
    parts += [f"{counted(len(inputs.alarms), 'line')} drifting"] * bool(inputs.alarms)
    parts += [f"{counted(len(inputs.drifted), 'plate')} drifted"] * bool(inputs.drifted)
    parts += [f"{len(inputs.waiting)} waiting"] * bool(inputs.waiting) + [f"{len(inputs.stale)} stale"] * bool(inputs.stale)
    return ", ".join(parts) + "."


def render_morning(inputs: MorningInputs) -> str:
    """The page: self-contained HTML without a script; every name on it is escaped."""
    style = look() + source(PACKAGE, "morning.css")
    made = environment(PACKAGE)
    return made.get_template("morning.html").render(
        inputs=inputs, style=Markup(style), headline=headline(inputs), policy=content_security_policy(style, "")
    )


def morning_text(inputs: MorningInputs, page: str = "") -> str:
    """The night in short, as plain text for a message. page: address of the morning page, put at the end where given."""
    lines = [f"Night to {inputs.until:%Y-%m-%d %H:%M}: {headline(inputs)}"]
    called = [call for _, calls in inputs.called_by_plate() for call in calls]
    lines += [
        f"• {call.plate} {call.timepoint} {call.group} {call.condition or ''}".rstrip()
        + (f" (since {call.onset})" if call.onset else "")
        for call in called[:SHORT_LINES]
    ]
    lines += [f"  and {len(called) - SHORT_LINES} more"] * (len(called) > SHORT_LINES)
    lines += [f"≈ {a.line} drifts since {a.since:%Y-%m-%d %H:%M}, {a.to_label} tiles to label" for a in inputs.alarms]
    lines += [f"≈ {d.acquisition_id} drifted{', calls withheld' if d.withheld else ''}" for d in inputs.drifted[:SHORT_LINES]]
    lines += [
        f"• {timelapse.name}: {counted(timelapse.n_abnormal, 'abnormal cell')}"
        for timelapse in inputs.timelapses
        if timelapse.n_abnormal
    ][:SHORT_LINES]
    troubles = [f"✗ {f.acquisition_id}, {f.step}: {f.why} → {f.remedy}" for f in inputs.failed]
    troubles += [f"✗ {r.acquisition_id} refused: {r.why} → {r.remedy}" for r in inputs.refused]
    lines += [" ".join(line.split())[:300] for line in troubles[:SHORT_LINES]]
    lines += [f"  and {len(troubles) - SHORT_LINES} more that need a look"] * (len(troubles) > SHORT_LINES)
    lines.append(f"Model in force: {inputs.champion or 'none: promote one, nothing is scored until then'}")
    return "\n".join([*lines, page] if page else lines)
