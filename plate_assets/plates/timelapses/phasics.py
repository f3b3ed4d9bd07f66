"""Phasics' SID4 TIFFs: their tags, and the optical path difference that their pixels stand for.

Belongs here: the vendor's own scale and clock. Not here: opening TIFFs (`tiff`), what a path difference weighs.
"""

import re
from typing import Any

import numpy as np

_SETTINGS, _HIGH, _LOW, _SAMPLES = 61238, 61242, 61243, 281  # Phasics' own TIFF tags, and TIFF's MaxSampleValue


def is_phasics(page: Any) -> bool:
    """Whether a TIFF's page has the tags of Phasics' software."""
    return all(tag in page.tags for tag in (_SETTINGS, _HIGH, _LOW))


def settings_of(page: Any) -> tuple[float | None, float | None]:
    """`phasics_settings` of a page."""
    return phasics_settings(str(page.tags[_SETTINGS].value))


def opd_image(tiff: Any) -> np.ndarray:
    """(h, w) float32 OPD in nm of an open SID4 TIFF.

    The second page is in wavelengths, of the same moment as the intensity; without a wavelength the third, in nm.
    """
    wavelength_nm, _ = settings_of(tiff.pages[0])
    page = tiff.pages[1 if wavelength_nm else 2]
    low, high, samples = (float(page.tags[tag].value) for tag in (_LOW, _HIGH, _SAMPLES))
    return phasics_opd_nm(page.asarray(), low, high, samples, wavelength_nm)


def phasics_settings(text: str) -> tuple[float | None, float | None]:
    """Wavelength in nm and time of day in hours since 1970, of the settings in a SID4 TIFF of Phasics; None where not said.

    The time reads `2016-04-29_17h31m35s.00827`; its last figures are hundred-thousandths of a second.
    """
    wavelength = _setting(text, "lambda(nm)")
    clock = re.match(r"(\d+-\d+-\d+)_(\d+)h(\d+)m(\d+)s[.,](\d+)", _setting(text, "date &amp; heure") or "")
    hours = None
    if clock is not None:
        days = int((np.datetime64(clock[1]) - np.datetime64("1970-01-01")).astype(int))
        hours = days * 24 + int(clock[2]) + int(clock[3]) / 60 + (int(clock[4]) + int(clock[5]) * 1e-5) / 3600
    return float(wavelength.replace(",", ".")) if wavelength else None, hours


def phasics_opd_nm(pixels: np.ndarray, low: float, high: float, samples: float, wavelength_nm: float | None) -> np.ndarray:
    """(h, w) float32 OPD in nm of a SID4 page, whose pixels from 0 to `samples` span `low` to `high` wavelengths (or nm)."""
    span = (high - low) / samples if samples else 0.0
    return ((pixels * span + low) * (wavelength_nm or 1.0)).astype(np.float32)


def _setting(text: str, name: str) -> str | None:
    found = re.search(rf"<Name>{re.escape(name)}</Name>\s*(?:\\[rn])*\s*<Val>([^<]*)</Val>", text, re.IGNORECASE)
    return found[1].strip() if found else None
