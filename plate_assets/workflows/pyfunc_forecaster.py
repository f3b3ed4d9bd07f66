"""What MLflow's own commands load of a forecaster (`mlflow models serve`), for people who trust the model's source.

Belongs here: the name that MLflow calls, and what it gets. Not here: how the platform loads a model; it reads the bundle only
(`storage.registry`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plate_assets.dry_mass.forecaster import Forecaster


class WindowForecaster:
    """A forecaster as MLflow wants it."""

    def __init__(self, forecaster: "Forecaster") -> None:
        self.forecaster = forecaster

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Forecasts (n, 60) float64 of standardised windows (n, 120, features), by themselves or under the name `windows`."""
        import torch

        windows = model_input["windows"] if isinstance(model_input, dict) else model_input
        values = torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32)).transpose(1, 2)
        with torch.inference_mode():
            return self.forecaster.network()(values).double().numpy()


def _load_pyfunc(data_path: str) -> WindowForecaster:
    from plate_assets.dry_mass.forecaster import Forecaster
    from plate_assets.storage.models import read_bundle

    bundle = read_bundle(data_path)
    return WindowForecaster(Forecaster.from_parts(bundle.architecture, bundle.weights))
