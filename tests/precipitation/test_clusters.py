"""Maps and clusters of points whose groups are known."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from plate_assets.precipitation.clusters import (
    OUTLIER,
    cluster_points,
    clustering_fingerprint,
    elbow,
    k_distances,
    map_to_plane,
    min_samples_for,
)


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 60, 120 and 180 points, and twelve points far from all."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], [60, 120, 180])
    points = np.array([[0, 0], [30, 0], [0, 40]])[truth] + rng.normal(0, 1, (360, 2))
    far = rng.uniform(60, 300, (12, 2))
    return np.concatenate([points, far]), np.concatenate([truth, np.full(12, -1)])


def test_groups_are_found_without_a_given_radius_and_numbered_by_size():
    points, truth = blobs()
    found = cluster_points(points)
    assert adjusted_rand_score(truth, found.cluster) > 0.9
    sizes = [int((found.cluster == number).sum()) for number in range(1, found.n_clusters + 1)]
    assert sizes == sorted(sizes, reverse=True) and found.n_clusters == 3
    assert found.parameters["outliers"] == int((found.cluster == OUTLIER).sum()) >= 8


def test_the_leaves_of_hdbscan_part_what_one_radius_joins():
    points, truth = blobs()
    bridge = np.stack([np.linspace(0, 30, 120), np.zeros(120)], axis=1)  # a thin sheet between the first two groups
    joined, parted = (cluster_points(np.concatenate([points, bridge]), method) for method in ("dbscan", "hdbscan"))
    first, second = np.flatnonzero(truth == 0)[:50], np.flatnonzero(truth == 1)[:50]
    assert len({*joined.cluster[first], *joined.cluster[second]} - {OUTLIER}) == 1
    assert not set(parted.cluster[first]) & set(parted.cluster[second]) - {OUTLIER}


def test_the_parameters_repeat_the_clustering():
    points, _ = blobs(1)
    found = cluster_points(points)
    again = cluster_points(points, min_samples=found.min_samples, eps=found.eps)
    assert (again.cluster == found.cluster).all()


def test_the_elbow_of_two_straight_lines_is_where_they_meet():
    assert elbow(np.concatenate([np.linspace(1, 2, 90), np.linspace(2.5, 30, 10)])) == pytest.approx(2.0)
    assert elbow(np.full(5, 3.0)) == 3.0


@given(st.integers(0, 50), st.floats(0.01, 100), st.floats(0, 50))
def test_the_elbow_goes_with_the_unit_of_the_curve(seed, scale, shift):
    curve = np.sort(np.random.default_rng(seed).pareto(2, 60))
    assert elbow(curve * scale + shift) == pytest.approx(elbow(curve) * scale + shift)


def test_a_distance_counts_the_point_itself_as_dbscan_does():
    assert k_distances(np.array([[0.0, 0], [1, 0], [3, 0]]), 2).tolist() == [1, 1, 2]


def test_equal_points_are_one_cluster():
    assert cluster_points(np.zeros((20, 2))).cluster.tolist() == [1] * 20


def test_a_neighbourhood_is_one_in_a_thousand_and_ten_at_least():
    assert [min_samples_for(n) for n in (50, 10_000, 20_526)] == [10, 10, 21]


def test_the_map_keeps_groups_apart_and_repeats_with_its_seed():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    embeddings = np.eye(8)[truth] + rng.normal(0, 0.05, (80, 8))
    places = map_to_plane(embeddings, seed=3)
    assert places.shape == (80, 2)
    assert adjusted_rand_score(truth, cluster_points(places).cluster) > 0.9
    assert np.array_equal(places, map_to_plane(embeddings, seed=3))


def test_few_tiles_make_a_map_and_too_few_say_so():
    assert map_to_plane(np.random.default_rng(0).normal(size=(6, 4))).shape == (6, 2)
    with pytest.raises(ValueError, match="5 or more"):
        map_to_plane(np.zeros((3, 4)))


def test_the_fingerprint_changes_with_a_cluster_and_not_with_the_order_or_the_map():
    wells = ["A01", "A02", "A03"]
    table = pl.DataFrame({"index": [0, 1, 2], "Metadata_Well": wells, "cluster": [1, 1, -1], "map_x": [0.0, 1, 2]})
    fingerprint = clustering_fingerprint(table)
    assert fingerprint == clustering_fingerprint(table.reverse().with_columns(map_x=pl.lit(5.0)))
    assert fingerprint != clustering_fingerprint(table.with_columns(cluster=pl.Series([1, 2, -1])))
