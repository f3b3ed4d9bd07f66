"""What the doctor asks about precipitation: does the detector in force score at full speed on this processor."""

from collections.abc import Callable
from functools import partial

from plate_assets.orchestration.resources import registries_of
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings


def questions(settings: Settings) -> dict[str, Callable[[], tuple[bool, str]]]:
    """The questions by name, each answered by whether all is well and what is said."""
    return {"arithmetic": partial(_arithmetic, settings)}


def _arithmetic(settings: Settings) -> tuple[bool, str]:
    from plate_assets.learning.arithmetic import multiplies_bfloat16, multiplies_int8

    able = {"bfloat16": multiplies_bfloat16(), "int8": multiplies_int8()}
    registry = registries_of(settings).of(DETECTOR)
    champion = registry.champion()
    precision = registry.load(champion).architecture.get("precision") if champion else None
    if not able.get(precision or "", True):
        return False, (
            f"{champion} scores in {precision}, which this processor has no instructions for: a plate takes several times "
            "longer. Score on a processor that has them, or train the detector again here"
        )
    here = ["float32", *(name for name, found in able.items() if found)]
    return True, f"scores in {', '.join(here)}"
