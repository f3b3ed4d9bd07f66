"""What the instance says of runs: one that died is in flight until Dagster has retried it."""

import dagster as dg
import pytest

from plate_assets.orchestration.instance_state import PARTITION_TAG, in_flight


@pytest.fixture
def instance():
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 1}}) as made:
        yield made


def run_of(instance: dg.DagsterInstance, key: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun(job_name="score", status=status, tags={PARTITION_TAG: key}))


def test_a_running_run_is_in_flight_and_a_finished_one_is_not(instance):
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED):
        run_of(instance, status.value, status)
    assert in_flight(instance) == {"STARTED"}


def test_a_run_that_died_is_in_flight_until_it_is_retried(instance):
    died = run_of(instance, "plate", dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(died)
    assert in_flight(instance) == {"plate"}, "the night would ask for a second run beside the retry"
    retried = run_of(instance, "plate", dg.DagsterRunStatus.SUCCESS)
    instance.add_run_tags(died.run_id, {"dagster/auto_retry_run_id": retried.run_id})
    assert in_flight(instance) == set()


def test_a_run_that_has_no_retry_left_is_not_in_flight(instance):
    first = run_of(instance, "plate", dg.DagsterRunStatus.FAILURE)
    second = dg.DagsterRun(
        job_name="score", status=dg.DagsterRunStatus.STARTED, parent_run_id=first.run_id, root_run_id=first.run_id,
        tags={PARTITION_TAG: "plate", "dagster/root_run_id": first.run_id, "dagster/parent_run_id": first.run_id},
    )  # fmt: skip
    instance.report_run_failed(instance.add_run(second))
    assert in_flight(instance) == set()
