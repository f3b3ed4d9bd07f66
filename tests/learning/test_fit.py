"""Fitting: the same seed gives the same weights, an interruption changes nothing, budgets and patience are kept."""

import itertools
import math

import pytest
import torch
from torch import nn

from plate_assets.learning.fit import FitConfig, fit, train_mode


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def batches(rng, generator, _):
    for _ in range(4):
        x = torch.rand(8, 3, generator=generator) + float(rng.normal()) * 0.1
        yield x, x.sum(1, keepdim=True)


def loss(model, batch):
    return (model(batch[0]).float() - batch[1]).square().mean()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    found = []
    for seed in (0, 0, 1):
        model = network()
        fit(model, batches, loss, FitConfig(epochs=3, seed=seed))
        found.append(weights(model))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize(("optimiser", "average"), [("adam", 0.0), ("sgd", 0.0), ("adam", 0.9)])
def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, optimiser, average):
    config, whole = FitConfig(epochs=6, optimiser=optimiser, average=average), network()
    fit(whole, batches, loss, config)
    calls = itertools.count()

    def dies(rng, generator, epoch):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return batches(rng, generator, epoch)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), dies, loss, config, checkpoint=tmp_path / "state.safetensors")
    resumed = network()
    fitted = fit(resumed, batches, loss, config, checkpoint=tmp_path / "state.safetensors")
    assert torch.equal(weights(resumed), weights(whole))
    assert fitted.resumed_at == 3 and len(fitted.curves["training loss"]) == 6 and len(fitted.losses) == 24


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path):
    fit(network(), batches, loss, FitConfig(epochs=2), checkpoint=tmp_path / "state", identity="one")
    assert fit(network(), batches, loss, FitConfig(epochs=2), checkpoint=tmp_path / "state", identity="two").resumed_at is None


def test_the_best_epoch_is_kept_and_patience_ends_the_training():
    judged = iter([1.0, 3.0, 2.0, 2.0, 2.0, 2.0])
    seen, model = [], network()

    def validate(model):
        seen.append(weights(model).clone())
        return next(judged), {}

    fitted = fit(model, batches, loss, FitConfig(epochs=6, patience=2), validate=validate)
    assert fitted.best_epoch == 1 and fitted.ended == "no better for 2 epochs" and len(seen) == 4
    assert torch.equal(weights(model), seen[1])


def test_an_average_is_of_the_weights_after_each_step_and_its_last_state_is_kept():
    seen, model = [], network()

    def remembers(rng, generator, epoch):
        for batch in batches(rng, generator, epoch):
            yield batch
            seen.append(weights(model).clone())

    judged = iter([3.0, 2.0, 1.0])
    fitted = fit(model, remembers, loss, FitConfig(epochs=3, average=0.5), validate=lambda model: (next(judged), {}))
    expected = weights(network())
    for number, after in enumerate(seen, 1):
        past = min(0.5, number / (number + 9))
        expected = past * expected + (1 - past) * after
    assert torch.allclose(weights(model), expected, atol=1e-6) and fitted.best_epoch == 2


def test_the_time_budget_ends_the_training_after_the_epoch_that_is_under_way():
    fitted = fit(network(), batches, loss, FitConfig(epochs=50, seconds=0.0))
    assert fitted.ended == "time used up" and len(fitted.curves["training loss"]) == 1


def test_a_loss_that_is_not_finite_says_where_and_what_to_do():
    with pytest.raises(ValueError, match="epoch 0, batch 0: lower the learning rate"):
        fit(network(), batches, lambda model, batch: loss(model, batch) * math.nan, FitConfig(epochs=1))


def test_a_frozen_batch_norm_keeps_its_statistics():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    for parameter in model[1].parameters():
        parameter.requires_grad_(False)
    train_mode(model)
    model(torch.rand(4, 1, 3, 3) + 5)
    assert torch.equal(model[1].running_mean, torch.zeros(2)) and not torch.equal(model[3].running_mean, torch.zeros(2))
