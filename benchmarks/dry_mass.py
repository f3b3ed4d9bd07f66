"""Windows of dry-mass series forecast along whole series, against the same network in batches of windows and one by one.

559,141 windows of 6,700 paths is what the paper's first data set holds (Table 1). Random weights and random growth: arithmetic
depends on neither.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

Found = TypeVar("Found")
WINDOWS, PATHS = 559_141, 6_700
TURNS = 5
BATCHES = (32, 64, 256)  # the batched pass gets the one that suits it best on this machine


def growing_paths(paths: int, windows: int, seed: int = 0) -> pl.DataFrame:
    """DRY_MASS_SERIES of paths whose mass grows along a random walk and halves at 440 pg; `windows` windows of 30 h in all."""
    from plate_assets.dry_mass.tables import DRY_MASS_SERIES

    rng = np.random.default_rng(seed)
    share = rng.gamma(1.0, 1.0, paths)  # most paths are short, some are whole time-lapses
    each = 1 + rng.multinomial(windows - paths, share / share.sum())
    points = each + 179
    path = np.repeat(np.arange(paths), points)
    walk = np.cumsum(rng.normal(0.006, 0.01, len(path))) + rng.uniform(0, 1, paths)[path]
    phase = walk % np.log(2)  # halves where it has doubled
    mass = 220 * np.exp(phase) + rng.normal(0, 10, len(path))
    point = np.arange(len(path)) - np.repeat(np.cumsum(points) - points, points)
    table = pl.DataFrame({"path_id": path, "point": point, "time_h": point / 6, "dry_mass": mass})
    return DRY_MASS_SERIES.conform(table.with_columns(
        Metadata_Timelapse=pl.lit("made"), lineage_id="path_id", track_id="path_id", unit=pl.lit("pg"), gap=False,
        divides=False, long_enough=True,
    ))  # fmt: skip


def measure(
    windows: int = WINDOWS, batched_windows: int = WINDOWS, loop_windows: int = 3_000, training_windows: int = 50_000
) -> dict[str, float]:
    """Windows a second each way and how many times faster ours is, the largest difference between them, and memory.

    batched_windows, loop_windows: how many of the windows the slower ways forecast, evenly taken from all; by default the
    batched way forecasts every one, and all are compared. The ways take turns over the same fifths of the series, and of each
    the quickest turn counts: the one that other programs disturbed least.
    """
    import torch

    from plate_assets.dry_mass.forecaster import ForecastNetwork, window_errors
    from plate_assets.dry_mass.windows import Normalisation, PathSeries, windows_of
    from plate_assets.learning.arithmetic import prepare_arithmetic

    prepare_arithmetic()
    paths = max(1, round(PATHS * windows / WINDOWS))
    series = PathSeries.of(growing_paths(paths, windows))
    start = windows_of(series).start
    values = Normalisation.fit(series, np.ones(len(series), dtype=bool)).apply(series)
    torch.manual_seed(0)
    network = ForecastNetwork().eval()
    some = (start[: len(start) // 10], start)  # the first also warms up
    extra = [_extra_mb(lambda part=part: window_errors(network, values, part, "centred_7")) for part in some]

    spent: dict[str, list[float]] = {"along series": [], "batched": [], "one by one": []}
    differences, compared = [], 0
    with torch.inference_mode():
        batch = min(BATCHES, key=lambda size: _seconds(lambda: _batched(network, values, start[:2_000], size))[0])
        for part in np.array_split(start, TURNS):
            seconds, errors = _seconds(lambda part=part: window_errors(network, values, part, "centred_7"))
            spent["along series"].append(len(part) / seconds)
            for name, many, size in (("batched", batched_windows, batch), ("one by one", loop_windows, 1)):
                taken = np.arange(0, len(part), max(1, -(-len(start) // many)))
                seconds, mse = _seconds(lambda part=part[taken], size=size: _batched(network, values, part, size))
                spent[name].append(len(taken) / seconds)
                differences.append(np.abs(mse - errors.mse[taken]).max())
                compared += len(taken) if name == "batched" else 0
    rates = {name: max(values) for name, values in spent.items()}
    return {
        "paths": paths, "windows": len(start), "batch": batch,
        **{f"{name}, windows a second": value for name, value in rates.items()},
        "along series over batched": rates["along series"] / rates["batched"],
        "along series over one by one": rates["along series"] / rates["one by one"],
        "windows compared": compared, "largest difference": float(max(differences)),
        "extra MB for a tenth of the paths": extra[0], "further MB for all of them": extra[1],
        **_training(series, training_windows),
    }  # fmt: skip


def _batched(network, values: np.ndarray, start: np.ndarray, batch: int) -> np.ndarray:
    """Errors of windows that are cut out and forecast in batches, each by itself."""
    from plate_assets.dry_mass.forecaster import cut, mass_windows, smoothed_target

    found = []
    for at in range(0, len(start), batch):
        some = start[at : at + batch]
        target = smoothed_target(mass_windows(values, some), "centred_7")
        found.append((target - network(cut(values, some, 120))).square().mean(dim=1).numpy())
    return np.concatenate(found)


def _training(series, windows: int) -> dict[str, float]:
    """Windows a second of training: along series, as it is done by default, and window by window."""
    import torch

    from plate_assets.dry_mass.forecaster_training import BATCH, ForecasterTraining
    from plate_assets.dry_mass.model import ForecasterConfig

    config = ForecasterConfig(windows_per_epoch=windows)
    training = ForecasterTraining.of(series, config)
    starts = training.starts("train")
    rates = {}
    optimiser = torch.optim.Adam(training.network.parameters(), config.learning_rate)
    for name in ("along series", "window by window"):
        done, began = 0, time.perf_counter()
        rng, same = np.random.default_rng(0), name == "window by window"
        few = rng.choice(starts, max(BATCH, windows // 20))
        batches = (
            (training.window_batch(few[at : at + BATCH]) for at in range(0, len(few), BATCH))
            if same else training.batches(rng, torch.Generator(), 0)
        )  # fmt: skip
        for batch in batches:
            forecast = training.network(batch[0]) if same else training.network.along(batch[0])
            error = (forecast - batch[1]).square().mean(dim=-1)[batch[2]].mean()
            optimiser.zero_grad(set_to_none=True)
            error.backward()
            optimiser.step()
            done += int(batch[2].sum())
        rates[name] = done / (time.perf_counter() - began)
    return {f"training {name}, windows a second": value for name, value in rates.items()}


def _seconds(work: Callable[[], Found]) -> tuple[float, Found]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def _extra_mb(work: Callable[[], object]) -> float:
    """How far the process's memory rises while it works, MB: its peak is set back before (Linux, clear_refs 5)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mb("VmRSS")
    work()
    return _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
