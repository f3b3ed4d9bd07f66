"""The model of dry mass as data: the kind that the registry keeps, and what a training is configured by.

Belongs here: declarations that the whole house may read, light ones. Not here: the network and its training (`forecaster`,
`forecaster_training`). The text beside a field's type is what people read of it in the UI and the command.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from plate_assets.storage.model_kind import ModelKind, Tensor

INPUT_POINTS, TARGET_POINTS = 120, 60  # of a window: 20 h that are seen and 10 h that are forecast
SHARES = (0.8, 0.1, 0.1)

Feature = Literal["dry_mass", "area", "thickness", "speed"]
Smoothing = Literal["centred_7", "trailing_6"]
ThresholdRule = Literal["mean_2std", "quantile_0.975", "quantile_0.95"]

FORECASTER = ModelKind(
    science="dry_mass",
    name="dry-mass-forecaster",
    noun="forecaster",
    about="Forecasters of dry mass; windows that `champion` forecasts badly are abnormal.",
    loader="plate_assets.dry_mass.forecaster:Forecaster",
    takes=Tensor("windows", "float32", (-1, INPUT_POINTS, -1)),  # windows of standardised features, 10 min apart
    gives=Tensor(None, "float64", (-1, TARGET_POINTS)),
    reviewed=("features", "unit"),
)


@dataclass(frozen=True)
class ForecasterConfig:
    """What is trained, and the budget. The paper states neither optimiser nor epochs: Adam, stopped early.

    parity: the paper's own ways that leak: split by path, each subset standardised by itself, every window as often as there
    are paths through it. threshold: eq. 6, or a quantile of the errors, which are skewed, so that mean + 2 std is not the 95 %
    that the paper calls it. threshold_on: the paper takes the training windows; with few lineages a network knows those by
    heart, and the validation ones say better what an ordinary error is. cell_threshold: of the score A; None: mean + 2 std over
    the paths of `threshold_on` where the score flags alone, mean + 5 std where signs flag as well (`CELL_SIGMAS`).
    """

    features: Annotated[tuple[Feature, ...], "What is seen of a cell; the first is dry_mass, which is forecast"] = ("dry_mass",)
    padding: Annotated[Literal["valid", "same"], "Of the convolutions; same: each window is forecast by itself"] = "valid"
    smoothing: Annotated[Smoothing, "Of the 10 h that are forecast"] = "centred_7"
    parity: Annotated[bool, "The paper's own split and normalisation, which leak"] = False
    shares: Annotated[tuple[float, float, float], "Of lineages in training, validation and test"] = SHARES
    epochs: Annotated[int, "Epochs at most"] = 60
    seconds: Annotated[float, "Time budget of the training, s; the epoch that is under way is finished"] = 3_600.0
    windows_per_epoch: Annotated[int, "Windows that an epoch shows"] = 50_000
    learning_rate: Annotated[float, "Of the first epoch"] = 1e-3
    patience: Annotated[int, "Epochs without a better validation before the training stops"] = 10
    threshold: Annotated[ThresholdRule, "Of a window's error: the paper's rule, or a quantile"] = "mean_2std"
    threshold_on: Annotated[Literal["train", "validation"], "Windows that the threshold is taken from"] = "train"
    cell_threshold: Annotated[float | None, "Of a cell's share of abnormal windows; none: from the training's paths"] = None
    seed: Annotated[int, "Of everything random"] = 0
