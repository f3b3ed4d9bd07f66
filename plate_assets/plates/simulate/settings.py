"""What a simulation is asked for. Belongs here: the settings and their checks. Not here: what follows from them (`plan`)."""

import re
from dataclasses import dataclass
from pathlib import Path

from plate_assets.plates.acquisition import check_acquisition_id
from plate_assets.plates.layout import PlateFormat, Well

WELL_PX = 1200
UM_PER_PX = 2.82
LAYOUTS = ("flat", "operetta")
DTYPES = ("uint8", "uint16")


@dataclass(frozen=True)
class SimulationSettings:
    """Plates of 384 wells, 1200 px at 2.82 µm.

    timepoints_h: hours of the visits; `timepoints` names them instead (`024h`, `d04`) and wins where both are given.
    quadruplets: how many conditions, spread over the plate, or the names of their top-left wells.
    background: folder of real images (TIFF, PNG) that serve as cells; background_um: their pixel size, µm.
    precipitating: share of the conditions that precipitate sooner or later. masks: write each well's precipitate mask too.
    workers: threads; the bytes do not depend on it.
    """

    plates: int = 1
    timepoints_h: tuple[float, ...] = (24.0, 96.0)
    seed: int = 0
    layout: str = "flat"
    background: Path | None = None
    background_um: float = 0.87
    quadruplets: int | tuple[str, ...] = 96
    dtype: str = "uint8"
    precipitating: float = 0.2
    masks: bool = False
    plate_prefix: str = "SIM"
    timepoints: tuple[str, ...] = ()
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout {self.layout!r} is none of {', '.join(LAYOUTS)}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: a whole number from 0 on is needed")
        if self.plates < 1 or not (self.timepoints or self.timepoints_h):
            raise ValueError("a simulation needs one plate and one time point or more")
        if not all(0 <= hours < 10_000 for hours in self.timepoints_h):
            raise ValueError(f"time points of {self.timepoints_h} h: hours since the culture began are needed, below 10,000")
        if len({name for name, _ in self.visits}) < len(self.visits):
            raise ValueError(f"a time point is named twice: {[name for name, _ in self.visits]}")
        for name, _ in self.visits:
            check_acquisition_id(f"{self.plate_prefix}{self.seed:02d}{self.plates:03d}_{name}")  # it becomes a folder
        if not 0 <= self.precipitating <= 1:
            raise ValueError(f"precipitating={self.precipitating}: it is a share, from 0 to 1")
        if self.background is not None and not Path(self.background).is_dir():
            raise ValueError(f"{self.background} is no folder: name one with TIFF or PNG images of cells")
        _ = self.groups

    @property
    def visits(self) -> tuple[tuple[str, float], ...]:
        """Name and hours of each visit, in the order of time."""
        named = [(name, hours_of(name)) for name in self.timepoints]
        named = named or [
            (f"{hours:03.0f}h" if hours == int(hours) else f"{hours:05.1f}h", float(hours)) for hours in self.timepoints_h
        ]
        return tuple(sorted(named, key=lambda visit: visit[1]))

    @property
    def groups(self) -> tuple[Well, ...]:
        """The top-left wells of the quadruplets in use, row-major."""
        plate = PlateFormat(384)
        every = [well for well in plate.all_wells() if well.row % 2 and well.col % 2]
        if isinstance(self.quadruplets, int):
            if not 1 <= self.quadruplets <= len(every):
                raise ValueError(f"{self.quadruplets} quadruplets: a 384-well plate has 1 to {len(every)}")
            step = len(every) / self.quadruplets
            return tuple(every[int((n + 0.5) * step)] for n in range(self.quadruplets))
        chosen = sorted({Well.parse(Well.parse(name).quadruplet) for name in self.quadruplets})
        if not chosen or any(well not in plate for well in chosen):
            raise ValueError(
                f"{self.quadruplets} are no quadruplets of a 384-well plate: name their top-left wells, A01 to O23"
            )
        return tuple(chosen)


def hours_of(name: str) -> float:
    """Hours of a time point's name: `024h`, `d04` (days) or `96`. ValueError otherwise."""
    match = re.fullmatch(r"(?:(?P<h>\d+(?:\.\d+)?)h|d(?P<d>\d+(?:\.\d+)?)|(?P<n>\d+(?:\.\d+)?))", name.strip().lower())
    if not match:
        raise ValueError(f"time point {name!r}: write it as 024h, d04 or 96")
    return 24 * float(match["d"]) if match["d"] else float(match["h"] or match["n"])
