"""The training assets: a sample of tiles, their embedding and clusters, labels from people, detectors, and their comparison."""

from typing import Any, Literal

import dagster as dg
import polars as pl
from pydantic import Field

from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.plates import acquisition
from plate_assets.orchestration.assets.precipitation.decisions import cluster_labels, expert_labels
from plate_assets.orchestration.chains import table_asset
from plate_assets.orchestration.config import configured, configures
from plate_assets.orchestration.instance_state import materialised_acquisitions
from plate_assets.orchestration.metadata import logged_progress, picture
from plate_assets.orchestration.partitions import backbones
from plate_assets.orchestration.registration import register
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import fields_of, stored_acquisition, stored_plate
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.precipitation import tables
from plate_assets.precipitation.model import DETECTOR, DetectorConfig, EmbeddingConfig
from plate_assets.settings import Settings
from plate_assets.storage.arrays import Stack, read_stack
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.registry import Registries

_training: dict[str, Any] = {"group_name": "training", "code_version": "1"}


class SampleConfig(dg.Config):
    """How many tiles, from which acquisitions; without a list from all that were let in."""

    tiles: int = 20_000
    acquisitions: list[str] = []
    seed: int = 0


@table_asset(tables.TRAINING_SAMPLE, group_name="training", stack=True, deps=[acquisition], kinds={"zarr", "polars"})
def training_sample(
    context: dg.AssetExecutionContext,
    config: SampleConfig,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """Tiles of the inner well (Yasuno's training geometry), spread over plates and wells, without what people excluded."""
    from plate_assets.workflows.precipitation.training_data import sample_acquisitions

    chosen = config.acquisitions or sorted(materialised_acquisitions(context.instance))
    acquisitions = (
        (fields_of(storage, settings, key, known), platemap)
        for key in chosen
        for known, platemap in [stored_acquisition(storage, settings, key)]
    )
    blocks = sample_acquisitions(
        acquisitions, len(chosen), tiles=config.tiles, seed=config.seed,
        exclusions=read_rows(storage.exclusions, EXCLUSIONS), progress=logged_progress(context, "acquisitions sampled"),
    )  # fmt: skip
    return dg.MaterializeResult(value=blocks, metadata={"acquisitions": len(chosen), "seed": config.seed})


@configures(EmbeddingConfig)
class EmbeddingRun(dg.Config):
    """The embedding's training; the defaults are the paper's."""


@dg.asset(**_training, deps=[expert_labels], kinds={"torch"}, io_manager_key="models", pool="torch")
def embedding_model(
    context: dg.AssetExecutionContext,
    config: EmbeddingRun,
    training_sample: Stack,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """The metric-learning network (MN-pair loss) that puts alike tiles next to each other.

    Conditions that an expert judged give coarse classes; where none of the sampled plates was judged, two views of a tile do.
    """
    from plate_assets.precipitation.figures import training_curves
    from plate_assets.workflows.precipitation.labelling import expert_labels_in_force, seed_labels
    from plate_assets.workflows.precipitation.training_data import train_embedding

    prepare_arithmetic(settings.threads)
    sampled = training_sample.table["acquisition"].unique().sort()
    platemaps = {key: stored_acquisition(storage, settings, key)[1] for key in sampled}
    trained = train_embedding(
        training_sample,
        configured(EmbeddingConfig, config),
        seed_labels=seed_labels(platemaps, expert_labels_in_force(storage.expert_labels)),
        checkpoint=storage.checkpoint("embedding_model.safetensors"),
        progress=logged_progress(context, "hundreds of iterations"),
    )  # fmt: skip
    return dg.MaterializeResult(
        value=trained.bundle,
        metadata={
            "last loss": trained.losses[-1],
            "iterations": len(trained.losses),
            "classes from": trained.supervision,
            "curve": picture(training_curves({"MN-pair loss": trained.losses}, "Embedding: training loss"), "training loss"),
        },
    )


class MapConfig(dg.Config):
    """The map's parameters."""

    perplexity: float = 30.0
    seed: int = 0


@table_asset(tables.PATCH_MAP, group_name="training", kinds={"scikitlearn"})
def patch_map(
    context: dg.AssetExecutionContext,
    config: MapConfig,
    training_sample: Stack,
    embedding_model: ModelBundle,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Every tile of the sample on one t-SNE map of its embedding."""
    from plate_assets.workflows.precipitation.training_data import map_tiles

    prepare_arithmetic(settings.threads)
    table = map_tiles(
        training_sample, embedding_model, config.perplexity, config.seed, logged_progress(context, "tiles embedded")
    )
    return dg.MaterializeResult(value=table, metadata={"perplexity": config.perplexity, "seed": config.seed})


class ClusterConfig(dg.Config):
    """How clusters are found; 0: eps from the elbow of the k-distance curve, min_samples as max(10, 0.1 % of the tiles)."""

    method: str = "dbscan"  # the paper's; `hdbscan` where the map holds sheets that one radius joins
    eps: float = 0.0
    min_samples: int = 0


@table_asset(tables.CLUSTERS, group_name="training", kinds={"scikitlearn"})
def patch_clusters(config: ClusterConfig, patch_map: pl.DataFrame) -> dg.MaterializeResult:
    """The clusters of the map. A person names them: `plate-assets label` shows their contact sheets."""
    from plate_assets.precipitation.clusters import cluster_map
    from plate_assets.precipitation.figures import cluster_scatter

    clusters, parameters = cluster_map(patch_map, config.method, config.eps or None, config.min_samples or None)
    title = "Clusters of the training sample"
    return dg.MaterializeResult(
        value=clusters,
        metadata={
            "clusters": int((clusters["cluster"].unique() > 0).sum()),
            "outliers": clusters.filter(pl.col("cluster") < 0).height,
            **parameters,
            "map": picture(cluster_scatter(clusters, title), title),
        },
    )


@table_asset(tables.LABELLED_PATCHES, group_name="training", deps=[cluster_labels], kinds={"polars"})
def labelled_patches(patch_clusters: pl.DataFrame, storage: dg.ResourceParam[Storage]) -> dg.MaterializeResult:
    """The tiles whose cluster a person named, split by plate or well. Stale when a name changes."""
    from plate_assets.precipitation.labels import apply_labels

    labelled = apply_labels(patch_clusters, read_rows(storage.cluster_labels, tables.CLUSTER_LABELS))
    counts = labelled.group_by("split", "label").len().sort("split", "label")
    lines = ["| split | label | tiles |", "|---|---|---|", *(f"| {s} | {name} | {n} |" for s, name, n in counts.iter_rows())]
    return dg.MaterializeResult(
        value=labelled, metadata={"tiles": labelled.height, "splits": dg.MetadataValue.md("\n".join(lines))}
    )


@configures(DetectorConfig, without=("backbone",))
class DetectorRun(dg.Config):
    """The budget of a training, equal for every backbone, what its trunk starts from, and what its reference comes from."""

    start: Literal["weights", "embedding_model"] = Field(
        default="weights",
        description="What the trunk starts from: PLATE_ASSETS_WEIGHTS, random where unset; or our embedding",
    )
    reference: list[str] = Field(default=[], description="Acquisitions of clean plates; none: all that an expert judged")


@dg.asset(
    partitions_def=backbones,
    **_training,
    deps=[expert_labels],
    kinds={"torch", "mlflow"},
    pool="torch",
)
def precipitation_detector(
    context: dg.AssetExecutionContext,
    config: DetectorRun,
    training_sample: Stack,
    labelled_patches: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """FCDD on one backbone, registered in MLflow as challenger with its curves, thresholds and reference scores."""
    from plate_assets.workflows.precipitation.labelling import expert_labels_in_force
    from plate_assets.workflows.precipitation.registration import detector_for_review

    prepare_arithmetic(settings.threads)
    labels = expert_labels_in_force(storage.expert_labels)
    keys = config.reference or judged_apart(labels, context.instance, storage)
    trained = detector_for_review(
        configured(DetectorConfig, config, backbone=context.partition_key),
        training_sample,
        labelled_patches,
        (stored_plate(storage, settings, key) for key in keys),
        labels,
        contamination=settings.contamination,
        weights=str(storage.model("embedding_model")) if config.start == "embedding_model" else settings.weights or None,
        checkpoint=storage.checkpoint(f"precipitation_detector-{context.partition_key}.safetensors"),
        progress=logged_progress(context, "epochs"),
    )  # fmt: skip
    return register(DETECTOR, trained, registries, context.run.run_id)


def judged_apart(labels: pl.DataFrame, instance: dg.DagsterInstance, storage: Storage) -> list[str]:
    """Acquisitions that an expert judged, of plates no detector learnt from: for reference and comparison."""
    learnt_from = read_stack(storage.stack("training_sample"), tables.TRAINING_SAMPLE).table["Metadata_Plate"].unique()
    apart = labels.filter(~pl.col("Metadata_Plate").is_in(learnt_from.implode()))
    judged = set(apart.select(pl.concat_str("Metadata_Plate", "Metadata_Timepoint", separator="_")).to_series())
    let_in = sorted(materialised_acquisitions(instance) & judged)
    return [key for key in let_in if storage.stack("patches", key).exists()]


@table_asset(
    tables.COMPARISON,
    group_name="training",
    deps=[precipitation_detector, expert_labels],
    kinds={"polars", "mlflow"},
    pool="torch",
)
def detector_comparison(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """Every detector's newest version against the experts' labels: the threshold for a plate comes from the other plates."""
    from plate_assets.workflows.precipitation.compare import compare_detectors
    from plate_assets.workflows.precipitation.labelling import expert_labels_in_force

    prepare_arithmetic(settings.threads)
    labels = expert_labels_in_force(storage.expert_labels)
    keys = judged_apart(labels, context.instance, storage)
    registry = registries.of(DETECTOR)
    models = {version.uri: registry.load(version.uri) for version in registry.newest_by_tag("backbone")}
    compared = compare_detectors(
        models, [stored_plate(storage, settings, key) for key in keys], labels, contamination=settings.contamination,
        method=settings.call_method, progress=logged_progress(context, "plates scored"),
    )  # fmt: skip
    return dg.MaterializeResult(
        value=compared.table,
        metadata={
            "plates": len(keys),
            "best AUC": compared.best(),
            "table": dg.MetadataValue.md(compared.markdown()),
            **{title: picture(png, title) for title, png in compared.figures.items()},
        },
    )
