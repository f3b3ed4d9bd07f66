"""The second engine: the same calls, answered by alibi-detect (extra `alibi`, PyTorch backend).

Belongs here: the translation of our interface to alibi-detect's. Not here: our own tests (`mmd`, `online`).

alibi-detect is under the Business Source License 1.1, which grants production use to non-profit educational institutions only.
σ is our median distance unless it is given (alibi-detect's own default is sqrt(median of d² / 2)), and all is in float64.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch

from plate_assets.drift import mmd, online, packing, samples

_KIND = "alibi/1"


def test(
    reference: np.ndarray, batch: np.ndarray, *, permutations: int = 100, sigma: float | None = None, seed: int = 0
) -> mmd.MMDResult:
    """`mmd.test` by alibi-detect's MMDDrift; its p-value, k / P, is given as (1 + k) / (1 + P).

    Raises ImportError where alibi-detect is not installed, ValueError as `mmd.test`.
    """
    allowed = mmd.allowed_permutations(permutations)
    reference, batch, sigma = mmd.two_samples(reference, batch, sigma)
    detector = _alibi_detect().cd.MMDDrift
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = detector(
            reference, backend="pytorch", device="cpu", sigma=np.array([sigma]), n_permutations=permutations,
            p_val=(allowed + 0.5) / permutations,  # its threshold is then the permutation that ours is
        ).predict(batch)["data"]  # fmt: skip
    reached = round(found["p_val"] * permutations)
    return mmd.MMDResult(found["distance"], (1 + reached) / (1 + permutations), found["distance_threshold"], sigma)


class AlibiMonitor:
    """`online.OnlineMonitor` by alibi-detect's MMDDriftOnline: `update`, `restart`, `to_bytes`, `from_bytes`.

    alibi-detect saves with torch.save and loads whatever was pickled; here numbers alone are stored, and a detector is made
    from them. It says nothing of the run time that its thresholds lead to.
    """

    def __init__(self, detector: Any, sigma: float) -> None:
        self.detector = detector
        self.sigma = sigma

    @property
    def window(self) -> int:
        return self.detector.window_size

    def restart(self) -> None:
        """Back to step 0."""
        self.detector.reset_state()

    def update(self, vector: np.ndarray) -> online.Step:
        """As `online.OnlineMonitor.update`."""
        vector = samples.vector(vector, "the vector", self.detector.x_ref.shape[1])
        found = self.detector.predict(vector)["data"]
        return online.Step(found["test_stat"], float(found["threshold"]), bool(found["is_drift"]))

    def to_bytes(self) -> bytes:
        """The whole monitor, in the safetensors format."""
        made = self.detector
        values = {"sigma": self.sigma, "ert": made.ert, "window": made.window_size, "steps": made.t}
        tensors = {"reference": made.x_ref, "kept": made.ref_inds, "start": made.init_test_inds}
        tensors |= {"vectors": made.test_window, "across": made.k_xy}
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return packing.pack(_KIND, values, arrays | {"thresholds": np.array(made.thresholds)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "AlibiMonitor":
        """The monitor that `to_bytes` gave. ValueError where the bytes are not a whole one of this engine."""
        values, arrays = packing.unpack(data, _KIND)
        window = values["window"]
        made = _detector(arrays["reference"], window, max(window, 2), 4 * window + 20, values["sigma"], seed=0)  # in a hurry
        made.ert, made.fpr, made.thresholds = values["ert"], 1 / values["ert"], arrays["thresholds"].tolist()
        made.ref_inds, made.init_test_inds = torch.from_numpy(arrays["kept"]), torch.from_numpy(arrays["start"])
        kept = len(made.ref_inds)
        made.k_xx_sub = made.k_xx[made.ref_inds][:, made.ref_inds]
        made.k_xx_sub_sum = (made.k_xx_sub - torch.diag(made.k_xx_sub.diag())).sum() / (kept * (kept - 1))
        made.reset_state()
        made.t, made.test_window, made.k_xy = (
            values["steps"], torch.from_numpy(arrays["vectors"]), torch.from_numpy(arrays["across"])
        )  # fmt: skip
        return cls(made, values["sigma"])


def configure(
    reference: np.ndarray,
    *,
    window: int,
    ert: float,
    bootstraps: int | None = None,
    seed: int = 0,
    sigma: float | None = None,
) -> AlibiMonitor:
    """`online.configure` by alibi-detect's MMDDriftOnline; the kernel of the reference is whole in memory.

    Raises ImportError where alibi-detect is not installed, ValueError as `online.configure`.
    """
    reference, sigma, bootstraps = online.checked(reference, window, ert, bootstraps, sigma)
    return AlibiMonitor(_detector(reference, window, ert, bootstraps, sigma, seed), sigma)


def _detector(reference: np.ndarray, window: int, ert: float, bootstraps: int, sigma: float, seed: int) -> Any:
    _alibi_detect()
    from alibi_detect.cd.pytorch.mmd_online import MMDDriftOnlineTorch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MMDDriftOnlineTorch(
            reference,
            ert=ert,
            window_size=window,
            sigma=np.array([sigma]),
            n_bootstraps=bootstraps,
            device="cpu",
            verbose=False,
        )


def _alibi_detect() -> ModuleType:
    try:
        import alibi_detect.cd
    except ImportError as error:
        raise ImportError(
            "the engine `alibi` needs alibi-detect, which is not installed: pip install 'plate-assets[alibi]'. It is under the "
            "Business Source License 1.1, whose grant covers production use by non-profit educational institutions only; the "
            "engine `native` needs nothing, and gives the same statistic"
        ) from error
    return alibi_detect
