"""From names that a person gave to clusters, to labelled tiles with their split.

Belongs here: how decisions become labels and splits; pure functions on tables. Not here: clustering (`clusters`), where
decisions are kept, how groups are dealt (`learning.split`).
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from plate_assets.learning.split import SHARES, SPLITS, grouped_split
from plate_assets.precipitation.clusters import OUTLIER, clustering_fingerprint
from plate_assets.precipitation.tables import CLUSTER_NAMES, LABELLED_PATCHES

ANOMALOUS = ("chemical", "necrotic")
TILE = ("Metadata_Plate", "Metadata_Timepoint", "Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col")
EXCLUDED = "other"  # no tile of a cluster with this name is trained or tested on
REMEDY = "look at the contact sheets of the present clusters and name them with `plate-assets label`"


class LabelError(ValueError):
    """Decisions that do not fit the clustering; the message says what to do."""


def names_of_clusters(clusters: pl.DataFrame, decisions: pl.DataFrame) -> dict[int, str]:
    """The name of each cluster that has one: the last decision on it counts, by time, equal times by the order of rows.

    clusters: table CLUSTERS; decisions: table CLUSTER_LABELS, whose rows on earlier clusterings are history. LabelError where
    no decision speaks of this clustering, one names a cluster that is not there, or a name is unknown.
    """
    present = clustering_fingerprint(clusters)
    own = decisions.filter(pl.col("clustering") == present).sort("decided_at", maintain_order=True)
    if own.is_empty():
        others = decisions["clustering"].unique(maintain_order=True).to_list()
        spoken = f"the labels speak of clustering {', '.join(others)}" if others else "there are no labels"
        raise LabelError(f"{spoken}, and the present one is {present}: {REMEDY}")
    names = dict(own.select("cluster", "name").iter_rows())
    if unknown := sorted(set(names.values()) - set(CLUSTER_NAMES)):
        raise LabelError(f"{unknown} are no names of clusters: choose among {', '.join(CLUSTER_NAMES)}")
    if absent := sorted(set(names) - set(clusters["cluster"].unique())):
        raise LabelError(f"clusters {absent} are not in clustering {present}: {REMEDY}")
    return names


def apply_labels(
    clusters: pl.DataFrame,
    decisions: pl.DataFrame,
    shares: tuple[float, float, float] = SHARES,
    seed: int = 0,
) -> pl.DataFrame:
    """The table LABELLED_PATCHES: every tile whose cluster is named normal, chemical or necrotic, with its split.

    Tiles of clusters without a name, or named `other`, are left out. Splits keep plates together where three or more plates
    have both classes, else wells (all time points of a well together). LabelError where a class is missing or wells are few.
    """
    names = names_of_clusters(clusters, decisions)
    kept = {cluster: name for cluster, name in names.items() if name != EXCLUDED}
    columns = [column.name for column in LABELLED_PATCHES.columns if column.name in clusters.columns]
    tiles = (
        clusters.filter(pl.col("cluster").is_in(list(kept)))
        .select(columns)
        .with_columns(label=pl.col("cluster").replace_strict(kept, return_dtype=pl.String, default=None))
        .with_columns(anomalous=pl.col("label").is_in(ANOMALOUS))
        .sort("index")
    )
    for wanted, name in ((False, "normal"), (True, "chemical or necrotic")):
        if tiles.filter(pl.col("anomalous") == wanted).is_empty():
            raise LabelError(f"no cluster is named {name}, and a detector learns from both classes: {REMEDY}")
    try:
        split = grouped_split(split_groups(tiles), tiles["anomalous"].to_numpy(), shares, seed)
    except ValueError as reason:
        raise LabelError(f"{reason}, or take a larger training sample") from reason
    return LABELLED_PATCHES.conform(tiles.with_columns(split=pl.Series(split, dtype=pl.String)))


def split_groups(tiles: pl.DataFrame) -> np.ndarray:
    """(n,) group of each tile: its plate where three or more plates have both classes, else its plate and well."""
    both = tiles.group_by("Metadata_Plate").agg(pl.col("anomalous").n_unique() == 2)
    if both["anomalous"].sum() >= len(SPLITS):
        return tiles["Metadata_Plate"].to_numpy()
    return tiles.select(pl.concat_str("Metadata_Plate", "Metadata_Well", separator="/")).to_series().to_numpy()


def majority_names(clusters: pl.DataFrame, truth: pl.DataFrame) -> Mapping[int, str]:
    """Suggest a name for each cluster: the commonest true label of its tiles; outliers and clusters without truth: `other`.

    truth: one row for each tile with `label` (a cluster name) and the tile's keys; joined on the keys that both tables have.
    Of equally common labels the first in the order of CLUSTER_NAMES is taken.
    """
    keys = [name for name in TILE if name in truth.columns]
    order = {name: position for position, name in enumerate(CLUSTER_NAMES)}
    votes = (
        clusters.join(truth.select(*keys, "label"), on=keys, how="inner")
        .group_by("cluster", "label")
        .len()
        .with_columns(order=pl.col("label").replace_strict(order, default=len(order), return_dtype=pl.Int32))
        .sort("len", "order", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .first()
    )
    named = dict(votes.select("cluster", "label").iter_rows())
    present = clusters["cluster"].unique().sort().to_list()
    return {cluster: "other" if cluster == OUTLIER else named.get(cluster, "other") for cluster in present}
