"""Labels from people: names for clusters, experts' calls on conditions. Checked, recorded with author and time, never changed.

Belongs here: taking decisions in and showing what there is to decide. Not here: what labels do to the training set
(`precipitation.labels`), how clusters are found (`training_data`).
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from upath import UPath

from plate_assets.precipitation.tables import (
    CLUSTER_LABELS,
    CLUSTER_NAMES,
    CLUSTERS,
    EXPERT_LABELS,
    TRAINING_SAMPLE,
)
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.files import write_bytes
from plate_assets.storage.ledger import append_rows, read_rows
from plate_assets.storage.tables import read_table


class LabelError(ValueError):
    """A label that fits nothing; the message says what there is to label."""


def name_clusters(clusters_path: UPath, ledger: UPath, names: Mapping[int, str], author: str) -> str:
    """Record a name for each given cluster and return the version of all the names in force."""
    from plate_assets.precipitation.clusters import clustering_fingerprint

    clusters = read_table(clusters_path, CLUSTERS)
    known = set(clusters["cluster"])
    for cluster, name in names.items():
        if cluster not in known:
            raise LabelError(f"there is no cluster {cluster}: the clusters are {', '.join(map(str, sorted(known)))}")
        if name not in CLUSTER_NAMES:
            raise LabelError(f"cluster {cluster} cannot be named {name!r}: the names are {', '.join(CLUSTER_NAMES)}")
    clustering, now = clustering_fingerprint(clusters), datetime.now(UTC)
    rows = [
        {"clustering": clustering, "cluster": cluster, "name": name, "author": author, "decided_at": now}
        for cluster, name in names.items()
    ]
    append_rows(ledger, CLUSTER_LABELS.conform(pl.DataFrame(rows)), CLUSTER_LABELS)
    return names_version(names_in_force(clusters, read_rows(ledger, CLUSTER_LABELS)))


def names_in_force(clusters: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The last decision on each cluster of this clustering."""
    from plate_assets.precipitation.clusters import clustering_fingerprint

    own = labels.filter(pl.col("clustering") == clustering_fingerprint(clusters))
    return own.unique("cluster", keep="last", maintain_order=True).sort("cluster")


def names_version(in_force: pl.DataFrame) -> str:
    """The names in force as one hash: saying the same again makes nothing stale."""
    return hashlib.sha256(in_force.select("clustering", "cluster", "name").write_csv().encode()).hexdigest()[:16]


def names_from_truth(clusters_path: UPath, truth: Path) -> dict[int, str]:
    """A name for each cluster by the majority of its tiles in a truth table, as a person who knew the truth would give it."""
    from plate_assets.workflows.precipitation.training_data import suggest_from_truth

    clusters = read_table(clusters_path, CLUSTERS)
    tiles = pl.read_csv(truth, schema_overrides={"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String})
    return suggest_from_truth(clusters, tiles)


def cluster_overview(clusters_path: UPath, sample_path: UPath, ledger: UPath, sheets: UPath) -> str:
    """What there is to name, as text; writes a contact sheet of each cluster into `sheets`."""
    from plate_assets.workflows.precipitation.training_data import contact_sheets

    clusters = read_table(clusters_path, CLUSTERS)
    sample = read_stack(sample_path, TRAINING_SAMPLE)
    for cluster, png in contact_sheets(clusters, sample.array).items():
        write_bytes(sheets / f"cluster_{cluster}.png", png)
    named = {row["cluster"]: row for row in names_in_force(clusters, read_rows(ledger, CLUSTER_LABELS)).iter_rows(named=True)}
    lines = ["cluster   tiles  plates  name"]
    sizes = clusters.group_by("cluster").agg(pl.len().alias("tiles"), pl.col("Metadata_Plate").n_unique().alias("plates"))
    for row in sizes.sort("cluster").iter_rows(named=True):
        label = named.get(row["cluster"])
        name = f"{label['name']} ({label['author']}, {label['decided_at']:%Y-%m-%d %H:%M})" if label else "not named yet"
        lines.append(f"{row['cluster']:>7}  {row['tiles']:>6}  {row['plates']:>6}  {name}")
    lines.append(f"contact sheets: {sheets}")
    lines.append("name them with: plate-assets label 1=normal 2=chemical …")
    return "\n".join(lines)


def take_in_expert_labels(table: Path, ledger: UPath, author: str) -> tuple[int, str]:
    """Record an expert's labels of conditions from a CSV; returns how many there were and the version of all in force.

    Raises LabelError naming file, column or line.
    """
    needed = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet", "precipitated"]
    text = pl.read_csv(table, infer_schema=False)
    if absent := [name for name in needed if name not in text.columns]:
        raise LabelError(f"{table} lacks the columns {', '.join(absent)}: it needs {', '.join(needed)}")
    truths = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    said = text["precipitated"].str.to_lowercase().replace_strict(truths, default=None, return_dtype=pl.Boolean)
    if said.null_count():
        line = said.is_null().arg_true()[0]
        raise LabelError(f"{table}, line {line + 2}: precipitated is {text['precipitated'][line]!r}; write true or false")
    if (twice := text.select(needed[:3]).is_duplicated().arg_true()).len():
        condition = " ".join(text.row(twice[0], named=True)[name] for name in needed[:3])
        raise LabelError(f"{table}, line {twice[0] + 2}: {condition} is labelled more than once; keep one of the lines")
    author_of = text["author"] if "author" in text.columns else pl.Series([author] * text.height)
    labels = EXPERT_LABELS.conform(text.select(needed[:3]).with_columns(precipitated=said, author=author_of))
    append_rows(ledger, labels, EXPERT_LABELS_LEDGER)
    in_force = expert_labels_in_force(ledger)
    return labels.height, hashlib.sha256(in_force.write_csv().encode()).hexdigest()[:16]


def expert_labels_in_force(ledger: UPath) -> pl.DataFrame:
    """The last label of each condition."""
    rows = read_rows(ledger, EXPERT_LABELS_LEDGER)
    return EXPERT_LABELS.check(rows.unique(EXPERT_LABELS.key, keep="last", maintain_order=True).sort(EXPERT_LABELS.key))


def seed_labels(platemaps: Mapping[str, pl.DataFrame], expert_labels: pl.DataFrame) -> pl.DataFrame | None:
    """Coarse classes of wells from what an expert said of their conditions: acquisition, Metadata_Well, label.

    platemaps: of each acquisition, by id. A well of a precipitated condition is `chemical`, of a clean one `normal`; the others
    are left out. None where fewer than two classes are known: the embedding then learns from pairs of views.
    """
    keys = ["acquisition", "Metadata_Quadruplet"]
    told = expert_labels.select(
        pl.concat_str("Metadata_Plate", "Metadata_Timepoint", separator="_").alias("acquisition"),
        "Metadata_Quadruplet",
        pl.when("precipitated").then(pl.lit("chemical")).otherwise(pl.lit("normal")).alias("label"),
    )
    wells = [
        platemap.select("Metadata_Well", "Metadata_Quadruplet").with_columns(acquisition=pl.lit(key))
        for key, platemap in platemaps.items()
    ]
    seeds = pl.concat(wells).join(told, on=keys, how="inner").select("acquisition", "Metadata_Well", "label")
    return seeds if seeds["label"].n_unique() > 1 else None


# The ledger keeps every label ever given, so that a condition may stand in it more than once.
EXPERT_LABELS_LEDGER = type(EXPERT_LABELS)(EXPERT_LABELS.name, EXPERT_LABELS.meaning, EXPERT_LABELS.columns)
