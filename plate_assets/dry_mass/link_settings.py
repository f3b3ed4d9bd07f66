"""How cells are linked from frame to frame: distances, times and masses, all of which can be set.

Belongs here: these values and their limits. Not here: making links (`tracking`), what links mean (`identities`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkSettings:
    """How cells are linked.

    reach_um: farthest that a cell moves from one frame to the next while it divides (px without a pixel size), and with the
    default mass_weight 1.2 times as far where its mass stays; None: 0.7 median diameters of the cells, and more where frames
    lie over ten minutes apart (by the square root of the time, as cells wander; three diameters at most). gap_h: longest time
    that a cell may be lost and found again. mass_weight: what a difference of 1 in the logarithm of mass costs, in reaches.
    divisions, merges: whether they are looked for. together_h: cells that merge and part within this time are the two that
    met. settle_h: time over which masses around a division are compared, and that its daughters last at least. conserved: what
    the parts of a cell together weigh of the whole, from and to, where it divides, tears or merges. lightest: what the lighter
    of two daughters, or of two cells that merge, weighs of both at least. A split outside of these is a torn outline.
    """

    reach_um: float | None = None
    gap_h: float = 1.0
    mass_weight: float = 1.0
    divisions: bool = True
    merges: bool = True
    together_h: float = 6.0
    settle_h: float = 1.0
    conserved: tuple[float, float] = (0.7, 1.4)
    lightest: float = 0.3

    def __post_init__(self) -> None:
        if self.reach_um is not None and not self.reach_um > 0:
            raise ValueError(f"reach_um is {self.reach_um}, and a distance above 0 is needed")
        for name in ("gap_h", "mass_weight", "together_h", "settle_h", "lightest"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, and 0 or more is needed")
