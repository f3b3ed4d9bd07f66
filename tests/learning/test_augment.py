"""Augmentation: each symmetry gives its own views and no others, and synthetic anomalies lie where their marks say."""

import pytest
import torch

from plate_assets.learning.augment import Augmentation, Strokes, add_strokes, augment

STILL = {"gain": 0.0, "offset": 0.0, "noise": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("symmetry", "views"), [("square", 8), ("rectangle", 4), ("none", 1)])
def test_a_symmetry_gives_all_of_its_views(symmetry, views):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    seen = augment(image.expand(200, -1, -1, -1), Augmentation(symmetry=symmetry, **STILL), seeded())
    assert len({tuple(view.flatten().tolist()) for view in seen}) == views


def test_the_views_of_a_rectangle_turn_no_row_into_a_column():
    rows = torch.arange(4.0)[None, None, :, None].expand(50, 1, 4, 4)
    seen = augment(rows, Augmentation(symmetry="rectangle", **STILL), seeded())
    assert (seen.std(3) == 0).all()


def test_stretching_moves_what_is_shown_and_leaves_a_flat_image_flat():
    flat, spot = torch.full((8, 1, 16, 16), 3.0), torch.zeros(8, 1, 16, 16)
    spot[..., 8, 8] = 1
    how = Augmentation(symmetry="none", stretch=0.2, **STILL)
    assert torch.allclose(augment(flat, how, seeded()), flat, atol=1e-5)
    places = {int(image.argmax()) for image in augment(spot, how, seeded())}
    assert len(places) > 3


def test_synthetic_anomalies_lie_where_their_marks_say_and_only_there():
    changed, marks = add_strokes(torch.zeros(40, 1, 64, 64), Strokes(), seeded())
    assert marks.shape == (40, 64, 64) and set(marks.unique().tolist()) == {0.0, 1.0}
    strength = changed[:, 0].abs()
    assert (strength[marks == 1] > 0.3).float().mean() > 0.98  # a dark one that crosses a bright one may cancel it
    assert strength[marks == 0].mean() < 0.02
    assert 0 < marks.mean() < 0.05 and (marks.amax((1, 2)) == 1).float().mean() > 0.9
    assert changed.min() < -1 and changed.max() > 1  # darker ones and brighter ones


def test_the_same_seed_gives_the_same_anomalies_and_the_images_given_stay_as_they_are():
    given = torch.rand(4, 3, 32, 32, generator=seeded(1))
    kept = given.clone()
    one, same, other = (add_strokes(given, Strokes(), seeded(seed)) for seed in (2, 2, 3))
    assert torch.equal(given, kept)
    assert torch.equal(one[0], same[0]) and torch.equal(one[1], same[1]) and not torch.equal(one[1], other[1])
    assert add_strokes(given[:0], Strokes(), seeded())[1].shape == (0, 32, 32)
