"""Plate formats, wells and quadruplets: the geometry that every plate of a kind shares.

Belongs here: names and positions of wells. Not here: which condition is in which well (`platemap`), images (`acquisition`).
"""

import re
from dataclasses import dataclass
from functools import total_ordering

FORMATS: dict[int, tuple[int, int]] = {
    6: (2, 3),
    12: (3, 4),
    24: (4, 6),
    48: (6, 8),
    96: (8, 12),
    384: (16, 24),
    1536: (32, 48),
}

_LETTERS = re.compile(r"\s*([A-Za-z]{1,2})\s*0*([1-9][0-9]?)\s*")
_NUMBERS = re.compile(r"\s*[rR]0*([1-9][0-9]?)[cC]0*([1-9][0-9]?)\s*")
_PAIR = re.compile(r"\s*\(\s*0*([1-9][0-9]?)\s*,\s*0*([1-9][0-9]?)\s*\)\s*")


class LayoutError(ValueError):
    """A well or plate format that does not exist; the message says what was found and what is understood."""


def row_letters(row: int) -> str:
    """The letters of row 1, 2, …: A to Z, then AA to AF of a 1536-well plate."""
    return chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)


@total_ordering
@dataclass(frozen=True)
class Well:
    """A place on a plate: row and column count from 1."""

    row: int
    col: int

    def __post_init__(self) -> None:
        if not (1 <= self.row <= 32 and 1 <= self.col <= 48):
            raise LayoutError(
                f"row {self.row}, column {self.col} is on no plate: rows go from 1 (A) to 32 (AF), columns from 1 to 48"
            )

    def __lt__(self, other: "Well") -> bool:
        return (self.row, self.col) < (other.row, other.col)

    @classmethod
    def parse(cls, text: "str | tuple[int, int] | Well") -> "Well":
        """Read `a1`, `A01`, `AF48`, `r03c03` or `(3, 3)` (a pair, or its text); LayoutError where it is none of them."""
        if isinstance(text, Well):
            return text
        if isinstance(text, tuple) and len(text) == 2 and all(isinstance(number, int) for number in text):
            return cls(*text)
        if isinstance(text, str) and (match := _NUMBERS.fullmatch(text) or _PAIR.fullmatch(text)):
            return cls(int(match[1]), int(match[2]))
        if isinstance(text, str) and (match := _LETTERS.fullmatch(text)):
            letters = match[1].upper()
            row = ord(letters[-1]) - 64 + (26 if len(letters) == 2 else 0)
            if len(letters) == 1 or letters[0] == "A":
                return cls(row, int(match[2]))
        raise LayoutError(f"{text!r} is no well: write it as A01, a1, r01c01 or (1, 1), with rows A to AF and columns 1 to 48")

    @property
    def name(self) -> str:
        """The well in the form `A01`."""
        return f"{row_letters(self.row)}{self.col:02d}"

    @property
    def quadruplet(self) -> str:
        """The name of the quadruplet (2×2 block) of this well: its top-left well (A01, A03, … O23 on a 384-well plate)."""
        return Well(self.row - (self.row - 1) % 2, self.col - (self.col - 1) % 2).name


@dataclass(frozen=True)
class PlateFormat:
    """A plate of so many wells."""

    wells: int

    def __post_init__(self) -> None:
        if self.wells not in FORMATS:
            raise LayoutError(f"there is no plate of {self.wells} wells here: the formats are {', '.join(map(str, FORMATS))}")

    @property
    def rows(self) -> int:
        return FORMATS[self.wells][0]

    @property
    def cols(self) -> int:
        return FORMATS[self.wells][1]

    def __contains__(self, well: Well) -> bool:
        return well.row <= self.rows and well.col <= self.cols

    def all_wells(self) -> list[Well]:
        """Every well in row-major order."""
        return [Well(row, col) for row in range(1, self.rows + 1) for col in range(1, self.cols + 1)]

    def quadruplets(self) -> dict[str, list[Well]]:
        """The 2×2 blocks by their top-left well, row-major: 96 on a 384-well plate; a block at an odd edge has fewer wells."""
        blocks: dict[str, list[Well]] = {}
        for well in self.all_wells():
            blocks.setdefault(well.quadruplet, []).append(well)
        return blocks

    @classmethod
    def of_shape(cls, rows: int, cols: int) -> "PlateFormat":
        """The format of so many rows and columns; LayoutError where there is none."""
        for size, shape in FORMATS.items():
            if shape == (rows, cols):
                return cls(size)
        shapes = ", ".join(f"{r}×{c}" for r, c in FORMATS.values())
        raise LayoutError(f"there is no plate of {rows} rows and {cols} columns here: the formats are {shapes}")

    @classmethod
    def smallest_for(cls, wells: "list[Well]") -> "PlateFormat":
        """The smallest format that holds all the wells: what a plate is taken for when nothing says its format."""
        for size in FORMATS:
            if all(well in cls(size) for well in wells):
                return cls(size)
        raise LayoutError("no plate format holds these wells")
