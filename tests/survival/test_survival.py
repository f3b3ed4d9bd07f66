"""Real processes, killed with -9 at the worst moment: everything completes, nothing is made twice, nothing is half-written."""

import dagster as dg
import pytest

from plate_assets.orchestration.jobs import SCORE

STAGES = ["patches", "patch_scores"]


@pytest.fixture
def plates(platform, tmp_path):
    """Two small plates, ready to be moved into the arrivals folder."""
    platform.command(
        "simulate", str(tmp_path / "made"), "--plates", "2", "--timepoints", "96", "--quadruplets", "4", "--layout", "operetta"
    )
    return sorted(path for path in (tmp_path / "made").iterdir() if path.name not in ("truth", "platemaps"))


def arrive(platform, folders) -> set[str]:
    for folder in folders:
        folder.rename(platform.home / "arrivals" / folder.name)
    return {folder.name for folder in folders}


def whole_tables(platform) -> int:
    """Read every table and stack in storage through its schema; one that is half-written raises."""
    from upath import UPath

    from plate_assets.orchestration.io_managers import SCHEMAS
    from plate_assets.storage.arrays import read_stack
    from plate_assets.storage.tables import read_table

    read = 0
    for name, schema in SCHEMAS.items():
        folder = UPath(platform.home / "storage" / name)
        if not folder.exists():
            continue
        for entry in folder.iterdir():
            if entry.suffix == ".parquet":
                read_table(entry, schema)
                read += 1
            elif (entry / "current.json").exists():
                stack = read_stack(entry, schema)
                assert len(stack.array) == stack.table.height
                read += 1
    return read


def test_a_run_killed_in_the_middle_of_patches_completes_and_nothing_before_it_is_made_again(platform, plates):
    platform.start()
    (key,) = arrive(platform, plates[:1])
    platform.wait_for_partitions("image_quality", {key})
    request_scoring(platform, key, ["patches", "growth"])
    platform.kill_run(platform.wait_for_step("patches"))
    platform.wait_for_partitions("growth", {key})
    platform.wait_for_partitions("patches", {key})
    assert platform.times_materialised("acquisition", key) == 1
    assert platform.times_materialised("image_quality", key) == 1
    assert whole_tables(platform) >= 4


def test_after_a_power_cut_every_plate_completes(platform, plates, small_champion):
    platform.start()
    keys = arrive(platform, plates)
    platform.wait_for_partitions("image_quality", keys)
    first, second = sorted(keys)
    request_scoring(platform, first, SCORE)
    request_scoring(platform, second, SCORE)  # waits in the queue while the first one runs
    platform.wait_for_step("patch_scores")
    platform.kill_everything()
    platform.start()
    for asset in SCORE:
        platform.wait_for_partitions(asset, keys)
    for key in keys:
        assert platform.times_materialised("acquisition", key) == 1
        for asset in SCORE:
            assert platform.times_materialised(asset, key) == 1, asset
    assert whole_tables(platform) >= 2 * len(SCORE)


def test_a_sensor_killed_in_the_middle_of_its_tick_misses_no_plate(platform, plates):
    platform.start()
    keys = arrive(platform, plates)
    platform.wait_until(lambda: platform.instance.get_dynamic_partitions("plate_acquisitions"), "the first partition")
    platform.kill_everything()
    platform.start()
    platform.wait_for_partitions("image_quality", keys)


def test_a_folder_that_came_while_everything_was_down_is_let_in(platform, plates):
    keys = arrive(platform, plates)
    platform.start()
    platform.wait_for_partitions("image_quality", keys)


def request_scoring(platform, key: str, assets) -> None:
    """Queue a scoring run, as the night's schedule does."""
    platform.launch("score", key, assets)


def runs_of(platform, key: str) -> list[dg.DagsterRun]:
    return platform.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": key}))
