"""Batches of one size, whatever comes in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.learning.infer import in_batches


@given(st.integers(0, 20), st.integers(1, 8))
def test_every_batch_is_full_and_the_images_come_in_their_order(n, size):
    images = np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2)
    batches = list(in_batches(images, size))
    assert {len(batch) for batch in batches} <= {size} and len(batches) == -(-n // size)
    assert np.array_equal(np.concatenate([*batches, images[:0]])[:n], images)
