"""The forecaster: the paper's network, the same forecasts along a series as window by window, and a training that learns."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass import forecaster as module
from plate_assets.dry_mass.forecaster import (
    Forecaster,
    ForecasterError,
    ForecastNetwork,
    baselines,
    forecaster_parts,
    pieces_of,
    window_errors,
)
from plate_assets.dry_mass.forecaster_training import ForecasterTraining, cell_threshold, window_threshold
from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.dry_mass.windows import Normalisation, PathSeries, WindowError, smoothing_matrix, windows_of
from plate_assets.learning.training import train
from tests.dry_mass.made_series import culture, path_rows, plain_table, table_of

SMALL = ForecasterConfig(epochs=6, windows_per_epoch=2_000, seed=3)


def network_of(features: int = 1, padding: Any = "valid", seed: int = 0) -> ForecastNetwork:
    """A network whose biases are not zero, as after a training."""
    torch.manual_seed(seed)
    network = ForecastNetwork(features, padding).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def parameters(network: ForecastNetwork) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_network_has_the_parameters_of_the_paper():
    assert parameters(ForecastNetwork()) == 181_020
    assert parameters(ForecastNetwork(padding="same")) == 226_076


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_further_features_add_weights_to_the_first_layer_alone(padding):
    assert parameters(ForecastNetwork(4, padding)) - parameters(ForecastNetwork(1, padding)) == 3 * 3 * 64


def plain_forecast(network: ForecastNetwork, window: np.ndarray) -> np.ndarray:
    """Fig. 2a by hand, for one window (features, 120): no torch but for the weights."""
    weights = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    x = window.astype(float)
    for layer in range(9):
        if layer in (3, 6):
            x = np.maximum(x[:, 0 : x.shape[1] // 2 * 2 : 2], x[:, 1::2][:, : x.shape[1] // 2])
        if network.padding == "same":
            x = np.pad(x, ((0, 0), (1, 1)))
        kernel, bias = weights[f"convolutions.{layer}.weight"], weights[f"convolutions.{layer}.bias"]
        taps = np.stack([x[:, at : x.shape[1] - 2 + at] for at in range(3)], axis=2)
        x = np.tanh(np.einsum("oct,cnt->on", kernel, taps) + bias[:, None])
    x = x.reshape(-1)
    for name in ("dense1", "dense2"):
        x = np.maximum(weights[f"{name}.weight"] @ x + weights[f"{name}.bias"], 0)
    return weights["out.weight"] @ x + weights["out.bias"]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("features", [1, 3])
def test_the_network_is_three_blocks_of_convolutions_and_three_dense_layers(features, padding):
    network, windows = network_of(features, padding), torch.randn(2, features, 120)
    found = network(windows).detach().numpy()
    assert found == pytest.approx(np.stack([plain_forecast(network, window) for window in windows.numpy()]), abs=1e-5)


@settings(max_examples=15)
@given(st.integers(120, 420), st.integers(1, 3), st.integers(1, 4))
def test_along_a_series_the_forecasts_are_those_of_each_window_by_itself(length, features, n):
    network, series = network_of(features), torch.randn(n, features, length)
    with torch.inference_mode():
        windows = series.unfold(2, 120, 1).permute(0, 2, 1, 3)
        each = network(windows.reshape(-1, features, 120)).reshape(n, -1, 60)
        assert torch.allclose(network.along(series), each, atol=1e-5, rtol=0)


def test_with_same_padding_a_series_is_not_forecast_at_once():
    with pytest.raises(ForecasterError, match="score window by window"):
        network_of(padding="same").along(torch.zeros(1, 1, 200))


def plain_errors(network: ForecastNetwork, values: np.ndarray, start: np.ndarray, smoothing) -> np.ndarray:
    """Eq. 5, one window at a time."""
    matrix, found = smoothing_matrix(60, smoothing), []
    for at in start:
        with torch.inference_mode():
            forecast = network(torch.from_numpy(values[at : at + 120].T.copy())[None])[0].numpy()
        found.append(np.mean((matrix @ values[at + 120 : at + 180, 0] - forecast) ** 2))
    return np.array(found)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("smoothing", ["centred_7", "trailing_6"])
def test_errors_of_any_windows_are_those_of_each_by_itself(padding, smoothing):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (1200, 2)).astype(np.float32)
    start = np.sort(rng.choice(1020, 300, replace=False))  # runs of all lengths
    network = network_of(2, padding)
    assert window_errors(network, values, start, smoothing).mse == pytest.approx(
        plain_errors(network, values, start, smoothing), abs=1e-5
    )


def test_long_series_and_many_series_are_forecast_in_batches_of_bounded_size():
    sizes = []

    class Recorded(ForecastNetwork):
        def along(self, x):
            sizes.append(x.numel())
            return super().along(x)

    torch.manual_seed(0)
    network, rng = Recorded().eval(), np.random.default_rng(0)
    values = rng.normal(0, 1, (40_000, 1)).astype(np.float32)
    long = np.arange(30_000)
    many = np.concatenate([np.arange(at, at + rng.integers(1, 120)) for at in range(0, 39_000, 300)])
    found = window_errors(network, values, long, "centred_7")
    assert len(sizes) > 2 and max(sizes) <= module.POINTS_AT_ONCE
    window_errors(network, values, many, "centred_7")
    assert max(sizes) <= module.POINTS_AT_ONCE
    some = long[::997]
    assert found.mse[::997] == pytest.approx(plain_errors(network, values, some, "centred_7"), abs=1e-5)


@given(st.integers(0, 50), st.lists(st.integers(0, 700), max_size=5), st.integers(1, 90))
def test_pieces_hold_every_window_once_and_none_too_many(first, left_out, at_most):
    start = np.array([at for at in range(first, 600) if at not in left_out])
    begin, length = pieces_of(start, at_most)
    assert length.max() <= at_most and length.sum() == len(start) and (begin == np.cumsum(length) - length).all()
    assert all((np.diff(start[b : b + n]) == 1).all() for b, n in zip(begin, length, strict=True))


def test_no_windows_have_no_errors():
    assert len(window_errors(network_of(), np.zeros((0, 1), np.float32), np.empty(0, np.int64), "centred_7").mse) == 0


@given(st.floats(-5, 5), st.floats(-0.1, 0.1))
def test_a_straight_line_goes_on_without_an_error_and_a_constant_stays(level, slope):
    window = torch.tensor(level + slope * np.arange(180.0), dtype=torch.float32)[None]
    persistence, linear = baselines(window, "centred_7")
    assert torch.allclose(linear, window[:, 120:], atol=1e-3)
    assert float(persistence) == pytest.approx(level + slope * 117.5, abs=1e-3)  # the mean of the last four points


def test_the_linear_baseline_is_the_least_squares_line_and_persistence_the_last_smoothed_value():
    values = np.random.default_rng(0).normal(0, 1, (3, 180)).astype(np.float32)
    persistence, linear = baselines(torch.from_numpy(values), "trailing_6")
    for row, last, line in zip(values, persistence, linear, strict=True):
        assert np.polyval(np.polyfit(np.arange(120), row[:120], 1), np.arange(120, 180)) == pytest.approx(
            line.numpy(), abs=1e-4
        )
        assert float(last) == pytest.approx(row[114:120].mean(), abs=1e-5)


def test_a_forecast_and_the_baselines_do_not_see_what_they_forecast():
    rng, network = np.random.default_rng(0), network_of()
    values = rng.normal(0, 1, (180, 1)).astype(np.float32)
    other = values.copy()
    other[120:] += 5
    forecast = [next(iter(module.forecasts(network, v, np.array([0]))))[2] for v in (values, other)]
    assert torch.equal(*forecast)
    for one, same in zip(*(baselines(torch.from_numpy(v.T.copy()), "centred_7") for v in (values, other)), strict=True):
        assert torch.equal(one, same)


def parts_of(network: ForecastNetwork, **changes):
    facts = {
        "features": ["dry_mass"], "smoothing": "centred_7", "unit": "pg",
        "normalisation": {"mean": [300.0], "std": [80.0], "own": False}, "thresholds": {},
    }  # fmt: skip
    return forecaster_parts(network, **{**facts, **changes})


def test_a_forecast_is_in_the_unit_of_the_series():
    network = network_of()
    forecaster = Forecaster.from_parts(*parts_of(network))
    mass = np.random.default_rng(0).normal(300, 80, 200)
    series = PathSeries.of(plain_table(mass))
    expected = plain_forecast(network, ((mass[5:125] - 300) / 80)[None]) * 80 + 300
    assert forecaster.forecast(series, np.array([5]))[0] == pytest.approx(expected, abs=1e-2)


def test_parts_that_do_not_fit_are_refused_by_name():
    architecture, weights = parts_of(network_of())
    assert architecture["science"] == "dry_mass"
    without = {name: value for name, value in architecture.items() if name != "unit"}
    for parts, words in (
        ((without, weights), "lacks unit"),
        (
            ({**architecture, "science": "precipitation"}, weights),
            "precipitation, and the science dry_mass is needed",
        ),
        (({**architecture, "format": 9}, weights), "format 9"),
        (({**architecture, "padding": "full"}, weights), "'full' is no padding"),
        (({**architecture, "padding": "same"}, weights), "weights do not fit"),
        ((architecture, {}), "weights do not fit"),
    ):
        with pytest.raises(ForecasterError, match=words):
            Forecaster.from_parts(*parts)


def test_a_series_that_the_model_does_not_know_is_refused():
    forecaster = Forecaster.from_parts(*parts_of(network_of()))
    mass = np.full(200, 3.0)
    with pytest.raises(ForecasterError, match="in 'relative', and the model was trained on 'pg'"):
        forecaster.values(PathSeries.of(plain_table(mass, unit="relative")))
    with_area = PathSeries.of(table_of(path_rows(mass, path=0, area_um2=mass)), ("dry_mass", "area"))
    with pytest.raises(ForecasterError, match="have the features"):
        forecaster.values(with_area)


def trained(series: PathSeries, config: ForecasterConfig, split=None):
    training = ForecasterTraining.of(series, config, split)
    return training, train(training)


@pytest.fixture(scope="module")
def timelapse() -> PathSeries:
    return PathSeries.of(culture(24, 45, seed=5, noise_pg=15.0))


@pytest.fixture(scope="module")
def learnt(timelapse):
    return trained(timelapse, SMALL)


def test_training_beats_both_baselines_on_lineages_that_it_did_not_see(learnt):
    _, found = learnt
    assert found.metrics["MSE test"] < 0.9 * min(found.metrics["MSE persistence test"], found.metrics["MSE linear test"])
    assert found.curves["validation loss"][0] > found.curves["validation loss"][-1]


def test_the_thresholds_are_those_of_the_training_windows_and_paths(learnt, timelapse):
    training, found = learnt
    thresholds = found.forecaster.architecture["thresholds"]
    errors = found.forecaster.errors(timelapse, training.starts("train"))
    assert thresholds["network"]["window"] == pytest.approx(errors.mse.mean() + 2 * errors.mse.std())
    assert thresholds["linear"]["window"] == pytest.approx(errors.linear.mean() + 2 * errors.linear.std())
    windows = windows_of(timelapse)
    scores = []
    for path in np.flatnonzero(training.split == "train"):
        mse = found.forecaster.errors(timelapse, windows.start[windows.whole & (windows.path == path)]).mse
        if len(mse):
            scores.append((mse > thresholds["network"]["window"]).mean())
    assert thresholds["network"]["cell"] == pytest.approx(np.mean(scores) + 2 * np.std(scores))
    assert thresholds["network"]["cell_far"] == pytest.approx(np.mean(scores) + 5 * np.std(scores))


def test_the_model_carries_what_scoring_needs_as_plain_parts(learnt):
    architecture = learnt[1].forecaster.architecture
    assert json.loads(json.dumps(architecture, allow_nan=False)) == architecture
    assert architecture["science"] == "dry_mass" and architecture["unit"] == "pg"
    assert architecture["reference"]["train"]["n"] == len(learnt[0].starts("train"))
    again = Forecaster.from_parts(architecture, learnt[1].forecaster.weights)
    assert parameters(again.network()) == 181_020


def test_a_threshold_is_eq_6_or_a_quantile():
    errors = np.random.default_rng(0).gamma(2.0, 1.0, 10_000)
    assert window_threshold(errors) == pytest.approx(errors.mean() + 2 * errors.std())
    assert (errors > window_threshold(errors, "quantile_0.975")).mean() == pytest.approx(0.025, abs=1e-3)
    assert (errors > window_threshold(errors, "quantile_0.95")).mean() == pytest.approx(0.05, abs=1e-3)
    assert cell_threshold(np.array([0.0, 0.1, np.nan])) == pytest.approx(0.05 + 2 * 0.05) and cell_threshold(errors, 0.3) == 0.3


def test_the_same_seed_gives_the_same_forecaster_and_another_seed_another(timelapse):
    short = replace(SMALL, epochs=2, windows_per_epoch=600)
    one, same, other = (trained(timelapse, replace(short, seed=seed))[1].forecaster.weights for seed in (3, 3, 4))
    assert all(np.array_equal(same[name], value) for name, value in one.items())
    assert any(not np.array_equal(other[name], value) for name, value in one.items())


def test_the_loss_along_series_is_the_mean_error_of_its_windows(timelapse):
    training = ForecasterTraining.of(timelapse, SMALL)
    start = training.starts("train")
    batches = list(training.batches(np.random.default_rng(0), torch.Generator(), 0))
    assert sum(int(there.sum()) for _, _, there in batches) == pytest.approx(SMALL.windows_per_epoch, abs=32)
    begin, length = pieces_of(start, 32)
    batch = training._pieces(start[begin[:3]], length[:3])
    rows = np.concatenate([np.arange(b, b + n) for b, n in zip(begin[:3], length[:3], strict=True)])
    with torch.inference_mode():
        loss = float(training.loss(training.network, batch))
    expected = window_errors(training.network, training.values, start[rows], "centred_7").mse.mean()
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "changes", [{"padding": "same"}, {"features": ("dry_mass", "area", "thickness", "speed")}, {"parity": True}]
)
def test_the_other_choices_train_too(timelapse, changes):
    table = culture(12, 40, seed=5)
    config = replace(SMALL, epochs=1, windows_per_epoch=128, **changes)
    series = PathSeries.of(table, config.features)
    training, found = trained(series, config)
    assert np.isfinite(found.metrics["MSE test"])
    assert found.forecaster.normalisation.own == config.parity
    assert len(found.forecaster.errors(series, windows_of(series).start[:5]).mse) == 5


def test_parity_standardises_each_subset_by_itself_and_counts_every_window(timelapse):
    training = ForecasterTraining.of(timelapse, replace(SMALL, parity=True))
    for name in ("train", "validation", "test"):
        points = np.repeat(training.split == name, np.diff(timelapse.offsets))
        assert training.values[points].mean() == pytest.approx(0, abs=1e-4)
        assert training.values[points].std() == pytest.approx(1, abs=1e-4)
    windows = windows_of(timelapse)
    assert len(training.starts("train")) == (training.split == "train")[windows.path].sum()
    default = ForecasterTraining.of(timelapse, SMALL)
    assert default.normalisation == Normalisation.fit(timelapse, default.split == "train")
    assert len(default.starts("train")) < (default.split == "train")[windows.path].sum()


def test_what_cannot_be_trained_says_what_lacks(timelapse):
    with pytest.raises(WindowError, match="no train path has a window"):
        ForecasterTraining.of(timelapse, SMALL, np.full(len(timelapse), "test", dtype=object))
    with pytest.raises(WindowError, match="'median' is no rule"):
        ForecasterTraining.of(timelapse, replace(SMALL, threshold="median"))  # pyright: ignore[reportArgumentType]


def test_splits_of_a_training_never_share_a_lineage(timelapse):
    lineage = ForecasterTraining.of(timelapse, SMALL)
    names = [set(timelapse.about["lineage_id"].to_numpy()[lineage.split == name]) for name in ("train", "validation", "test")]
    assert all(not one & other for one, other in pairwise([*names, names[0]]))
