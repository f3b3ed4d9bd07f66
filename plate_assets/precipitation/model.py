"""The models of precipitation as data: the kind that the registry keeps, and what a training is configured by.

Belongs here: declarations that the whole house may read, light ones. Not here: networks and trainings (`detector`, `embedding`,
`detector_training`, `embedding_training`). The text beside a field's type is what people read of it in the UI and the command.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from plate_assets.storage.model_kind import ModelKind, Tensor

DETECTOR = ModelKind(
    science="precipitation",
    name="precipitation-detector",
    noun="detector",
    about="Detectors of precipitates; `champion` scores at night.",
    loader="plate_assets.precipitation.detector:Detector",
    takes=Tensor("tiles", "uint8", (-1, -1, -1)),  # any number of grey tiles of any size
    gives=Tensor(None, "float64", (-1,)),
    reviewed=("backbone",),
)

Reduction = Literal["mean", "sum", "max", "topk"]


@dataclass(frozen=True)
class DetectorConfig:
    """How a detector is trained, and the budget that every backbone gets alike."""

    backbone: Annotated[str, "cnn27, vgg16, resnet101, inceptionv3, inceptionresnetv2 or xception"] = "cnn27"
    mode: Annotated[Literal["semi_supervised", "one_class"], "From tiles of both classes, or from normal ones alone"] = (
        "semi_supervised"
    )
    epochs: Annotated[int, "Epochs at most"] = 40
    tiles_per_epoch: Annotated[int, "Tiles that an epoch shows"] = 2_000
    seconds: Annotated[float, "Time budget of the training, s; the epoch that is under way is finished"] = 7_200.0
    batch: Annotated[int, "Tiles of a batch"] = 32
    anomalous_share: Annotated[float, "Of anomalous tiles in each batch; the tiles themselves stand ten to one"] = 0.3
    learning_rate: Annotated[float, "Of the first epoch"] = 1e-3
    decay: Annotated[float, "Of the learning rate, each epoch"] = 0.985
    optimiser: Annotated[Literal["adam", "sgd"], "Adam, or SGD with Nesterov momentum"] = "adam"
    patience: Annotated[int, "Epochs without a better validation before the training stops"] = 10
    frozen_stages: Annotated[int, "First stages of the trunk that stay as they start"] = 0
    seed: Annotated[int, "Of everything random"] = 0
    input_px: Annotated[int | None, "Side that tiles are resized to, px; none: the backbone's own"] = None
    normalisation: Annotated[str, "Of a tile: relative contrast, tile or dataset"] = "relative"
    precision: Annotated[str, "Of scoring: float32, bfloat16 or int8"] = "float32"
    um_per_px: Annotated[float | None, "Pixel size of the tiles, µm; none: they have none"] = 2.82
    reduction: Annotated[Reduction, "Of a map to its score; max: for anomalies that are small"] = "mean"
    views: Annotated[str, "one; mirrored: a score is the mean over a tile's mirror images, in four times the time"] = "one"
    loss_reduction: Annotated[Reduction, "As reduction, in the loss; topk: as max, but more than one place learns"] = "mean"
    synthetic_share: Annotated[float, "Of each batch: normal tiles with synthetic anomalies, whose places are known"] = 0.0
    symmetry: Annotated[Literal["square", "rectangle", "none"], "Which rotations and mirror images are shown as well"] = (
        "square"
    )
    stretch: Annotated[float, "Random scale, proportions and shift of what is shown, as a share"] = 0.0
    average: Annotated[float, "Share of the past in a running average of the weights, which is then kept; 0: none"] = 0.0


# Of a folder of pictures that are shown whole. Pictures from anywhere share no exposure: each is taken to mean 0 and standard
# deviation 1. No row becomes a column: a picture that is not square would be shown stretched the wrong way. Dozens of anomalous
# pictures teach little, and an anomaly is small: synthetic ones whose places are known are added, and the largest value of a
# map counts, as the mean over the picture's mirror images: one peak of noise weighs less.
FROM_A_FOLDER = DetectorConfig(
    epochs=24, seconds=240.0, batch=8, anomalous_share=0.375, synthetic_share=0.25, symmetry="rectangle", stretch=0.1,
    reduction="max", loss_reduction="topk", views="mirrored", average=0.99, normalisation="tile", um_per_px=None,
)  # fmt: skip


@dataclass(frozen=True)
class EmbeddingConfig:
    """How the embedding is trained; the defaults are the paper's, but for the seed and how often the state is kept."""

    trunk: Annotated[Literal["cnn15", "cnn27"], "cnn27: a detector on CNN27 can start from its weights"] = "cnn15"
    embedding_size: Annotated[int, "Length of a tile's vector"] = 32
    input_px: Annotated[int, "Side that tiles are resized to, px; the time goes with its square"] = 300
    iterations: Annotated[int, "Batches that are learnt from"] = 5_000
    batch: Annotated[int, "Tiles of a batch"] = 36
    tau: Annotated[float, "Temperature of the loss"] = 0.3
    v: Annotated[float, "Weight of the positives in the loss"] = 0.15
    learning_rate: Annotated[float, "Of Adam"] = 1e-4
    betas: Annotated[tuple[float, float], "Of Adam; the second is not the usual 0.999"] = (0.9, 0.99)
    seed: Annotated[int, "Of everything random"] = 0
    keep_every: Annotated[int, "Iterations after which the state is kept, so that a kill costs no more than these"] = 100
