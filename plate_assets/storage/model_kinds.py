"""The kinds of models in the registry: how each is called, what it takes and gives, and how a person gets one.

Belongs here: facts, as data. Not here: the registry itself (`registry`), the models (the sciences).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """One tensor as MLflow's signature shows it; -1 stands for any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelKind:
    """name: of the registered model; experiment: of its trainings; loader: module that MLflow's own commands call."""

    name: str
    experiment: str
    about: str
    made_by: str
    promoted_by: str
    loader: str
    noun: str
    champion_asset: str
    science: str
    takes: Tensor
    gives: Tensor


DETECTOR = ModelKind(
    name="precipitation-detector",
    experiment="precipitation",
    about="Detectors of precipitates; `champion` scores at night.",
    made_by="train a detector (job `train_precipitation`)",
    promoted_by="plate-assets promote",
    loader="plate_assets.workflows.pyfunc_loader",
    noun="detector",
    champion_asset="precipitation_champion",
    science="precipitation",
    takes=Tensor("tiles", "uint8", (-1, -1, -1)),  # any number of grey tiles of any size
    gives=Tensor(None, "float64", (-1,)),
)
FORECASTER = ModelKind(
    name="dry-mass-forecaster",
    experiment="dry_mass",
    about="Forecasters of dry mass; windows that `champion` forecasts badly are abnormal.",
    made_by="train a forecaster (job `train_dry_mass`)",
    promoted_by="plate-assets promote --kind dry_mass",
    loader="plate_assets.workflows.pyfunc_forecaster",
    noun="forecaster",
    champion_asset="dry_mass_champion",
    science="dry_mass",
    takes=Tensor("windows", "float32", (-1, 120, -1)),  # windows of standardised features, 10 min apart
    gives=Tensor(None, "float64", (-1, 60)),
)
