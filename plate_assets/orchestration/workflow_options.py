"""What parts of the settings mean to the workflows: how folders are read, how scores become calls.

Belongs here: the translation of settings into the parameters of workflows, one function each. Not here: the settings.
"""

from typing import TYPE_CHECKING

from plate_assets.plates.fields import View
from plate_assets.plates.readers import Defaults, ReadOptions
from plate_assets.plates.readers.text_options import parse_channel_names, parse_objective, parse_wavelengths
from plate_assets.settings import Settings, variable
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.registry import NoSuchModel, Registries
from plate_assets.workflows.drift.monitor import LineSettings
from plate_assets.workflows.dry_mass.timelapse import TimelapseSettings
from plate_assets.workflows.precipitation.score import CallSettings

if TYPE_CHECKING:
    from plate_assets.drift.acquisitions import DriftSettings


def read_options(settings: Settings) -> ReadOptions:
    """How acquisition folders are read."""
    return ReadOptions(
        pattern=settings.pattern or None,
        defaults=Defaults(
            pixel_um=settings.pixel_um,
            plate_format=settings.plate_format,
            objective=parse_objective(settings.objective),
            channel_names=parse_channel_names(settings.channel_names),
            wavelengths_nm=parse_wavelengths(settings.wavelengths_nm),
        ),
    )


def view_of(settings: Settings) -> View:
    """What of a well is looked at."""
    return View(settings.channel or None, settings.planes, settings.sites, settings.illumination)


def phase_settings(settings: Settings) -> TimelapseSettings:
    """What holds of a time-lapse where its own `timelapse.json` does not say otherwise."""
    return TimelapseSettings(
        unit=settings.phase_unit or None,
        factor=settings.phase_factor,
        pixel_um=settings.phase_pixel_um,
        wavelength_nm=settings.phase_wavelength_nm,
        alpha_um3_per_pg=settings.phase_alpha,
        interval_min=settings.phase_interval_min,
    )


def drift_settings(settings: Settings) -> "DriftSettings":
    """How an acquisition is tested for drift."""
    from plate_assets.drift.acquisitions import DriftSettings

    return DriftSettings(alpha=settings.drift_alpha, null=settings.drift_null, tolerance_h=settings.drift_tolerance_h)


def line_settings(settings: Settings) -> LineSettings:
    """How a line of acquisitions is watched."""
    return LineSettings(
        window=settings.drift_window, ert=settings.drift_ert, wells_per_acquisition=settings.drift_wells or None,
        tolerance_h=settings.drift_tolerance_h,
    )  # fmt: skip


def call_settings(settings: Settings) -> CallSettings:
    """How scores become calls."""
    return CallSettings(settings.contamination, settings.call_method)


def version_in_force(registries: Registries, settings: Settings, kind: ModelKind) -> str:
    """The version of a kind that judges what arrives, as tables name it; NoSuchModel where nobody has promoted one."""
    return registries.of(kind).version_of(settings.model_of(kind))


def bundle_of(registries: Registries, settings: Settings, kind: ModelKind, model_version: str) -> ModelBundle:
    """The model that made a table: the registry's, by its version, or the settings' folder if it still holds that model."""
    if model_version.startswith("models:"):
        return registries.of(kind).load(model_version)
    if version_in_force(registries, settings, kind) != model_version:
        raise NoSuchModel(
            f"the tables were made by {model_version}, and {variable(kind.setting)} names another {kind.noun}: make them again"
        )
    return registries.of(kind).load(settings.model_of(kind))
