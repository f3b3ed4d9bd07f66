"""Has this batch come from where the reference came from? The maximum mean discrepancy of two samples and its permutation test.

Belongs here: MMD² of two samples, of many splits of one pooled sample, and the test of exchangeable rows. Not here: the kernel
(`kernel`), one vector after another (`online`), rows that are not exchangeable, as tiles of one plate are not.
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.drift import kernel, samples

ALPHA = 0.05
_ROUNDING = 1e-12  # sums of kernel values in float64, in another order


@dataclass(frozen=True)
class MMDResult:
    """What the test found.

    mmd2: unbiased MMD², below 0 now and then; p_value: (1 + k) / (1 + P), k of P permutations at or above mmd2; threshold: the
    MMD² above which p_value is at most 0.05; sigma: the kernel's.
    """

    mmd2: float
    p_value: float
    threshold: float
    sigma: float

    @property
    def drift(self) -> bool:
        """Whether the p-value is at most 0.05."""
        return self.p_value <= ALPHA


def test(
    reference: np.ndarray, batch: np.ndarray, *, permutations: int = 100, sigma: float | None = None, seed: int = 0
) -> MMDResult:
    """Test whether reference (n, d) and batch (m, d), one embedding a row, have one distribution (Gretton et al. 2012).

    permutations: P, at least 19, below which no p-value reaches 0.05; sigma: of the kernel, by default the median distance of
    the reference. All permutations are one matrix product (`split_mmd2`); memory is bounded:
    a process at 50,000 × 32 takes 0.35 GB.
    The rows are taken for exchangeable: rows that share a plate or a well are not, and then it rejects far too often.
    Raises ValueError where a sample is none (`samples.sample`) or a parameter out of range.
    """
    allowed = allowed_permutations(permutations)
    reference, batch, sigma = two_samples(reference, batch, sigma)
    pooled = np.concatenate([reference, batch])
    members = np.zeros((1 + permutations, len(pooled)), dtype=bool)
    members[:, len(reference) :] = True
    rng = np.random.default_rng(seed)
    rng.permuted(members[1:], axis=1, out=members[1:])
    observed, *others = split_mmd2(pooled, members, sigma).tolist()
    permuted = np.sort(others)[::-1]
    reached = int((permuted >= observed - _ROUNDING).sum())  # equal but for rounding is equal: the safe side
    return MMDResult(observed, (1 + reached) / (1 + permutations), float(permuted[allowed]), sigma)


def mmd2(reference: np.ndarray, batch: np.ndarray, *, sigma: float | None = None) -> float:
    """Unbiased MMD² of reference (n, d) and batch (m, d) alone, without a test; parameters and errors as `test`."""
    reference, batch, sigma = two_samples(reference, batch, sigma)
    member = np.arange(len(reference) + len(batch)) >= len(reference)
    return float(split_mmd2(np.concatenate([reference, batch]), member[None], sigma)[0])


def split_mmd2(points: np.ndarray, members: np.ndarray, sigma: float) -> np.ndarray:
    """Unbiased MMD² of each split of the same points, (s,).

    points: (n, d) float64; members: (s, n) bool, True for the rows of the batch, at least two on either side, as many as each
    split likes. With the kernel K, its diagonal zero, and Z = members', the sums within the batch are a = diag(Z'KZ), across
    b = Z'(K1) - a, within the rest 1'K1 - a - 2b. K comes in blocks of its upper triangle and is never whole in memory.
    """
    z = members.T.astype(np.float64)
    within, row_sums = np.zeros(len(members)), np.zeros(len(points))
    for rows, k in kernel.kernel_blocks(points, sigma):
        size = rows.stop - rows.start
        row_sums[rows] += k.sum(axis=1)
        row_sums[rows.stop :] += k[:, size:].sum(axis=0)
        k[:, :size] *= 0.5  # the block on the diagonal holds each pair twice, the others once
        within += 2 * np.einsum("ns,ns->s", z[rows], k @ z[rows.start :])
    across = row_sums @ z - within
    rest = row_sums.sum() - within - 2 * across
    m = members.sum(axis=1)
    n = len(points) - m
    return within / (m * (m - 1)) + rest / (n * (n - 1)) - 2 * across / (m * n)


def two_samples(reference: np.ndarray, batch: np.ndarray, sigma: float | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Reference (n, d) and batch (m, d) as float64, and σ. ValueError where one is no sample, or σ not above 0."""
    reference = samples.sample(reference, "the reference")
    batch = samples.sample(batch, "the batch", size=reference.shape[1])
    return reference, batch, kernel.bandwidth(reference, sigma)


def allowed_permutations(permutations: int) -> int:
    """How many of P permutations may reach the observed MMD² with (1 + k) / (1 + P) at most 0.05 still.

    ValueError where none may.
    """
    allowed = int(ALPHA * (1 + permutations) + 1e-9) - 1
    if allowed < 0:
        raise ValueError(f"{permutations} permutations: give 19 or more, fewer cannot lead to a p-value of {ALPHA}")
    return allowed
