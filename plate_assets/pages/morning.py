"""The morning page: what the night brought, on one page that a phone can read, and in a few lines for a message.

Belongs here: what the page says whatever the sciences are, and where their sections stand. Not here: a science's section
(`workflows`), where all is learnt from (`orchestration`), how the message is sent (`workflows.night.notify`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from plate_assets.pages.document import PAGES, render_page
from plate_assets.pages.sections import Section, counted

SHORT_LINES = 8  # lines of one section, and of what needs a person, in the short text; the rest is counted


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
class Failure:
    """What failed, why, and what to do about it."""

    name: str
    step: str
    why: str
    remedy: str
    link: str = ""


@dataclass(frozen=True)
class Waiting:
    """What is not done: incomplete, settling, or queued."""

    name: str
    why: str
    since: datetime | None = None


@dataclass(frozen=True)
class Refused:
    """New bytes under a known name, or a folder that cannot be let in."""

    name: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Stale:
    """Results that rest on what holds no more, and are taken up next night. why: `λ was 0.01, is 0.05`."""

    name: str
    why: str


@dataclass(frozen=True)
class MorningInputs:
    """One night. models: of each kind of model its version in force, None where none is."""

    since: datetime
    until: datetime
    models: Mapping[str, str | None] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    arrived: Sequence[Arrival] = ()
    failed: Sequence[Failure] = ()
    waiting: Sequence[Waiting] = ()
    refused: Sequence[Refused] = ()
    stale: Sequence[Stale] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_order(self) -> list[Section]:
        """The sections, those that need a person first, else in the order in which they were handed in."""
        return sorted(self.sections, key=lambda section: not section.urgent)

    @property
    def quiet(self) -> bool:
        """True where nothing happened and nothing needs a person."""
        happened = (self.arrived, self.failed, self.waiting, self.refused, self.stale)
        return not any(happened) and not any(section.eventful for section in self.sections)

    def stale_by_reason(self) -> list[tuple[str, list[str]]]:
        """What is stale for each reason, the most frequent reason first."""
        reasons: dict[str, list[str]] = {}
        for item in self.stale:
            reasons.setdefault(item.why, []).append(item.name)
        return sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))

    def fields(self) -> dict[str, int]:
        """Counts for whoever reads the message by machine."""
        own = {name: len(getattr(self, name)) for name in ("arrived", "failed", "waiting", "refused", "stale")}
        return own | {name: number for section in self.sections for name, number in section.fields.items()}


def headline(inputs: MorningInputs) -> str:
    """The night in one sentence."""
    if inputs.quiet:
        return "A quiet night: nothing arrived, nothing failed, nothing waits."
    parts = [phrase for section in inputs.sections for phrase in section.headline]
    parts.append(f"{counted(len(inputs.arrived), 'plate')} arrived")
    for name in ("failed", "refused", "waiting", "stale"):
        parts += [f"{len(getattr(inputs, name))} {name}"] * bool(getattr(inputs, name))
    return ", ".join(parts) + "."


def render_morning(inputs: MorningInputs) -> str:
    """The page: self-contained HTML; every name on it is escaped."""
    return render_page(PAGES, "morning.html", inputs=inputs, headline=headline(inputs))


def morning_text(inputs: MorningInputs, page: str = "") -> str:
    """The night in short, as plain text for a message. page: address of the morning page, put at the end where given."""
    lines = [f"Night to {inputs.until:%Y-%m-%d %H:%M}: {headline(inputs)}"]
    for section in inputs.in_order:
        lines += shortened(section.lines, "more")
    troubles = [f"✗ {item.name}, {item.step}: {item.why} → {item.remedy}" for item in inputs.failed]
    troubles += [f"✗ {item.name} refused: {item.why} → {item.remedy}" for item in inputs.refused]
    lines += shortened(troubles, "more that need a look")
    lines += shortened([f"↻ {counted(len(names), 'result')} stale: {why}" for why, names in inputs.stale_by_reason()], "more")
    for noun, version in inputs.models.items():
        lines.append(f"{noun.capitalize()} in force: {version or 'none: promote one, nothing is judged until then'}")
    return "\n".join([*lines, page] if page else lines)


def shortened(lines: Sequence[str], rest: str) -> Iterable[str]:
    """The first lines, each on one line and cut where it is long; how many more there are."""
    short = [" ".join(line.split())[:300] for line in lines[:SHORT_LINES]]
    return [*short, f"  and {len(lines) - SHORT_LINES} {rest}"] if len(lines) > SHORT_LINES else short
