"""Resources: where everything is kept, and the platform's settings as Dagster hands them to assets and sensors.

Belongs here: the map from an asset and its partition to a place in storage. Not here: how a table or array is written
(`storage`), what an asset does. `Settings` is a resource as it is: its values never enter Dagster's own configuration,
which the UI shows to everybody.
"""

from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from plate_assets.settings import Settings
from plate_assets.storage.registry import Registries


@dataclass(frozen=True)
class Storage:
    """The places in storage. `partition` is an acquisition's id or a backbone: both were checked where they came in."""

    root: UPath
    checkpoints: Path  # local, whatever the root is: a training that goes on after a kill goes on where it was

    def table(self, asset: str, partition: str | None = None) -> UPath:
        """The Parquet file of an asset."""
        return self.root / asset / f"{partition}.parquet" if partition else self.root / f"{asset}.parquet"

    def stack(self, asset: str, partition: str | None = None) -> UPath:
        """The folder of an asset that is a table with pixels beside it."""
        return self.root / asset / partition if partition else self.root / asset

    def model(self, asset: str, partition: str | None = None) -> UPath:
        """The folder of a model bundle."""
        return self.root / asset / partition if partition else self.root / asset

    def report(self, asset: str, partition: str) -> UPath:
        """The folder of a report: `report.html`, with its pictures and tables beside it."""
        return self.root / asset / partition

    def checkpoint(self, name: str) -> Path:
        """The place of a training's checkpoints."""
        return self.checkpoints / name

    @property
    def morning_page(self) -> UPath:
        return self.root / "morning_page"

    @property
    def contact_sheets(self) -> UPath:
        return self.root / "contact_sheets"

    @property
    def cluster_labels(self) -> UPath:
        return self.root / "decisions" / "cluster_labels"

    @property
    def exclusions(self) -> UPath:
        return self.root / "decisions" / "exclusions"

    @property
    def expert_labels(self) -> UPath:
        return self.root / "decisions" / "expert_labels"

    @property
    def drift_lines(self) -> UPath:
        return self.root / "drift_lines"

    @property
    def cell_verdicts(self) -> UPath:
        return self.root / "decisions" / "cell_verdicts"

    @property
    def arrivals_ledger(self) -> UPath:
        return self.root / "decisions" / "arrivals.json"


def storage_of(settings: Settings) -> Storage:
    """The storage that the settings name."""
    return Storage(UPath(settings.storage_root), settings.home.resolve() / "checkpoints")


def registries_of(settings: Settings) -> Registries:
    """The registries of all kinds of model, where the settings say."""
    return Registries(settings.tracking_uri, settings.artifacts_root)
