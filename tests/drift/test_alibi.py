"""Our engine beside alibi-detect's: the same statistic, the same thresholds, the same steps. Needs the extra `alibi`."""

import numpy as np
import pytest
import torch

from plate_assets.drift import alibi, kernel, mmd, online
from plate_assets.drift.online import Design, OnlineMonitor
from plate_assets.drift.online_thresholds import ReferenceKernel, RunTime, per_step

pytestmark = pytest.mark.alibi
RNG = np.random.default_rng(0)
REFERENCE, BATCH = RNG.normal(size=(200, 6)), RNG.normal(0.1, 1, (80, 6))


@pytest.mark.parametrize("sigma", [None, 0.7, 5.0])
def test_the_statistic_is_alibis(sigma):
    ours, theirs = mmd.test(REFERENCE, BATCH, sigma=sigma), alibi.test(REFERENCE, BATCH, sigma=sigma)
    assert ours.mmd2 == pytest.approx(theirs.mmd2, abs=1e-5)
    assert ours.sigma == theirs.sigma


def test_the_p_value_and_the_threshold_are_alibis_but_for_the_permutations_drawn():
    ours, theirs = (engine(REFERENCE, BATCH, permutations=1_000) for engine in (mmd.test, alibi.test))
    assert ours.p_value == pytest.approx(theirs.p_value, abs=4 * np.sqrt(0.25 / 1_000))
    assert ours.threshold == pytest.approx(theirs.threshold, rel=0.2)
    assert theirs.drift == (theirs.mmd2 > theirs.threshold)


@pytest.mark.parametrize("window", [2, 10])
def test_thresholds_of_the_same_splits_are_alibis(window):
    """alibi-detect draws its splits from torch's generator: drawn again here, they are the same."""
    ert, bootstraps, seed = 16, 400, 5
    theirs = alibi.configure(REFERENCE, window=window, ert=ert, bootstraps=bootstraps, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        splits = torch.stack([torch.randperm(200)[-(2 * window - 1) :] for _ in range(bootstraps)]).numpy()
    pairs = ReferenceKernel.of(REFERENCE, kernel.median_distance(REFERENCE), np.random.default_rng(0))
    np.testing.assert_allclose(per_step(pairs, window, ert, splits), theirs.detector.thresholds, atol=1e-6)


def test_steps_from_the_same_start_are_alibis():
    theirs = alibi.configure(REFERENCE, window=7, ert=16, seed=1)
    rows, start = REFERENCE[theirs.detector.ref_inds.numpy()], REFERENCE[theirs.detector.init_test_inds.numpy()]
    across = kernel.gaussian(kernel.squared_distances(start, rows), theirs.sigma).mean(axis=1)
    inside = kernel.gaussian(kernel.squared_distances(rows, rows), theirs.sigma)
    of_rows = (inside.sum() - len(rows)) / (len(rows) * (len(rows) - 1))
    thresholds = np.array(theirs.detector.thresholds)
    ours = OnlineMonitor(Design(rows, start, of_rows, across, theirs.sigma, thresholds, 16.0, RunTime.of(16.0, 0.1)))
    for vector in BATCH[:30]:
        one, other = ours.update(vector), theirs.update(vector)
        assert (one.statistic, one.threshold) == pytest.approx((other.statistic, other.threshold), abs=1e-10)
        assert one.drift == other.drift


def test_a_restored_monitor_continues_to_the_bit():
    made = alibi.configure(REFERENCE, window=5, ert=16)
    for vector in BATCH[:9]:
        made.update(vector)
    restored = alibi.AlibiMonitor.from_bytes(made.to_bytes())
    assert [restored.update(vector) for vector in BATCH[9:30]] == [made.update(vector) for vector in BATCH[9:30]]
    restored.restart()
    made.restart()
    assert restored.update(BATCH[0]) == made.update(BATCH[0])


def test_the_engines_do_not_take_each_other_s_monitors():
    native, other = online.configure(REFERENCE, window=5, ert=16), alibi.configure(REFERENCE, window=5, ert=16)
    with pytest.raises(ValueError, match="read it with the engine that made it"):
        OnlineMonitor.from_bytes(other.to_bytes())
    with pytest.raises(ValueError, match="read it with the engine that made it"):
        alibi.AlibiMonitor.from_bytes(native.to_bytes())


def test_bad_input_is_refused_as_by_ours():
    with pytest.raises(ValueError, match="NaN or infinity"):
        alibi.test(REFERENCE, np.full((5, 6), np.nan))
    with pytest.raises(ValueError, match=r"10 × ERT"):
        alibi.configure(REFERENCE, window=5, ert=16, bootstraps=20)
    with pytest.raises(ValueError, match="one after another"):
        alibi.configure(REFERENCE, window=5, ert=16).update(BATCH)
