"""What a detector is trained on: the sample's embedding, its map and clusters, and the sheets a person names them from.

Belongs here: these jobs on stacks and tables, without Dagster. Not here: the draw of the sample (`sampling`), what an
embedding or a cluster is (`precipitation`), training the detector (`detectors`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.plates.layout import Well
from plate_assets.precipitation.model import EmbeddingConfig
from plate_assets.precipitation.tables import PATCH_EMBEDDINGS, PATCH_MAP
from plate_assets.progress import Progress
from plate_assets.storage.arrays import LazyArray, Stack, in_memory
from plate_assets.storage.models import ModelBundle
from plate_assets.workflows.precipitation.sampling import SampleError, sample_acquisitions, training_sample

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.embedding import EmbeddingModel

__all__ = [
    "EmbeddingRun", "SampleError", "contact_sheets", "embed", "map_tiles",
    "sample_acquisitions", "suggest_from_truth", "train_embedding", "training_sample",
]  # fmt: skip


@dataclass(frozen=True)
class EmbeddingRun:
    """A trained embedding: the model as it is stored, the loss of each iteration, and what the classes were."""

    bundle: ModelBundle
    losses: list[float]
    supervision: str  # `labels`, or `pairs` of views of one tile


def train_embedding(
    sample: Stack,
    config: EmbeddingConfig,
    *,
    seed_labels: pl.DataFrame | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> EmbeddingRun:
    """Train the embedding on a training sample.

    Classes are, in this order: the table's `label` column; seed_labels (`label` beside any of the tile keys, for example
    coarse names of wells: normal, chemical, necrotic); else two views of one tile are a class (augmentation pairs).
    checkpoint: see `learning.training`. progress: blocks of `keep_every` iterations.
    """
    from plate_assets.learning.training import train
    from plate_assets.precipitation.embedding_training import EmbeddingTraining

    training = EmbeddingTraining.of(in_memory(sample.array), _classes(sample.table, seed_labels), config)
    trained = train(training, checkpoint=checkpoint, progress=progress)
    bundle = ModelBundle(trained.model.architecture, trained.model.weights)
    return EmbeddingRun(bundle, trained.losses.tolist(), trained.supervision)


def _classes(table: pl.DataFrame, seed_labels: pl.DataFrame | None) -> "np.ndarray | None":
    """Integer class of each tile, -1 for none; None where nothing says any class."""
    from plate_assets.precipitation.embedding_training import UNLABELLED

    if "label" in table.columns:
        labels = table["label"]
    elif seed_labels is not None:
        keys = [name for name in table.columns if name in seed_labels.columns and name != "label"]
        known = seed_labels.select(*keys, "label").unique(keys)
        labels = table.join(known, on=keys, how="left", maintain_order="left")["label"]
    else:
        return None
    numbers = {name: number for number, name in enumerate(labels.drop_nulls().unique().sort())}
    return labels.replace_strict(numbers, default=UNLABELLED, return_dtype=pl.Int64).to_numpy()


def embedding_of(bundle: ModelBundle) -> "EmbeddingModel":
    """The embedding model of a bundle."""
    from plate_assets.precipitation.embedding import EmbeddingModel

    return EmbeddingModel.from_parts(bundle.architecture, bundle.weights)


def embed(stack: Stack, bundle: ModelBundle, model_version: str, progress: Progress | None = None) -> pl.DataFrame:
    """The table PATCH_EMBEDDINGS of the tiles of a stack, in their order."""
    vectors = embedding_of(bundle).embed(stack.array, progress=progress)
    column = pl.Series("embedding", vectors).cast(pl.List(pl.Float32))
    rows = stack.table.with_columns(column, model_version=pl.lit(model_version))
    return PATCH_EMBEDDINGS.conform(rows.select([c.name for c in PATCH_EMBEDDINGS.columns]))


def map_tiles(
    sample: Stack, bundle: ModelBundle, perplexity: float = 30.0, seed: int = 0, progress: Progress | None = None
) -> pl.DataFrame:
    """The table PATCH_MAP: t-SNE of the training sample's embeddings."""
    vectors = embedding_of(bundle).embed(sample.array, progress=progress)
    return _placed(sample.table, vectors, perplexity, seed)


def _placed(table: pl.DataFrame, vectors: "np.ndarray", perplexity: float, seed: int) -> pl.DataFrame:
    from plate_assets.precipitation.clusters import map_to_plane

    places = map_to_plane(vectors, perplexity, seed)
    rows = table.with_columns(map_x=pl.Series(places[:, 0]), map_y=pl.Series(places[:, 1]))
    return PATCH_MAP.conform(rows.select([c.name for c in PATCH_MAP.columns]))


def contact_sheets(
    clusters: pl.DataFrame, pixels: "np.ndarray | LazyArray", tiles: int = 40, seed: int = 0
) -> dict[int, bytes]:
    """A PNG for each cluster, outliers (-1) last: some of its tiles, drawn from all of them, with its size and plates."""
    from plate_assets.precipitation.figures import contact_sheet

    sheets = {}
    for cluster in sorted(clusters["cluster"].unique(), key=lambda number: (number < 0, number)):
        members = clusters.filter(pl.col("cluster") == cluster)
        shown = members.sample(min(tiles, members.height), seed=seed, shuffle=False).sort("index")
        plates, wells = members["Metadata_Plate"].n_unique(), members.select("Metadata_Plate", "Metadata_Well").n_unique()
        name = "Outliers" if cluster < 0 else f"Cluster {cluster}"
        title = f"{name}: {members.height} tiles of {plates} plate{'s' * (plates > 1)}, {wells} well{'s' * (wells > 1)}"
        captions = [f"{plate} {well}" for plate, well in shown.select("Metadata_Plate", "Metadata_Well").iter_rows()]
        sheets[int(cluster)] = contact_sheet(pixels[shown["index"].to_numpy()], captions, title)
    return sheets


def suggest_from_truth(clusters: pl.DataFrame, truth: pl.DataFrame) -> dict[int, str]:
    """A name for each cluster by the majority of a truth table (tile keys and `label`): what the demo says for a person.

    A truth of several geometries says so in a column; the training geometry is taken, as the sample was.
    """
    from plate_assets.precipitation.labels import majority_names

    if "geometry" in truth.columns:
        truth = truth.filter(pl.col("geometry") == "training")
    named = {well: Well.parse(well).name for well in truth["Metadata_Well"].unique()}
    return dict(majority_names(clusters, truth.with_columns(pl.col("Metadata_Well").replace_strict(named))))
