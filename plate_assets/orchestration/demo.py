"""The demo: from nothing to a scored plate, through the same jobs, sensor, schedule and commands that a laboratory uses.

Belongs here: the story in its order, and what is said of it. Not here: anything the platform itself does: the demo takes no
short cut, it only plays the microscope, the expert and the reviewer, who answer from the simulator's truth.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets.dry_mass.model import FORECASTER
from plate_assets.learning.arithmetic import give_back_freed
from plate_assets.orchestration.decision_events import tell_dagster
from plate_assets.orchestration.metadata import progress_in
from plate_assets.orchestration.night import Work
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.requests import due, request_of
from plate_assets.orchestration.resources import Storage, registries_of, storage_of
from plate_assets.precipitation.model import DETECTOR
from plate_assets.precipitation.tables import COMPARISON, QUADRUPLET_CALLS
from plate_assets.progress import ProgressOf
from plate_assets.settings import Settings
from plate_assets.storage.tables import read_table
from plate_assets.workflows.precipitation.calls import BASELINE

TRAINING, EVALUATION = 2, 2  # plates to learn from; plates to judge by; one more is tonight's
TIMEPOINTS_H = (24.0, 96.0)
CULTURES = 3
PRECIPITATING = 0.35  # of the conditions: a screen's plates hold more than a routine's, and few conditions must do
SAY = Callable[[str], None]


def run_demo(
    definitions: dg.Definitions,
    settings: Settings,
    quadruplets: int,
    seed: int,
    background: Path | None,
    say: SAY,
    progress: ProgressOf,
) -> None:
    """Play a laboratory's first days on simulated plates in a home that is prepared; leaves everything there for `make ui`.

    say: a line about what happened. progress: how far the step under way is.
    """
    began = time.monotonic()
    storage, registry = storage_of(settings), registries_of(settings).of(DETECTOR)
    with dg.DagsterInstance.get() as instance:
        player = Player(definitions, settings, storage, instance, say, progress, began)
        truth = player.simulate(quadruplets, seed, background)
        plates = sorted(truth["Metadata_Plate"].unique())
        player.arrivals()
        player.night("tiles and growth, before there is a model")
        player.expert_labels(truth, plates[: TRAINING + EVALUATION])
        player.job("cluster", {
            "training_sample": {"acquisitions": player.acquisitions(plates[:TRAINING]), "tiles": 3_000, "seed": seed},
            "embedding_model": {"iterations": 550, "learning_rate": 1e-3, "input_px": 112, "seed": seed},
            "patch_clusters": {"method": "hdbscan"},
        })  # fmt: skip
        player.name_clusters()
        player.job("labelled", {})
        # Epochs end it, not the clock: a slower machine gets the same detector.
        budget = {"epochs": 6, "tiles_per_epoch": 600, "input_px": 112, "seed": seed}
        player.job("train_precipitation", {"precipitation_detector": budget}, "cnn27")
        player.job("compare_detectors", {})
        champion = registry.promote(registry.require_challenger(), "demo", "the demo's reviewer accepts the only challenger")
        tell_dagster("precipitation_champion", champion, {"author": "demo"})
        player.say(f"promoted {champion}")
        player.night("scores, calls and reports")
        timelapse = player.timelapses(seed)
        player.job("morning", {})
        say(f"done in {time.monotonic() - began:.0f} s")
        for line in summary(storage, truth, player.acquisitions(plates[-1:])[-1], timelapse, settings.ui_url):
            say(line)


def summary(storage: Storage, truth: pl.DataFrame, acquisition: str, timelapse: UPath, ui_url: str) -> list[str]:
    """What came of it, in a few lines: the calls on an acquisition, how well the detector tells, where to look."""
    calls = read_table(storage.table("quadruplet_calls", acquisition), QUADRUPLET_CALLS)
    compared = read_table(storage.table("detector_comparison"), COMPARISON)
    return [
        f"called           {called_conditions(calls, truth)}",
        f"AUC              {told_apart(compared)}",
        f"tonight's plate  {storage.report('plate_report', acquisition) / 'report.html'}",
        f"a time-lapse     {timelapse}",
        f"morning page     {storage.morning_page / 'morning.html'}",
        f"open all of it   make ui, then {ui_url}",
    ]


def called_conditions(calls: pl.DataFrame, truth: pl.DataFrame) -> str:
    """Which conditions of one acquisition are called, and how many of the calls are as the truth has it.

    calls: QUADRUPLET_CALLS. truth: of all acquisitions, `precipitated` of each condition.
    """
    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]
    right = calls.join(truth, on=keys).filter(pl.col("call") == pl.col("precipitated")).height
    called = calls.filter("call").sort("anomaly_score", descending=True)["Metadata_Quadruplet"]
    named = f": {', '.join(called)}" if called.len() else ""
    return f"{called.len()} of {calls.height} conditions{named}; {right} as in the simulator's truth"


def told_apart(compared: pl.DataFrame) -> str:
    """AUC of the best detector, with its interval, beside the baseline's. compared: COMPARISON."""
    ranked = compared.filter(pl.col("method") == "one_sided").drop_nulls("auc").sort("auc", descending=True)
    detectors = ranked.filter(pl.col("detector") != BASELINE)
    if detectors.is_empty():
        return "unknown: the labelled conditions are all of one class"
    best = detectors.row(0, named=True)
    baseline = ranked.filter(pl.col("detector") == BASELINE)["auc"].item()
    return (
        f"{best['auc']:.2f} [{best['auc_low']:.2f}, {best['auc_high']:.2f}] by {best['detector']}, {baseline:.2f} by contrast "
        f"alone, on {best['n_quadruplets']} conditions of plates that no detector learnt from"
    )


