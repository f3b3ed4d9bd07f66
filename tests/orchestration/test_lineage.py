"""What a person changes shows in Dagster: what rests on it is stale, until it is made again."""

import os

import dagster as dg
import numpy as np
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.workspace.context import LoadingContext

from plate_assets.orchestration.decision_events import made_by_person, tell_dagster
from plate_assets.precipitation.tables import CLUSTERS
from plate_assets.storage.tables import Provenance, write_table
from plate_assets.workflows.precipitation.labelling import name_clusters
from tests.made_labs import opened_lab


class Loading(LoadingContext):
    """What the resolver keeps its answers in: for one question."""

    def __init__(self, instance: dg.DagsterInstance):
        self._instance, self._loaders = instance, {}

    instance = property(lambda self: self._instance)
    loaders = property(lambda self: self._loaders)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    with opened_lab(tmp_path / "lab") as lab:
        monkeypatch.setenv("DAGSTER_HOME", str(lab.settings.home / "dagster_home"))
        yield lab


def status(lab, asset: str) -> str:
    graph = lab.definitions.resolve_asset_graph()
    return CachingStaleStatusResolver(lab.instance, graph, Loading(lab.instance)).get_status(dg.AssetKey(asset)).value


def clusters() -> pl.DataFrame:
    n = 48
    return CLUSTERS.conform(pl.DataFrame({
        "Metadata_Plate": np.repeat(["P1", "P2", "P3", "P4"], n // 4), "Metadata_Timepoint": "024h",
        "Metadata_Timepoint_h": 24.0,
        "Metadata_Well": "A01", "Metadata_Row": 1, "Metadata_Col": 1, "Metadata_Quadruplet": "A01", "Metadata_Site": 1,
        "Metadata_Channel": "default", "tile_row": np.arange(n) // 4, "tile_col": np.arange(n) % 4, "index": np.arange(n),
        "map_x": np.arange(n) * 1.0, "map_y": 0.0, "cluster": np.arange(n) % 3 + 1,
    }))  # fmt: skip


def name(lab, **names: str) -> None:
    """As `plate-assets label` does."""
    numbered = {int(key.removeprefix("c")): value for key, value in names.items()}
    version = name_clusters(lab.storage.table("patch_clusters"), lab.storage.cluster_labels, numbered, "Ada")
    lab.instance.report_runless_asset_event(made_by_person("cluster_labels", version, {"author": "Ada"}))


def label_tiles(lab) -> None:
    assert lab.try_run("labelled", dg.RunRequest()).success


def test_a_changed_name_makes_the_labelled_tiles_stale_and_the_same_name_again_does_not(lab):
    write_table(clusters(), lab.storage.table("patch_clusters"), CLUSTERS, Provenance())
    lab.instance.report_runless_asset_event(dg.AssetMaterialization("patch_clusters"))
    name(lab, c1="normal", c2="chemical")
    assert status(lab, "labelled_patches") == "MISSING"
    label_tiles(lab)
    assert status(lab, "labelled_patches") == "FRESH"
    name(lab, c2="chemical")
    assert status(lab, "labelled_patches") == "FRESH"
    name(lab, c3="necrotic")
    assert status(lab, "labelled_patches") == "STALE"
    label_tiles(lab)
    assert status(lab, "labelled_patches") == "FRESH"


def test_without_a_home_of_dagster_a_decision_is_kept_and_nobody_is_told(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert tell_dagster("cluster_labels", "1", {"author": "Ada"}) is False
    assert "DAGSTER_HOME" not in os.environ
