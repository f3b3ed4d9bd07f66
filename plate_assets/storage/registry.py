"""Versions of a model and which one is in force: MLflow's model registry, read and moved without running foreign code.

Belongs here: versions, the aliases `champion` and `challenger`, and getting a model's bundle. Not here: what one training
leaves in MLflow (`tracking`), what a bundle is (`models`). Aliases only, never stages.

A model is named `models:/NAME/3`, `models:/NAME@champion`, `runs:/RUN/model`, or by a folder with a bundle. Whatever the name,
only the bundle's files are read: MLflow's own loaders would unpickle what a foreign model carries.
"""

import re
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from upath import UPath

from plate_assets.storage.files import local_path
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.models import MANIFEST, ModelBundle, ModelError, bundle_version, read_bundle
from plate_assets.storage.tracking import Trained, experiment_id, log, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

CHAMPION, CHALLENGER = "champion", "challenger"
_URI = re.compile(r"models:/(?P<name>[^/@:]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_RUN = re.compile(r"runs:/(?P<run>\w+)/(?P<model>[^/]+)")
_FINGERPRINT = re.compile(r"file:[0-9a-f]{12}")
_FORMER = "former_champions"  # tag of the registered model: the versions before, the last one last
_KEPT = 2  # bundles a process keeps: the champion, and the one before it while a night changes over
_loaded: "OrderedDict[str, ModelBundle]" = OrderedDict()  # where its files lie, which no other version shares -> bundle


class NoSuchModel(ValueError):
    """A model, version or alias that the registry does not hold: the message says what to run."""


@dataclass(frozen=True)
class ModelVersion:
    """One version in the registry; `uri` is `models:/precipitation-detector/3`."""

    name: str
    version: str
    run_id: str
    uri: str


@dataclass(frozen=True)
class Registries:
    """The registries of all kinds of model at one tracking address; each is opened once."""

    tracking_uri: str
    artifact_location: str | None = None
    _of: "dict[ModelKind, ModelRegistry]" = field(default_factory=dict, repr=False, compare=False)

    def of(self, kind: ModelKind) -> "ModelRegistry":
        """The registry of one kind."""
        if kind not in self._of:
            self._of[kind] = ModelRegistry(kind, self.tracking_uri, self.artifact_location)
        return self._of[kind]


class ModelRegistry:
    """The versions of one kind of model. Making it costs nothing: MLflow is loaded and opened at the first question."""

    def __init__(self, kind: ModelKind, tracking_uri: str, artifact_location: str | None = None) -> None:
        self.tracking_uri, self.artifact_location, self.kind, self.name = tracking_uri, artifact_location, kind, kind.name

    @cached_property
    def _client(self) -> "MlflowClient":
        return open_client(self.tracking_uri)

    def register(self, trained: Trained, dagster_run_id: str = "") -> ModelVersion:
        """Keep a training as a run and its bundle as a new version, which becomes the challenger, its review pending.

        The run ends FINISHED, or FAILED where anything of this raises.
        """
        known = {**trained.tags, "dagster_run_id": dagster_run_id, "data_fingerprint": fingerprint(trained.dataset)}
        experiment = experiment_id(self._client, self.kind.experiment, self.artifact_location)
        run = self._client.create_run(
            experiment, run_name=f"{trained.run_name}-{dagster_run_id[:8]}".rstrip("-"),
            tags={**known, "mlflow.note.content": trained.description},
        )  # fmt: skip
        run_id = run.info.run_id
        try:
            model = log(self._client, run_id, experiment, self.kind, trained, known)
            version = self._register(run_id, model, trained.description, {**known, "review": "pending"})
            self._client.set_registered_model_alias(self.name, CHALLENGER, version.version)
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")
        return version

    def _register(self, run_id: str, model: "LoggedModel", description: str, tags: Mapping[str, str]) -> ModelVersion:
        from mlflow import MlflowException

        try:
            self._client.create_registered_model(self.name, description=self.kind.about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # A server takes `models:/m-…` only; on a database MLflow would look that up at its global address.
        source = f"models:/{model.model_id}" if self.tracking_uri.startswith("http") else model.artifact_location
        made = self._client.create_model_version(
            self.name, source, run_id, tags=dict(tags), description=description, model_id=model.model_id
        )
        return self._version(made)

    def champion(self) -> str | None:
        """The uri of the version in force; None where nobody has promoted one."""
        return self._at(CHAMPION)

    def challenger(self) -> str | None:
        """The uri of the newest version that waits for a decision."""
        return self._at(CHALLENGER)

    def require_challenger(self) -> str:
        """`challenger()`, or NoSuchModel."""
        if uri := self.challenger():
            return uri
        raise NoSuchModel(f"no version of {self.name} waits for a decision: {self.kind.made_by}, or name a version")

    def resolve(self, model: str) -> str:
        """The name of what the model is now: an alias becomes `models:/NAME/3`, a folder its absolute path.

        Raises NoSuchModel where the registry lacks it, FileNotFoundError or ModelError where a folder holds no model of ours.
        """
        if model.startswith("models:"):
            name, version = self._find(model)
            return f"models:/{name}/{version}"
        if model.startswith("runs:"):
            return model
        bundle_version(model)
        folder = local_path(model)
        return str(folder.absolute() if folder else UPath(model))

    def version_of(self, model: str) -> str:
        """The model as tables name it: `models:/NAME/3`, or `file:<12 hex digits>` for a folder. Errors as `resolve`."""
        if model.startswith(("models:", "runs:")):
            return self.resolve(model)
        return bundle_version(model)

    def load(self, model: str) -> ModelBundle:
        """The model's bundle; nothing in it is run. A process fetches a version once.

        Raises NoSuchModel, FileNotFoundError, or ModelError where the model is not one of ours or damaged.
        """
        if _FINGERPRINT.fullmatch(model):
            raise NoSuchModel(f"{model} is the fingerprint of a model in a folder, which no registry keeps: name the folder")
        if not model.startswith(("models:", "runs:")):
            return read_bundle(model)
        place = self._place(model)
        if place not in _loaded:
            _loaded[place] = self._fetch(model, place)
        _loaded.move_to_end(place)
        while len(_loaded) > _KEPT:
            _loaded.popitem(last=False)
        return _loaded[place]

    def _place(self, model: str) -> str:
        """Where the model's files lie; asked of the clients, since MLflow's own `models:/` goes to its global address."""
        from mlflow import MlflowException

        if model.startswith("models:"):
            return self._client.get_model_version_download_uri(*self._find(model))
        match = _RUN.fullmatch(model)
        try:
            run = self._client.get_run(match["run"]) if match else None
        except MlflowException:
            run = None
        outputs = run.outputs.model_outputs if run and run.outputs else []
        logged = [self._client.get_logged_model(output.model_id) for output in outputs]
        if match and (found := next((one for one in logged if one.name == match["model"]), None)):
            return found.artifact_location
        raise NoSuchModel(f"{model} names no model of a run: write runs:/RUN/model, or a version as models:/{self.name}/3")

    def _fetch(self, model: str, place: str) -> ModelBundle:
        """Copy the files at a place and read the one bundle among them; what else lies there is not opened."""
        from mlflow import MlflowException
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory(prefix="plate-assets-") as work:
            try:
                fetched = download_artifacts(
                    place, dst_path=work, tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri
                )
            except (MlflowException, OSError) as error:
                raise NoSuchModel(
                    f"the files of {model} cannot be fetched from {place} ({error}): name another version"
                ) from error
            manifests = sorted(Path(fetched).rglob(MANIFEST))
            if len(manifests) != 1:
                raise ModelError(
                    f"{model} holds {len(manifests)} bundles of plate_assets, and one is needed; nothing in it was run: "
                    "name a version that plate_assets registered"
                )
            return read_bundle(manifests[0].parent)

    def promote(self, version_or_uri: str, author: str, reason: str) -> str:
        """Put a version in force and return its uri: `3`, `models:/NAME/3` or `models:/NAME@challenger`."""
        version = self._own_version(version_or_uri)
        before = self._aliases().get(CHAMPION)
        if before and before != version:
            self._remember([*self._former(), before])
        self._review(version, "accepted", author, reason, {"previous_champion": before} if before and before != version else {})
        self._client.set_registered_model_alias(self.name, CHAMPION, version)
        if self._aliases().get(CHALLENGER) == version:
            self._client.delete_registered_model_alias(self.name, CHALLENGER)
        return self._uri(version)

    def rollback(self, author: str, reason: str) -> str:
        """Put the champion before this one in force again and return its uri; NoSuchModel where there was none."""
        current, former = self._aliases().get(CHAMPION), self._former()
        while former and (former[-1] == current or not self._exists(self.name, former[-1])):
            former.pop()
        if not former:
            raise NoSuchModel(
                f"{self.name} has no champion before this one: name a version with `{self.kind.promoted_by} VERSION`"
            )
        version = former.pop()
        if current:
            self._review(current, "rolled back", author, reason, {})
        self._client.set_registered_model_alias(self.name, CHAMPION, version)
        self._remember(former)
        return self._uri(version)

    def note(self, uri: str, tags: Mapping[str, str]) -> None:
        """Put tags on a version, which reviewers see on its page. NoSuchModel where it is none of this registry's."""
        version = self._own_version(uri)
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, version, key, value)

    def newest_by_tag(self, tag: str) -> list[ModelVersion]:
        """The newest version for each value of a tag, in the order of the values."""
        newest: dict[str, Any] = {}
        for found in self._all():
            if tag in found.tags and int(found.version) > int(getattr(newest.get(found.tags[tag]), "version", -1)):
                newest[found.tags[tag]] = found
        return [self._version(newest[value]) for value in sorted(newest)]

    def versions(self) -> pl.DataFrame:
        """One row for each version, the newest first: version, uri, aliases, review, author, reason, what is reviewed of the
        kind, run, made at."""
        tags = ("review", "author", "reason", *self.kind.reviewed)
        at: dict[str, list[str]] = {}
        for alias, version in sorted(self._aliases().items()):
            at.setdefault(version, []).append(alias)
        rows = [
            (
                int(found.version), self._uri(found.version), ", ".join(at.get(str(found.version), [])),
                *(found.tags.get(tag) for tag in tags), found.run_id,
                datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            )
            for found in self._all()
        ]  # fmt: skip
        schema = {"version": pl.Int64} | dict.fromkeys(("uri", "aliases", *tags, "run_id"), pl.String)
        return pl.DataFrame(rows, {**schema, "made_at": pl.Datetime("us", "UTC")}, orient="row").sort(
            "version", descending=True
        )

    def _uri(self, version: str | int) -> str:
        return f"models:/{self.name}/{version}"

    def _version(self, found: Any) -> ModelVersion:
        return ModelVersion(self.name, str(found.version), found.run_id, self._uri(found.version))

    def _at(self, alias: str) -> str | None:
        version = self._aliases().get(alias)
        return self._uri(version) if version else None

    def _registered(self, name: str) -> Any | None:
        from mlflow import MlflowException

        try:
            return self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _aliases(self, name: str | None = None) -> dict[str, str]:
        found = self._registered(name or self.name)
        return {alias: str(version) for alias, version in found.aliases.items()} if found else {}

    def _exists(self, name: str, version: str) -> bool:
        from mlflow import MlflowException

        try:
            return self._client.get_model_version(name, version).status == "READY"
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False

    def _find(self, model: str) -> tuple[str, str]:
        """Name and version of a `models:` uri; NoSuchModel where the registry does not hold it."""
        match = _URI.fullmatch(model)
        if not match:
            raise NoSuchModel(f"{model!r} names no version: write models:/{self.name}/3 or models:/{self.name}@{CHAMPION}")
        name, version, alias = match["name"], match["version"], match["alias"]
        if alias:
            version = self._aliases(name).get(alias)
            if not version:
                raise NoSuchModel(f"{name} has no {alias} yet: {self.kind.made_by}, then run `{self.kind.promoted_by}`")
        if not self._exists(name, version):
            raise NoSuchModel(
                f"{name} has no version {version}: put one that exists in force with `{self.kind.promoted_by} VERSION`"
            )
        return name, str(int(version))

    def _own_version(self, version_or_uri: str) -> str:
        uri = version_or_uri if version_or_uri.startswith("models:") else self._uri(version_or_uri)
        name, version = self._find(uri)
        if name != self.name:
            raise NoSuchModel(f"{uri} is no version of {self.name}: only those can be its champion")
        return version

    def _all(self) -> list[Any]:
        found, token = [], None
        while True:
            page = self._client.search_model_versions(f"name='{self.name}'", page_token=token)
            found.extend(page)
            if not (token := page.token):
                return found

    def _review(self, version: str, review: str, author: str, reason: str, more: Mapping[str, str]) -> None:
        decided = {
            "review": review,
            "author": author,
            "reason": reason,
            "decided_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        for key, value in {**decided, **more}.items():
            self._client.set_model_version_tag(self.name, version, key, value)

    def _former(self) -> list[str]:
        found = self._registered(self.name)
        return found.tags.get(_FORMER, "").split() if found else []

    def _remember(self, former: Sequence[str]) -> None:
        self._client.set_registered_model_tag(self.name, _FORMER, " ".join(former[-100:]))