def prepare_home(settings: Settings) -> None:
    """Make the home folder, with Dagster's configuration in it, so that history stays. Refuses a home with plates in it."""
    home = settings.home.resolve()
    if (home / "arrivals").exists():
        raise ValueError(f"{home} holds plates already: remove it, or set PLATE_ASSETS_HOME to another folder, to run the demo")
    home.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DAGSTER_HOME", str(home))
    dagster_home = Path(os.environ["DAGSTER_HOME"])
    dagster_home.mkdir(parents=True, exist_ok=True)
    shipped = Path(__file__).parents[2] / "dagster.yaml"
    if shipped.exists() and not (dagster_home / "dagster.yaml").exists():
        shutil.copy(shipped, dagster_home / "dagster.yaml")


class Player:
    """The microscope, the daemon, the expert: whoever acts on the platform from outside."""

    def __init__(
        self,
        definitions: dg.Definitions,
        settings: Settings,
        storage: Storage,
        instance: dg.DagsterInstance,
        say: SAY,
        progress: ProgressOf,
        began: float,
    ):
        self.settings, self.storage, self.instance, self.began = settings, storage, instance, began
        self.definitions = definitions
        self._say, self._progress = say, progress

    def say(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self.began:4.0f} s] {text}")

    def simulate(self, quadruplets: int, seed: int, background: Path | None) -> pl.DataFrame:
        """Write the plates where the microscope would; returns the truth of their conditions."""
        from plate_assets.plates.simulate import SimulationSettings, simulate_plates

        out = self.settings.home.resolve() / "simulated"
        self.say(f"simulating {TRAINING + EVALUATION + 1} plates of {4 * quadruplets} wells at {TIMEPOINTS_H} h")
        simulate_plates(
            out,
            SimulationSettings(
                plates=TRAINING + EVALUATION + 1,
                timepoints_h=TIMEPOINTS_H,
                seed=seed,
                layout="operetta",
                quadruplets=quadruplets,
                precipitating=PRECIPITATING,
                background=background,
            ),
            self._progress("wells drawn"),
        )
        arrivals, platemaps = Path(self.settings.arrivals_root), Path(self.settings.platemaps_root)
        arrivals.mkdir(parents=True, exist_ok=True)
        shutil.copytree(out / "platemaps", platemaps, dirs_exist_ok=True)
        for folder in sorted(path for path in out.iterdir() if path.name not in ("truth", "platemaps")):
            folder.rename(arrivals / folder.name)
        text = {"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String}
        return pl.read_csv(out / "truth" / "quadruplets.csv", schema_overrides=text)

    def arrivals(self, name: str = "plate_arrivals", job: str = "plate_chain", what: str = "acquisitions") -> None:
        """Let a sensor look until nothing waits any more, and run what it requests."""
        sensor = self.definitions.resolve_sensor_def(name)
        ran, cursor = 0, None
        for _ in range(self.settings.settle_looks + 2):
            context = dg.build_sensor_context(
                instance=self.instance, resources=dict(self.definitions.resources or {}), definitions=self.definitions,
                cursor=cursor,
            )  # fmt: skip
            tick = sensor(context)
            if not isinstance(tick, dg.SensorResult):
                continue
            cursor = tick.cursor
            for request in tick.dynamic_partitions_requests or ():
                self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
            for request in tick.run_requests or ():
                assets = tuple(key.path[-1] for key in request.asset_selection or ())
                self._execute(job, partition=request.partition_key, tags=request.tags, assets=assets)
                ran += 1
        self.say(f"{ran} {what} let in")

    def timelapses(self, seed: int) -> UPath:
        """Cultures whose cells were tracked elsewhere arrive; a forecaster is trained on them, promoted, and judges them."""
        from plate_assets.workflows.dry_mass.series_files import simulate_tables

        made, root = self.settings.home.resolve() / "simulated" / "cultures", Path(self.settings.timelapses_root)
        simulate_tables(made, cultures=CULTURES, founders=16, hours=48.0, seed=seed)
        root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(path for path in made.iterdir() if path.name != "truth"):
            folder.rename(root / folder.name)
        self.arrivals("timelapse_arrivals", "timelapse_chain", "time-lapses")
        self.job("train_dry_mass", {"dry_mass_forecaster": {"epochs": 8, "windows_per_epoch": 8_000, "seed": seed}})
        forecasters = registries_of(self.settings).of(FORECASTER)
        champion = forecasters.promote(
            forecasters.require_challenger(), "demo", "the demo's reviewer accepts the only challenger"
        )
        tell_dagster("dry_mass_champion", champion, {"author": "demo"})
        self.say(f"promoted {champion}")
        work = self._work_of("timelapse")
        self.say(f"night: {len(work)} time-lapses judged")
        return self.storage.report("timelapse_report", work[-1].partition) / "report.html"

    def acquisitions(self, plates: list[str]) -> list[str]:
        """Ids of the acquisitions of some plates."""
        from plate_assets.orchestration.stored_plates import known_acquisition

        keys = sorted(self.instance.get_dynamic_partitions("plate_acquisitions"))
        return [key for key in keys if known_acquisition(self.storage, key).acquisition.plate in plates]

    def night(self, what: str) -> None:
        """Do what the night's schedule would request."""
        self.say(f"night: {len(self._work_of('plate'))} acquisitions, {what}")

    def _work_of(self, subject: str) -> tuple[Work, ...]:
        """Do all that is due of a subject, as the night would; returns what there was."""
        platform: Platform = (self.definitions.resources or {})["platform"]
        found = due(platform, platform.subject(subject), self.instance)
        for item in found.work:
            tags = request_of(platform.subject(subject), item).tags
            self._execute(f"{subject}_chain", partition=item.partition, tags=tags, assets=item.assets)
        return found.work

    def job(self, name: str, config: dict[str, dict], partition: str | None = None) -> None:
        """Run a job as the UI's launchpad would."""
        self._execute(name, config, partition)
        self.say(f"{name} done")

    def name_clusters(self) -> None:
        """Name the clusters from the truth, through the function that `plate-assets label` calls."""
        from plate_assets.workflows.precipitation.labelling import cluster_overview, name_clusters, names_from_truth

        clusters = self.storage.table("patch_clusters")
        names = names_from_truth(clusters, self.settings.home.resolve() / "simulated" / "truth" / "tiles.csv")
        version = name_clusters(clusters, self.storage.cluster_labels, names, "simulator's truth")
        tell_dagster("cluster_labels", version, {"author": "simulator's truth", "clusters named": len(names)})
        cluster_overview(
            clusters, self.storage.stack("training_sample"), self.storage.cluster_labels, self.storage.contact_sheets
        )
        self.say(f"{len(names)} clusters named, their pictures are in {self.storage.contact_sheets}")

    def expert_labels(self, truth: pl.DataFrame, plates: list[str]) -> None:
        """Hand in the expert's labels of the evaluation plates."""
        from plate_assets.workflows.precipitation.labelling import take_in_expert_labels

        table = self.settings.home.resolve() / "simulated" / "expert_labels.csv"
        truth.filter(pl.col("Metadata_Plate").is_in(plates)).write_csv(table)
        rows, version = take_in_expert_labels(table, self.storage.expert_labels, "simulator's truth")
        tell_dagster("expert_labels", version, {"conditions": rows})
        self.say(f"{rows} conditions labelled on {', '.join(plates)}")

    def _execute(
        self,
        job: str,
        config: dict[str, dict] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        assets: tuple[str, ...] | None = None,
    ) -> None:
        run_config = {"ops": {name: {"config": values} for name, values in (config or {}).items()}}
        run_id = str(uuid.uuid4())
        self.instance.add_event_listener(run_id, self._heard(partition or job))
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=partition, run_config=run_config, tags=dict(tags or {}), run_id=run_id,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None, raise_on_error=True,
        )  # fmt: skip
        skipped = [event.step_key for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_SKIPPED]
        assert result.success and not skipped, skipped
        give_back_freed()  # a run of the platform ends with its process

    def _heard(self, about: str) -> Callable[[dg.EventLogEntry], None]:
        """Shows what the log of a run says of how far a step is, and names a step that fails."""

        def heard(entry: dg.EventLogEntry) -> None:
            if counted := progress_in(entry.user_message):
                done, total, what = counted
                self._progress(f"{what} ({about}, {entry.step_key})")(done, total)
            elif entry.dagster_event and entry.dagster_event.is_step_failure:
                self.say(f"{entry.step_key} of {about} failed")

        return heard
