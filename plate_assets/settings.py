"""The platform's settings, typed, read from the environment once, where the process starts.

Belongs here: every variable that the platform reads, with its default and meaning. Not here: settings of Dagster itself
(`dagster.yaml`), choices of one run (an asset's `Config`). Known to `definitions`, `cli` and `orchestration` only.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from plate_assets.storage.model_kind import ModelKind

PREFIX = "PLATE_ASSETS_"
RENAMED = {"MODEL": "PRECIPITATION_MODEL"}  # settings of earlier versions: what each is called now
_MODEL = re.compile(rf"{PREFIX}(\w+)_MODEL")


def variable(field: str) -> str:
    """The variable of a setting; `<SCIENCE>` stands for the name of each science."""
    return f"{PREFIX}<SCIENCE>_MODEL" if field == "models" else f"{PREFIX}{field.upper()}"


class ModelsInTheEnvironment(PydanticBaseSettingsSource):
    """The variables `PLATE_ASSETS_<SCIENCE>_MODEL` as one setting, so that a new science needs none of its own."""

    def __call__(self) -> dict[str, Any]:
        found = {match[1].lower(): value for name, value in os.environ.items() if value and (match := _MODEL.fullmatch(name))}
        return {"models": found} if found else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Of no other setting."""
        return None, field_name, False


