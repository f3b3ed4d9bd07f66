"""The map of the training sample and its clusters: t-SNE, then DBSCAN with eps from the k-distance elbow.

Belongs here: from embeddings to a place and a cluster for each tile. Not here: embeddings (`embedding`), names of clusters
(`labels`), drawing (`figures`).
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from plate_assets.precipitation.tables import CLUSTERS

OUTLIER = -1
METHODS = ("dbscan", "hdbscan")
SMALLEST_MAP = 5


@dataclass(frozen=True)
class Clustering:
    """Clusters of n points and how they were found. `cluster` counts from 1, the largest first; -1 is an outlier."""

    cluster: np.ndarray  # (n,) int32
    method: str
    min_samples: int
    eps: float | None  # None for hdbscan, which has none
    k_distances: np.ndarray  # (n,) ascending: distance of each point to its min_samples-th neighbour, itself counted

    @property
    def n_clusters(self) -> int:
        return int(self.cluster.max(initial=0))

    @property
    def parameters(self) -> dict[str, str | int | float | None]:
        """What a person wants to know of the clustering, and what repeats it."""
        outliers = int((self.cluster == OUTLIER).sum())
        return {
            "method": self.method, "min_samples": self.min_samples, "eps": self.eps,
            "clusters": self.n_clusters, "outliers": outliers, "tiles": self.cluster.size,
        }  # fmt: skip


def map_to_plane(embeddings: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """t-SNE of (n, L) embeddings: (n, 2) coordinates, arbitrary units. Started from PCA; perplexity at most (n - 1) / 3.

    The paper leaves perplexity and start open: 30 and PCA are this platform's choice. ValueError with fewer than 5 points.
    """
    embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    if len(embeddings) < SMALLEST_MAP:
        raise ValueError(f"{len(embeddings)} tiles make no map: {SMALLEST_MAP} or more are needed, better some thousands")
    perplexity = min(perplexity, (len(embeddings) - 1) / 3)
    start = "pca" if min(embeddings.shape) >= 2 else "random"
    return TSNE(n_components=2, perplexity=perplexity, init=start, random_state=seed).fit_transform(embeddings).astype(float)


def min_samples_for(n: int) -> int:
    """Points that make a neighbourhood dense: 0.1 % of all, 10 at least."""
    return max(10, round(0.001 * n))


def k_distances(points: np.ndarray, k: int) -> np.ndarray:
    """(n,) distances to the k-th neighbour, the point itself counted as DBSCAN counts it, ascending."""
    k = min(k, len(points))
    return np.sort(NearestNeighbors(n_neighbors=k).fit(points).kneighbors(points)[0][:, -1])


def elbow(ascending: np.ndarray) -> float:
    """The value where an ascending curve turns up: the point farthest below the chord from its first to its last value."""
    x = np.linspace(0, 1, ascending.size)
    span = ascending[-1] - ascending[0]
    if span <= 0:
        return float(ascending[-1])
    return float(ascending[np.argmax(x - (ascending - ascending[0]) / span)])


def cluster_points(
    points: np.ndarray, method: str = "dbscan", min_samples: int | None = None, eps: float | None = None
) -> Clustering:
    """Cluster (n, 2) points; eps None takes the elbow of the k-distances with k = min_samples (the paper leaves both open)."""
    if method not in METHODS:
        raise ValueError(f"{method!r} is no clustering here: choose one of {', '.join(METHODS)}")
    min_samples = min_samples or min_samples_for(len(points))
    distances = k_distances(points, min_samples)
    if method == "hdbscan":
        # The leaves of the tree: small and alike inside, which is what a person can name at one look.
        raw = HDBSCAN(min_cluster_size=max(2, min_samples), cluster_selection_method="leaf", copy=True).fit_predict(points)  # pyright: ignore[reportArgumentType]
        return Clustering(_by_size(raw), method, min_samples, None, distances)
    # Equal points may have a distance of zero, and DBSCAN wants a radius.
    eps = eps or max(elbow(distances), float(np.finfo(np.float32).eps))
    raw = DBSCAN(eps=eps, min_samples=min_samples).fit_predict(points)
    return Clustering(_by_size(raw), method, min_samples, eps, distances)


def cluster_map(
    patch_map: pl.DataFrame, method: str = "dbscan", eps: float | None = None, min_samples: int | None = None
) -> tuple[pl.DataFrame, dict[str, str | int | float]]:
    """The table CLUSTERS of a PATCH_MAP, and the parameters that were taken, as plain values."""
    found = cluster_points(patch_map.select("map_x", "map_y").to_numpy(), method, min_samples, eps)
    table = CLUSTERS.conform(patch_map.with_columns(cluster=pl.Series(found.cluster, dtype=pl.Int32)))
    return table, {name: value for name, value in found.parameters.items() if value is not None}


def _by_size(raw: np.ndarray) -> np.ndarray:
    """Renumber clusters from 1, the largest first, equal ones by first appearance; every negative number is an outlier."""
    names, first, size = np.unique(raw[raw >= 0], return_index=True, return_counts=True)
    number = np.full(int(raw.max(initial=-1)) + 2, OUTLIER, dtype=np.int32)
    number[names[np.lexsort((first, -size))]] = np.arange(1, names.size + 1)
    return np.where(raw >= 0, number[np.maximum(raw, 0)], OUTLIER).astype(np.int32)


def clustering_fingerprint(clusters: pl.DataFrame) -> str:
    """16 hex digits of a table CLUSTERS: which tile is in which cluster. Names given to clusters hold for this one only."""
    columns = [name for name in clusters.columns if name.startswith("Metadata_") or name in ("tile_row", "tile_col", "cluster")]
    rows = clusters.sort("index").select("index", *sorted(columns)).rows()
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
