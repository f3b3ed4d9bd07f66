"""MLflow as a place to write: a client for one tracking address, and a training run with all that belongs to it.

Belongs here: how MLflow is opened and what one training leaves in it. Not here: versions and aliases (`registry`), what a
model's folder holds (`models`). Everything goes through clients with explicit addresses, so that nothing depends on MLflow's
global address or on the current folder.
"""

import logging
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plate_assets.storage import pyfunc
from plate_assets.storage.files import Claim
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.model_kind import ModelKind, Tensor
from plate_assets.storage.models import ModelBundle, write_plain_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

REQUIRED = ("plate-assets", "torch", "numpy", "safetensors", "polars")
_BATCH = 1000  # metrics that MLflow takes at once
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Trained:
    """A trained model with all that is kept of its training, as its science's workflow hands it over for review."""

    bundle: ModelBundle
    run_name: str
    params: Mapping[str, Any]
    facts: Mapping[str, float | int | str]  # what is asked first; the numbers are MLflow's metrics
    curves: Mapping[str, Sequence[float]]  # by epoch
    figures: Mapping[str, bytes]  # title -> PNG
    dataset: pl.DataFrame  # what was trained on, of which MLflow keeps columns, size and fingerprint
    description: str  # Markdown, from which a reviewer decides
    tags: Mapping[str, str] = field(default_factory=dict)


def open_client(tracking_uri: str) -> "MlflowClient":
    """A client that reports to nobody and shows no progress bars; an SQLite database is made where there is none."""
    import mlflow
    from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
    from mlflow.telemetry import set_telemetry_client

    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    MLFLOW_DISABLE_TELEMETRY.set(True)
    set_telemetry_client()  # drops the client that the import made
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # a line for each new table
    if not tracking_uri.startswith(_SQLITE):
        return mlflow.MlflowClient(tracking_uri, tracking_uri)
    database = Path(tracking_uri.removeprefix(_SQLITE))
    claim = Claim(database.with_name(f".{database.name}.writing"))  # two processes must not lay out the tables at once
    try:
        return mlflow.MlflowClient(tracking_uri, tracking_uri)
    finally:
        claim.release()


def experiment_id(client: "MlflowClient", name: str, artifact_location: str | None) -> str:
    """The experiment of that name, made where it is not there; ValueError where a person has deleted it."""
    from mlflow import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location)
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if found is None:  # not because another process was faster
                raise error
    if found.lifecycle_stage != "active":
        raise ValueError(
            f"the MLflow experiment {name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, then run this again"
        )
    return found.experiment_id


def log(
    client: "MlflowClient", run_id: str, experiment: str, kind: ModelKind, trained: Trained, tags: Mapping[str, str]
) -> "LoggedModel":
    """Write a training into the run and return its logged model; any error is the caller's to record."""
    from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput

    _log_numbers(client, run_id, trained)
    client.log_inputs(
        run_id, [DatasetInput(_dataset(trained.dataset, trained.run_name), [InputTag("mlflow.data.context", "training")])]
    )
    with tempfile.TemporaryDirectory(prefix="plate-assets-") as work:
        figures = Path(work, "figures")
        figures.mkdir()
        for title, png in trained.figures.items():
            if Path(title).name != title:
                raise ValueError(f"{title!r} cannot name a figure: it is a file's name as well, and holds no folder")
            (figures / f"{title.replace(' ', '_')}.png").write_bytes(png)
        client.log_artifacts(run_id, str(figures), "figures")
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id, tags=dict(tags))
        try:
            client.log_model_artifacts(
                model.model_id, str(_model_folder(Path(work), kind, trained.bundle, run_id, model.model_id))
            )
        except BaseException:
            client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def _log_numbers(client: "MlflowClient", run_id: str, trained: Trained) -> None:
    from time import time

    from mlflow.entities import Metric, Param

    now = int(1000 * time())
    numbers = {name: [value] for name, value in trained.facts.items() if isinstance(value, int | float)}
    curves = numbers | dict(trained.curves)
    metrics = [Metric(_key(name), float(value), now, at) for name, curve in curves.items() for at, value in enumerate(curve)]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
    params = [Param(_key(name), str(value)) for name, value in trained.params.items()]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])


def _key(name: str) -> str:
    """MLflow takes letters, digits and a few signs in the name of a number."""
    return re.sub(r"[^\w\-. /:]", "_", name, flags=re.ASCII)


def _dataset(table: pl.DataFrame, name: str) -> Any:
    import mlflow

    flat = table.select(column for column in table.columns if not table.schema[column].is_nested())
    return mlflow.data.from_polars(flat, name=name, digest=fingerprint(table))._to_mlflow_entity()  # type: ignore[attr-defined]


def _model_folder(work: Path, kind: ModelKind, bundle: ModelBundle, run_id: str, model_id: str) -> Path:
    """A model as MLflow lays it out: the bundle under `data/`, and beside it what MLflow's page shows.

    Raises ModelError where the kind's `loader` loads nothing: better now than in front of who serves it.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    def declared(tensor: Tensor) -> Schema:
        return Schema([TensorSpec(np.dtype(tensor.dtype), tensor.shape, tensor.name)])

    pyfunc.loader_class(kind.loader)
    write_plain_bundle(bundle, work / "bundle")
    signature = ModelSignature(inputs=declared(kind.takes), outputs=declared(kind.gives))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*An input example was not provided.*")  # the signature is complete
        mlflow.pyfunc.save_model(
            path=str(work / "model"),
            mlflow_model=Model(run_id=run_id, model_id=model_id, model_uuid=model_id, artifact_path="model"),
            loader_module=pyfunc.__name__,
            model_config={"loader": kind.loader},
            data_path=str(work / "bundle"),
            signature=signature,
            pip_requirements=[f"{package}=={installed(package).split('+')[0]}" for package in REQUIRED],
        )
    return work / "model"
