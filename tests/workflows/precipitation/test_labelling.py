"""What a person says of clusters and conditions: recorded with author and time, checked, and the last word counts."""

import numpy as np
import polars as pl
import pytest

from plate_assets.precipitation.tables import CLUSTER_LABELS, CLUSTERS, EXPERT_LABELS
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.tables import Provenance, write_table
from plate_assets.workflows.precipitation.labelling import (
    LabelError,
    expert_labels_in_force,
    name_clusters,
    names_in_force,
    seed_labels,
    take_in_expert_labels,
)


def clusters_table(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    n = 12
    return CLUSTERS.conform(pl.DataFrame({
        "Metadata_Plate": "P1", "Metadata_Timepoint": "024h", "Metadata_Timepoint_h": 24.0, "Metadata_Well": "A01",
        "Metadata_Row": 1, "Metadata_Col": 1, "Metadata_Quadruplet": "A01", "Metadata_Site": 1, "Metadata_Channel": "default",
        "tile_row": np.arange(n) // 4, "tile_col": np.arange(n) % 4, "index": np.arange(n),
        "map_x": rng.normal(size=n), "map_y": rng.normal(size=n), "cluster": rng.permutation(np.arange(n) % 3 + 1),
    }))  # fmt: skip


@pytest.fixture
def home(upath):
    write_table(clusters_table(), upath / "clusters.parquet", CLUSTERS, Provenance())
    return upath


@pytest.fixture
def upath(tmp_path):
    from upath import UPath

    return UPath(tmp_path)


def test_a_name_is_kept_with_its_author_and_time_and_the_last_one_counts(home):
    clusters, ledger = home / "clusters.parquet", home / "ledger"
    first = name_clusters(clusters, ledger, {1: "normal", 2: "chemical"}, "Ada")
    second = name_clusters(clusters, ledger, {2: "necrotic"}, "Ben")
    rows = read_rows(ledger, CLUSTER_LABELS)
    assert rows.select("cluster", "name", "author").rows() == [
        (1, "normal", "Ada"), (2, "chemical", "Ada"), (2, "necrotic", "Ben"),
    ]  # fmt: skip
    assert rows["decided_at"].is_sorted() and rows["decided_at"].null_count() == 0
    assert dict(names_in_force(clusters_table(), rows).select("cluster", "name").iter_rows()) == {1: "normal", 2: "necrotic"}
    assert first != second


def test_saying_the_same_again_is_no_new_version(home):
    said = [name_clusters(home / "clusters.parquet", home / "ledger", {1: "normal"}, author) for author in ("Ada", "Ben")]
    assert said[0] == said[1]


def test_names_of_an_earlier_clustering_do_not_hold_for_this_one(home):
    name_clusters(home / "clusters.parquet", home / "ledger", {1: "normal"}, "Ada")
    assert names_in_force(clusters_table(seed=1), read_rows(home / "ledger", CLUSTER_LABELS)).is_empty()


@pytest.mark.parametrize(
    ("names", "words"),
    [({9: "normal"}, "there is no cluster 9: the clusters are 1, 2, 3"), ({1: "odd"}, "cannot be named 'odd'")],
)
def test_a_wrong_name_is_refused_and_nothing_of_it_is_kept(home, names, words):
    with pytest.raises(LabelError, match=words):
        name_clusters(home / "clusters.parquet", home / "ledger", {2: "normal", **names}, "Ada")
    assert read_rows(home / "ledger", CLUSTER_LABELS).is_empty()


def test_an_experts_table_is_taken_in_and_a_later_label_replaces_the_first(upath, tmp_path):
    table = tmp_path / "labels.csv"
    head = "Metadata_Plate,Metadata_Timepoint,Metadata_Quadruplet,precipitated\n"
    table.write_text(f"{head}007,024h,A01,yes\n007,024h,C01,No\n")
    rows, first = take_in_expert_labels(table, upath / "ledger", "Ada")
    table.write_text(f"{head}007,024h,A01,0\n")
    _, second = take_in_expert_labels(table, upath / "ledger", "Ada")
    kept = expert_labels_in_force(upath / "ledger")
    assert rows == 2 and first != second
    assert kept.select("Metadata_Plate", "Metadata_Quadruplet", "precipitated", "author").rows() == [
        ("007", "A01", False, "Ada"), ("007", "C01", False, "Ada"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Metadata_Plate,precipitated\nP1,yes\n", "lacks the columns Metadata_Timepoint, Metadata_Quadruplet"),
        ("Metadata_Plate,Metadata_Timepoint,Metadata_Quadruplet,precipitated\nP1,024h,A01,yes\nP1,024h,A03,maybe\n", "line 3"),
        (
            "Metadata_Plate,Metadata_Timepoint,Metadata_Quadruplet,precipitated\nP1,024h,A03,no\nP1,024h,A01,yes\nP1,024h,A01,no\n",
            "line 3: P1 024h A01 is labelled more than once",
        ),
    ],
)
def test_a_table_that_is_not_understood_names_the_place_and_leaves_no_row(upath, tmp_path, text, words):
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(LabelError, match=words):
        take_in_expert_labels(table, upath / "ledger", "Ada")
    assert not (upath / "ledger").exists()


def experts(*rows: tuple[str, bool]) -> pl.DataFrame:
    return EXPERT_LABELS.conform(pl.DataFrame(
        {"Metadata_Plate": "P1", "Metadata_Timepoint": "024h", "Metadata_Quadruplet": [name for name, _ in rows],
         "precipitated": [bad for _, bad in rows], "author": "Ada"}
    ))  # fmt: skip


def test_the_wells_of_labelled_conditions_are_the_coarse_classes():
    platemap = pl.DataFrame(
        {"Metadata_Well": ["A01", "A02", "C01", "E01"], "Metadata_Quadruplet": ["A01", "A01", "C01", "E01"]}
    )
    seeds = seed_labels({"P1_024h": platemap, "P1_048h": platemap}, experts(("A01", True), ("C01", False)))
    assert sorted(seeds.rows()) == [
        ("P1_024h", "A01", "chemical"), ("P1_024h", "A02", "chemical"), ("P1_024h", "C01", "normal"),
    ]  # fmt: skip
    assert seed_labels({"P1_024h": platemap}, experts(("A01", True))) is None
