"""What MLflow's own commands load of a model (`mlflow models serve`), for people who trust the model's source.

Belongs here: the function that MLflow calls, for every kind of model. Not here: how the platform loads a model; it reads the
bundle only (`registry`).
"""

import re
from importlib import import_module
from typing import Any

from plate_assets.storage.models import ModelError, read_bundle

_LOADER = re.compile(r"(?P<module>[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+):(?P<name>[A-Z]\w*)")


def _load_pyfunc(data_path: str, model_config: dict[str, Any]) -> Any:
    """The model in a bundle, as the class of its kind's `loader`, which was kept with it."""
    bundle = read_bundle(data_path)
    return loader_class(model_config["loader"]).from_parts(bundle.architecture, bundle.weights)


def loader_class(loader: str) -> Any:
    """The class that a kind of model names as `module:Class`; ModelError where it is none that loads and predicts."""
    match = _LOADER.fullmatch(loader)
    if not match:
        raise ModelError(f"{loader!r} names no class: a kind of model names its own as module:Class")
    found = getattr(import_module(match["module"]), match["name"], None)
    if lacking := [name for name in ("from_parts", "predict") if not callable(getattr(found, name, None))]:
        raise ModelError(f"{loader} has no {' and no '.join(lacking)}: a model is put together from its parts, and predicts")
    return found
