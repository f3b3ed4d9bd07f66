"""A platform of real processes: Dagster's daemon with its code server and runs, on a home of its own, that tests may kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType

from plate_assets.orchestration.resources import registries_of
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings
from tests.made_models import registered

PROJECT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds without any event; a shared machine may be slow, and what is tested is that it happens, not how fast


class LivePlatform:
    """The daemon and everything below it. `kill` means kill -9."""

    def __init__(self, home: Path):
        self.home = home
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "PLATE_ASSETS_HOME": str(home),
            "PLATE_ASSETS_SENSOR_SECONDS": "5",
            "PLATE_ASSETS_SETTLE_LOOKS": "2",
            "PLATE_ASSETS_NIGHT_SCHEDULE": "* * * * *",
            "OMP_NUM_THREADS": "2",
        }
        shutil.copy(PROJECT / "dagster.yaml", home / "dagster.yaml")
        (home / "arrivals").mkdir()
        self.daemon: subprocess.Popen | None = None
        self.instance = dg.DagsterInstance.from_config(str(home))

    def start(self) -> None:
        """Start the daemon in a process group of its own, as a machine's start-up would."""
        log = (self.home / "daemon.log").open("ab")
        command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "plate_assets.definitions"]
        self.daemon = subprocess.Popen(
            command, cwd=self.home, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip

    def processes(self) -> list[int]:
        """Every living process that was started with this home, runs and code servers included."""
        marker = f"DAGSTER_HOME={self.home}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if marker in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except (OSError, PermissionError):
                    continue
        return found

    def kill_everything(self) -> None:
        """The power cut."""
        for _ in range(3):  # a process may start another while it is being killed
            for pid in self.processes():
                _kill(pid)
            time.sleep(0.2)
        if self.daemon:
            self.daemon.wait()

    def run_pid(self, run_id: str) -> int:
        """The process of a run, as the run itself reported it."""
        import re

        for entry in self.instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
            message = (entry.dagster_event.message if entry.dagster_event else None) or ""
            if match := re.search(r"Started process for run \(pid: (\d+)\)", message):
                return int(match[1])
        raise AssertionError(f"run {run_id} has not reported its process")

    def wait_for_step(self, step: str, but_not: frozenset[str] = frozenset()) -> str:
        """Wait until a step has started in some run that is still going; returns the run's id."""

        def started() -> str | None:
            for run in self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
                if run.run_id in but_not:
                    continue
                for entry in self.instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_START):
                    if entry.step_key == step:
                        return run.run_id
            return None

        return self.wait_until(started, f"step {step} of any run")

    def kill_run(self, run_id: str) -> None:
        _kill(self.run_pid(run_id))

    def wait_until(self, question: Callable, what: str):
        """Ask until the answer is something; fails with the daemon's last words where the platform stands still meanwhile."""
        latest, since = None, time.monotonic()
        while time.monotonic() < since + PATIENCE:
            if answer := question():
                return answer
            if (now := self.instance.event_log_storage.get_maximum_record_id()) != latest:
                latest, since = now, time.monotonic()
            time.sleep(0.1)
        tail = (self.home / "daemon.log").read_text(errors="replace")[-4000:]
        raise AssertionError(f"waited in vain for {what}: nothing happened for {PATIENCE:.0f} s\n{tail}")

    def wait_for_partitions(self, asset: str, keys: set[str]) -> None:
        """Wait until an asset is materialised for all these partitions."""
        self.wait_until(lambda: keys <= self.instance.get_materialized_partitions(dg.AssetKey(asset)), f"{asset} of {keys}")

    def wait_for(self, asset: str) -> None:
        """Wait until an asset without partitions is materialised."""
        self.wait_until(lambda: self.instance.get_latest_materialization_event(dg.AssetKey(asset)), asset)

    def times_materialised(self, asset: str, key: str) -> int:
        """How often a partition of an asset was made."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key]), limit=50
        )
        return len(records.records)

    def struck(self) -> set[tuple[str, str]]:
        """Assets with their partitions that a kill struck between their record and the end of their step.

        The window is some milliseconds, wider on a loaded machine. Dagster retries steps that have not ended: these are made
        twice, and rightly so.
        """
        found = set()
        for run in self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            made = self.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
            ended = {entry.step_key for entry in self.instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_SUCCESS)}
            found |= {(entry.step_key, run.tags["dagster/partition"]) for entry in made if entry.step_key not in ended}
        return found

    def command(self, *arguments: str) -> str:
        """Run `plate-assets` on this home."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("plate-assets")), *arguments],
            env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def launch(self, job: str, config: dict[str, dict] | None = None, partition: str | None = None) -> None:
        """Queue a job, as a person does at the launchpad."""
        given = ["-m", "plate_assets.definitions", "-j", job]
        given += ["--config-json", json.dumps({"ops": {name: {"config": values} for name, values in (config or {}).items()}})]
        given += ["--tags", json.dumps({"dagster/partition": partition})] if partition else []
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dagster")), "job", "launch", *given],
            env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def metadata(self, asset: str) -> dict:
        """What the latest materialisation of an asset says."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event and event.asset_materialization, f"{asset} was never made"
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    def checkpoints(self) -> list[Path]:
        """Checkpoints of trainings that are under way."""
        return list((self.home / "checkpoints").glob("precipitation_detector*"))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def plates(platform: LivePlatform, tmp_path: Path) -> list[Path]:
    """Two small plates, ready to be moved into the arrivals folder."""
    made = tmp_path / "made"
    platform.command("simulate", str(made), "--plates", "2", "--timepoints", "96", "--quadruplets", "4", "--layout", "operetta")
    return sorted(path for path in made.iterdir() if path.name not in ("truth", "platemaps"))


@pytest.fixture
def champion(platform: LivePlatform) -> str:
    """A detector with random weights in force on the platform."""
    settings = Settings(home=platform.home)
    return registries_of(settings).of(DETECTOR).promote(registered(settings).version, "test", "the only one")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[LivePlatform]:
    """A platform that is not started yet, with an empty arrivals folder."""
    live = LivePlatform(tmp_path)
    try:
        yield live
    finally:
        live.kill_everything()
        live.instance.dispose()
