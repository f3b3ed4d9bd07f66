"""What MLflow's own commands load (`mlflow models serve`), for people who trust the model's source.

Belongs here: the name that MLflow calls, and what it gets. Not here: how the platform loads a model; it reads the bundle only
(`storage.registry`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plate_assets.precipitation.detector import Detector


class TileScorer:
    """A detector as MLflow wants it."""

    def __init__(self, detector: "Detector") -> None:
        self.detector = detector

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Scores (n,) float64 of tiles (n, rows, columns), by themselves or under the name `tiles`."""
        tiles = model_input["tiles"] if isinstance(model_input, dict) else model_input
        return self.detector.score(np.asarray(tiles)).scores


def _load_pyfunc(data_path: str) -> TileScorer:
    from plate_assets.precipitation.detector import Detector
    from plate_assets.storage.models import read_bundle

    bundle = read_bundle(data_path)
    return TileScorer(Detector.from_parts(bundle.architecture, bundle.weights))
