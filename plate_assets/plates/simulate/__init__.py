"""Simulated plates: written as a microscope would write them, with the truth beside them.

Belongs here: what a simulated plate holds (`plan`), how its wells look (`cells`, `precipitates`, `optics`, `background`,
`well`), how it is written (`writing`, `plates`). Not here: measures, models, readers that get it back in (`plates.readers`).
"""

from plate_assets.plates.simulate.plates import simulate_plates
from plate_assets.plates.simulate.settings import SimulationSettings, hours_of

__all__ = ["SimulationSettings", "hours_of", "simulate_plates"]
