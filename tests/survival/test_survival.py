"""Real processes, killed with -9 at the worst moment: everything completes, nothing is made twice, nothing is half-written."""

import pytest
from upath import UPath

from plate_assets.orchestration.assets.precipitation.scoring import PRECIPITATION
from plate_assets.orchestration.sciences import table_schemas
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.tables import read_table

pytestmark = pytest.mark.processes

SCHEMAS = table_schemas()
INGEST = ("acquisition", "image_quality", "illumination")
SCORING = PRECIPITATION.assets


def arrive(platform, folders) -> set[str]:
    """Move folders in, whole, as a microscope's computer does when it renames; returns the ids of their acquisitions."""
    for folder in folders:
        folder.rename(platform.home / "arrivals" / folder.name)
    return {folder.name for folder in folders}


def whole_tables(platform) -> int:
    """Read every table and stack in storage through its schema; one that is half-written raises."""
    read = 0
    for name, schema in SCHEMAS.items():
        for entry in (UPath(platform.home) / "storage" / name).glob("*"):
            if entry.suffix == ".parquet":
                read_table(entry, schema)
                read += 1
            elif (entry / "current.json").exists():
                stack = read_stack(entry, schema)
                assert len(stack.array) == stack.table.height
                read += 1
    return read


def name_the_clusters(platform) -> None:
    """Sample, embed, cluster, and name: the largest cluster normal, the others chemical. What is learnt does not matter."""
    small = {"training_sample": {"tiles": 300}, "embedding_model": {"iterations": 3, "input_px": 32}}
    platform.launch("cluster", {**small, "patch_clusters": {"method": "hdbscan"}})
    platform.wait_for("patch_clusters")
    clusters = read_table(UPath(platform.home) / "storage" / "patch_clusters.parquet", SCHEMAS["patch_clusters"])["cluster"]
    platform.command("label", "1=normal", *(f"{number}=chemical" for number in clusters.unique() if number > 1))
    platform.launch("labelled")
    platform.wait_for("labelled_patches")


def test_a_run_killed_in_patches_completes_and_nothing_before_it_is_made_again(platform, plates):
    platform.start()
    (key,) = arrive(platform, plates[:1])
    platform.kill_run(platform.wait_for_step("patches"))
    for asset in ("patches", "growth"):
        platform.wait_for_partitions(asset, {key})
    assert [platform.times_materialised(asset, key) for asset in INGEST] == [1] * len(INGEST)
    assert whole_tables(platform) == len(INGEST) + 2


def test_after_a_power_cut_while_scoring_every_plate_completes_the_queued_one_too(platform, plates, champion):
    platform.start()
    keys = arrive(platform, plates)
    platform.wait_for_step("patch_scores")  # the other plate's run waits in the queue, or has gone before
    platform.kill_everything()
    struck = platform.struck()
    platform.start()
    for asset in SCORING:
        platform.wait_for_partitions(asset, keys)
    for asset in (*INGEST, *SCORING):
        for key in keys:
            assert platform.times_materialised(asset, key) == (2 if (asset, key) in struck else 1), asset
    assert whole_tables(platform) >= 2 * len(SCORING)


def test_a_training_killed_between_two_epochs_goes_on_from_its_checkpoint(platform, plates):
    platform.start()
    keys = arrive(platform, plates)
    platform.wait_for_partitions("patches", keys)
    name_the_clusters(platform)
    platform.launch("train_precipitation", {"precipitation_detector": {"epochs": 6, "tiles_per_epoch": 64}}, "cnn27")
    run = platform.wait_for_step("precipitation_detector")
    platform.wait_until(platform.checkpoints, "a checkpoint of the training")
    platform.kill_run(run)
    platform.wait_for_partitions("precipitation_detector", {"cnn27"})
    told = platform.metadata("precipitation_detector")
    assert told["resumed at epoch"] >= 1 and told["epochs"] == 6
    assert not platform.checkpoints()


def test_a_platform_killed_in_the_middle_of_a_sensors_tick_misses_no_plate(platform, plates):
    platform.start()
    keys = arrive(platform, plates)
    platform.wait_until(lambda: platform.instance.get_dynamic_partitions("plate_acquisitions"), "the first partition")
    platform.kill_everything()
    platform.start()
    platform.wait_for_partitions("image_quality", keys)
    assert {platform.times_materialised("acquisition", key) for key in keys} == {1}


def test_a_folder_that_came_while_everything_was_down_is_let_in(platform, plates):
    keys = arrive(platform, plates)
    platform.start()
    platform.wait_for_partitions("image_quality", keys)
