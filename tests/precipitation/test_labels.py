"""Labels: what a person decided becomes labelled tiles, and nothing leaks from split to split."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.plates.layout import Well
from plate_assets.precipitation.clusters import clustering_fingerprint
from plate_assets.precipitation.labels import LabelError, apply_labels, majority_names, names_of_clusters
from plate_assets.precipitation.tables import CLUSTER_LABELS, CLUSTERS


def clusters_table(rows: list[tuple[str, str, int]]) -> pl.DataFrame:
    """Tiles of (plate, well, cluster)."""
    return CLUSTERS.conform(
        pl.DataFrame(
            [
                {
                    "Metadata_Plate": plate, "Metadata_Timepoint": "096h", "Metadata_Well": well,
                    "Metadata_Row": Well.parse(well).row, "Metadata_Col": Well.parse(well).col,
                    "Metadata_Quadruplet": Well.parse(well).quadruplet, "Metadata_Site": 1, "Metadata_Channel": "default",
                    "tile_row": index // 100, "tile_col": index % 100, "index": index,
                    "map_x": 0.0, "map_y": 0.0, "cluster": cluster,
                }
                for index, (plate, well, cluster) in enumerate(rows)
            ]
        )
    )  # fmt: skip


def decisions(clustering: str, *named: tuple[int, str]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {"clustering": clustering, "cluster": number, "name": name, "author": "Ann", "decided_at": start + timedelta(hours=h)}
        for h, (number, name) in enumerate(named)
    ]
    return CLUSTER_LABELS.conform(pl.DataFrame(rows, schema_overrides={"cluster": pl.Int32}))


WELLS = [f"{row}{col:02d}" for row in "ABCD" for col in range(1, 9)]
PLATES = clusters_table([(f"P{i % 4}", WELLS[i % 32], (1, 1, 2, 1, 3, 1, -1)[i % 7]) for i in range(700)])
NAMES = ((1, "normal"), (2, "chemical"), (3, "necrotic"), (-1, "other"))


def test_named_clusters_become_labelled_tiles_and_other_is_left_out():
    found = apply_labels(PLATES, decisions(clustering_fingerprint(PLATES), *NAMES))
    assert found.height == PLATES.filter(pl.col("cluster") != -1).height
    named = dict(found.select("label", "anomalous").unique().iter_rows())
    assert named == {"normal": False, "chemical": True, "necrotic": True}
    assert found.join(PLATES, on=["index", "cluster"], how="anti").is_empty()


def test_clusters_without_a_name_are_left_out():
    found = apply_labels(PLATES, decisions(clustering_fingerprint(PLATES), *NAMES[:2]))
    assert found["cluster"].unique().sort().to_list() == [1, 2]


def test_plates_stay_together_where_three_have_both_classes():
    found = apply_labels(PLATES, decisions(clustering_fingerprint(PLATES), *NAMES))
    assert found.group_by("Metadata_Plate").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 4
    assert set(found["split"]) == {"train", "calibration", "test"}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["P1", "P2"]), st.sampled_from(WELLS), st.sampled_from([1, 2])), min_size=9),
    st.integers(0, 9),
)
def test_wells_stay_together_where_plates_are_few(rows, seed):
    table = clusters_table(rows + [("P1", "A01", 1), ("P1", "A02", 2), ("P2", "B01", 1)])
    found = apply_labels(table, decisions(clustering_fingerprint(table), *NAMES[:2]), seed=seed)
    splits = found.group_by("Metadata_Plate", "Metadata_Well").agg(pl.col("split").n_unique())["split"]
    assert set(splits) == {1} and set(found["split"]) == {"train", "calibration", "test"}


def test_the_last_decision_on_a_cluster_counts():
    fingerprint = clustering_fingerprint(PLATES)
    table = decisions(fingerprint, (1, "chemical"), (2, "chemical"), (1, "normal"))
    assert names_of_clusters(PLATES, table) == {1: "normal", 2: "chemical"}
    assert names_of_clusters(PLATES, table.reverse()) == {1: "normal", 2: "chemical"}


def test_labels_of_an_earlier_clustering_are_history_beside_newer_ones():
    table = pl.concat([decisions("0" * 16, (1, "chemical")), decisions(clustering_fingerprint(PLATES), (1, "normal"))])
    assert names_of_clusters(PLATES, table) == {1: "normal"}


@pytest.mark.parametrize(
    ("clustering", "named", "message"),
    [
        ("0" * 16, NAMES, "speak of clustering 0000000000000000, and the present one is .*plate-assets label"),
        (None, ((9, "normal"),), r"clusters \[9\] are not in clustering"),
        (None, ((1, "dust"),), "no names of clusters"),
        (None, ((1, "normal"),), "no cluster is named chemical or necrotic"),
        (None, ((2, "chemical"), (1, "other")), "no cluster is named normal"),
    ],
)
def test_decisions_that_do_not_fit_are_refused_with_the_remedy(clustering, named, message):
    with pytest.raises(LabelError, match=message):
        apply_labels(PLATES, decisions(clustering or clustering_fingerprint(PLATES), *named))


def test_no_decision_at_all_says_so():
    with pytest.raises(LabelError, match="there are no labels"):
        apply_labels(PLATES, CLUSTER_LABELS.empty())


def test_two_wells_cannot_be_split():
    table = clusters_table([("P1", "A01", 1), ("P1", "A02", 2)])
    with pytest.raises(LabelError, match="3 or more wells"):
        apply_labels(table, decisions(clustering_fingerprint(table), *NAMES[:2]))


def test_the_truth_names_a_cluster_by_its_majority():
    table = clusters_table([("P1", "A01", 1)] * 3 + [("P1", "A02", 2)] * 3 + [("P1", "A03", -1)] + [("P1", "A04", 3)])
    truth = table.select("Metadata_Plate", "Metadata_Well", "tile_row", "tile_col").with_columns(
        label=pl.Series(["normal", "chemical", "normal", "necrotic", "necrotic", "normal", "chemical", "chemical"])
    )
    assert majority_names(table, truth.head(7)) == {-1: "other", 1: "normal", 2: "necrotic", 3: "other"}