class Settings(BaseSettings):
    """Each field is the variable that `variable` names; its description is what `deploy/plate-assets.env.example` says."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(
        default=Path("plate_assets_home"), description="Folder of everything the platform keeps, unless said otherwise below"
    )
    arrivals: str = Field(
        default="", description="Folder or object-store URL where the microscopes put their exports; default: HOME/arrivals"
    )
    storage: str = Field(
        default="", description="Folder or object-store URL of tables, arrays and reports; default: HOME/storage"
    )
    platemaps: str = Field(
        default="", description="Folder of plate maps; default: HOME/platemaps. A map beside the images wins"
    )
    timelapses: str = Field(
        default="",
        description="Folder or URL where phase time-lapses and tracks arrive, a folder each; default: HOME/timelapses",
    )
    mlflow_tracking_uri: str = Field(
        default="", description="MLflow tracking server or database; default: SQLite in HOME/mlflow.db"
    )
    ui_url: str = Field(default="http://127.0.0.1:3000", description="Where people open the Dagster UI: used in links")

    pattern: str = Field(
        default="", description="File names of image folders: a preset's name or a regular expression with named groups"
    )
    pixel_um: float | None = Field(
        default=None, gt=0, description="Pixel size in µm where the vendor's metadata does not say it"
    )
    plate_format: int | None = Field(
        default=None, description="Wells of a plate (6, 12, 24, 48, 96, 384, 1536) where nothing else says it"
    )
    objective: str = Field(
        default="", description="Objective where the vendor's metadata does not say it, as 10x or 10x/0.3 (numerical aperture)"
    )
    channel_names: str = Field(
        default="", description="Better names for channels as they are found, as w1=DAPI,w2=phase: spaces belong to the names"
    )
    wavelengths_nm: str = Field(
        default="", description="Excitation/emission in nm where the vendor does not say them, as DAPI=405/450,phase=/530"
    )
    channel: str = Field(
        default="", description="Channel that is scored; default: the first, brightfield or phase before fluorescence"
    )

    planes: str = Field(
        default="middle", description="Focal planes become one image: middle, projection (maximum), best_focus, or one's number"
    )
    sites: Literal["apart", "placed"] = Field(
        default="apart", description="Sites of a well: kept apart, or placed by stage position into one image of the well"
    )
    illumination: Literal["none", "vendor", "estimated", "auto"] = Field(
        default="auto",
        description="Uneven light is divided out by the vendor's profile, an estimated one, auto: either; or none",
    )

    settle_looks: int = Field(
        default=3, ge=2, description="Looks with an unchanged listing after which a folder without a marker is complete"
    )
    sensor_seconds: int = Field(default=30, ge=5, description="Seconds between two looks at the arrivals folder")
    recheck_folders: int = Field(default=50, ge=0, description="Known folders looked at again at each look, in rotation")
    allow_missing: bool = Field(default=False, description="Run a plate although images that its metadata names are missing")

    night_schedule: str = Field(default="0 22 * * *", description="Cron expression: when the night's scoring is requested")
    morning_schedule: str = Field(default="0 6 * * *", description="Cron expression: when the morning page is written")
    timezone: str = Field(default="UTC", description="Time zone of the two schedules")
    webhook_url: SecretStr = Field(
        default=SecretStr(""), description="URL that gets the morning page in short; a secret, never logged"
    )

    models: dict[str, str] = Field(
        default={}, description="Model that judges what arrives, of each science; default: its champion"
    )
    contamination: float = Field(
        default=0.01, gt=0, lt=0.5, description="Share of the reference above the threshold (lambda of Yasuno's eq. 12)"
    )
    call_method: Literal["one_sided", "paper_forest"] = Field(
        default="one_sided", description="Isolation above the reference only, or the paper's plain two-sided forest"
    )
    phase_unit: Literal["", "rad", "nm", "um", "relative"] = Field(
        default="", description="Unit of phase images where the file does not say it: rad, nm, um, or relative (then no pg)"
    )
    phase_factor: float | None = Field(
        default=None, description="What 1 stands for in phase images of whole numbers, in the unit above"
    )
    phase_pixel_um: float | None = Field(
        default=None, gt=0, description="Pixel size of phase images in µm where the file does not say it"
    )
    phase_wavelength_nm: float | None = Field(
        default=None, gt=0, description="Wavelength of phase images in nm where the file does not say it"
    )
    phase_interval_min: float | None = Field(
        default=None, gt=0, description="Minutes between the frames of a time-lapse where the file does not say it"
    )
    phase_alpha: float | None = Field(
        default=None, gt=0, description="Specific refraction increment of dry mass in µm³/pg; default: 0.18"
    )
    drift_alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="Rate of false alarms of the drift test of one acquisition"
    )
    drift_null: Literal["leave_one_plate_out", "log_normal"] = Field(
        default="leave_one_plate_out",
        description="How reference plates differ: by rank, exact, or fitted, for fewer plates than 1 / alpha",
    )
    drift_tolerance_h: float = Field(
        default=6.0, ge=0, description="Hours by which the age of a reference acquisition may differ"
    )
    drift_action: Literal["warn", "block"] = Field(
        default="warn", description="What drift does: warn, or block, which withholds the calls of the acquisition"
    )
    drift_line: str = Field(
        default="",
        description="Regular expression on the plate's name; its groups name the assay that is watched as a line of its own",
    )
    drift_window: int = Field(default=20, ge=2, description="Wells that the online test of a line looks at together")
    drift_ert: float = Field(default=256.0, ge=2, description="Mean number of wells until a false alarm of a line")
    drift_wells: int = Field(default=4, ge=0, description="Wells of each acquisition that a line takes; 0: all")
    weights: str = Field(
        default="",
        description="Pretrained weights of trunks: folder, URL or a model of ours; default: none, training starts from scratch",
    )
    threads: int = Field(default=0, ge=0, description="Threads of one run's arithmetic; default: cores over concurrent runs")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given by name, then the environment."""
        return init_settings, ModelsInTheEnvironment(settings_cls), env_settings

    @model_validator(mode="before")
    @classmethod
    def _by_its_present_name(cls, given: Any) -> Any:
        for old, new in RENAMED.items():
            if os.environ.get(PREFIX + old):
                raise ValueError(f"{PREFIX}{old} is called {PREFIX}{new} now: set that instead")
        return given

    @field_validator("objective", "channel_names", "wavelengths_nm")
    @classmethod
    def _readable(cls, text: str, info: ValidationInfo) -> str:
        from plate_assets.plates.readers.text_options import parse_channel_names, parse_objective, parse_wavelengths

        readers = {"objective": parse_objective, "channel_names": parse_channel_names, "wavelengths_nm": parse_wavelengths}
        readers[str(info.field_name)](text)
        return text

    @field_validator("drift_line")
    @classmethod
    def _an_expression(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return text

    @field_validator("planes")
    @classmethod
    def _known_planes(cls, planes: str) -> str:
        if planes not in ("middle", "projection", "best_focus") and not planes.isdecimal():
            raise ValueError("middle, projection, best_focus or a plane's number is needed")
        return planes

    @field_validator("plate_format")
    @classmethod
    def _known_format(cls, wells: int | None) -> int | None:
        from plate_assets.plates.layout import PlateFormat

        return None if wells is None else PlateFormat(wells).wells

    def model_of(self, kind: ModelKind) -> str:
        """The model of a kind that judges what arrives."""
        return self.models.get(kind.science, kind.champion)

    def _at_home(self, given: str, name: str) -> str:
        return given or str(self.home.resolve() / name)

    @property
    def arrivals_root(self) -> str:
        return self._at_home(self.arrivals, "arrivals")

    @property
    def timelapses_root(self) -> str:
        return self._at_home(self.timelapses, "timelapses")

    @property
    def storage_root(self) -> str:
        return self._at_home(self.storage, "storage")

    @property
    def platemaps_root(self) -> str:
        return self._at_home(self.platemaps, "platemaps")

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"

    @property
    def artifacts_root(self) -> str | None:
        """Where MLflow puts artifacts; a server decides for itself."""
        return None if self.mlflow_tracking_uri else str(self.home.resolve() / "mlflow_artifacts")
