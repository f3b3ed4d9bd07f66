"""The plate as it is drawn: one mark for each well, what each hatch means, the outline of each called group.

Belongs here: geometry and words of a plate drawing, for SVG and PNG alike. Not here: the drawing (`templates`, `heatmap`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from plate_assets.pages.document import number
from plate_assets.plates.layout import PlateFormat, Well, row_letters
from plate_assets.precipitation.report.inputs import ReportInputs
from plate_assets.precipitation.report.scale import ColourScale

STATES = {
    "scored": "scored",
    "flagged": "flagged: look twice",
    "out_of_domain": "outside the model's domain",
    "excluded": "excluded by a person",
    "unscored": "no score",
    "absent": "no image of this well",
}
CELL = 28  # side of a well in the drawing's own units
LEFT, TOP = 30, 22  # room for the row letters and the column numbers


@dataclass(frozen=True)
class WellMark:
    """A well of the drawing: its colour, and the words that appear on it."""

    name: str
    row: int
    col: int
    value: float | None
    colour: str | None
    state: str
    called: bool
    group: str | None
    words: str

    @property
    def x(self) -> int:
        return LEFT + (self.col - 1) * CELL

    @property
    def y(self) -> int:
        return TOP + (self.row - 1) * CELL

    @property
    def ink(self) -> str:
        """Black or white, whichever reads better on the well's colour."""
        if self.colour is None:
            return "currentColor"
        r, g, b = (int(self.colour[i : i + 2], 16) for i in (1, 3, 5))
        return "#000000" if 0.299 * r + 0.587 * g + 0.114 * b > 140 else "#ffffff"


@dataclass(frozen=True)
class PlateDrawing:
    """Everything a template needs to draw a plate once."""

    key: str
    title: str
    unit: str
    scale: ColourScale
    marks: list[WellMark]
    outlines: list[tuple[str, str]]  # group and the path around it
    rows: list[tuple[str, int]]
    cols: list[tuple[str, int]]
    width: int
    height: int
    names_inside: bool
    states: list[str]  # those that occur and have a hatch


def state_of(row: Mapping[str, object] | None, value: float | None) -> str:
    """The one state that a well is hatched with; the tooltip names all of them."""
    if row is None:
        return "absent"
    if row["excluded"]:
        return "excluded"
    if value is None:
        return "unscored"
    if not row["in_domain"]:
        return "out_of_domain"
    return "flagged" if row["flagged"] else "scored"


def words_of(name: str, row: Mapping[str, object] | None, value: float | None, measure: str, called: bool) -> str:
    """What the well says to a mouse or a screen reader."""
    if row is None:
        return f"{name}: no image"
    parts = [f"{name}: {measure} {number(value)}" if value is not None else f"{name}: no {measure}"]
    if row["condition"] is not None:
        parts.append(str(row["condition"]))
    if str(row["role"]) != "sample":
        parts.append(str(row["role"]).replace("_", " "))
    parts += ["called precipitated"] * called + ["excluded"] * bool(row["excluded"])
    parts += ["outside the model's domain"] * (not row["in_domain"]) + [str(row["reasons"])] * bool(row["reasons"])
    return " · ".join(parts)


def outline(wells: Iterable[Well]) -> str:
    """The path around a group of wells, whatever its shape: every side that no other well of the group shares."""
    group = {(w.row, w.col) for w in wells}
    sides = []
    for row, col in sorted(group):
        x, y = LEFT + (col - 1) * CELL, TOP + (row - 1) * CELL
        if (row - 1, col) not in group:
            sides.append(f"M{x} {y}h{CELL}")
        if (row + 1, col) not in group:
            sides.append(f"M{x} {y + CELL}h{CELL}")
        if (row, col - 1) not in group:
            sides.append(f"M{x} {y}v{CELL}")
        if (row, col + 1) not in group:
            sides.append(f"M{x + CELL} {y}v{CELL}")
    return "".join(sides)


def draw_plate(
    inputs: ReportInputs,
    values: Mapping[str, float | None],
    *,
    key: str,
    title: str,
    measure: str,
    unit: str,
    palette: str = "viridis",
) -> PlateDrawing:
    """Every well of the plate's format, coloured by `values` (well name to number), called groups outlined."""
    plate: PlateFormat = inputs.plate_format
    rows = {row["Metadata_Well"]: row for row in inputs.wells.iter_rows(named=True)}
    called = inputs.called_groups()
    scale = ColourScale.of((values.get(name) for name in rows), palette)
    marks = []
    for well in plate.all_wells():
        row, value = rows.get(well.name), values.get(well.name)
        group = row["Metadata_Quadruplet"] if row else None
        words = words_of(well.name, row, value, measure, group in called)
        marks.append(
            WellMark(
                well.name, well.row, well.col, value, scale.colour(value), state_of(row, value), group in called, group, words
            )
        )
    found = {mark.state for mark in marks}
    return PlateDrawing(
        key=key,
        title=title,
        unit=unit,
        scale=scale,
        marks=marks,
        outlines=[(group, outline(Well.parse(name) for name in inputs.wells_of(group))) for group in sorted(called)],
        rows=[(row_letters(r), TOP + (r - 1) * CELL + CELL // 2) for r in range(1, plate.rows + 1)],
        cols=[(str(c), LEFT + (c - 1) * CELL + CELL // 2) for c in range(1, plate.cols + 1)],
        width=LEFT + plate.cols * CELL + 4,
        height=TOP + plate.rows * CELL + 4,
        names_inside=plate.wells <= 96,
        states=[state for state in STATES if state in found and state != "scored"],
    )
