"""The MN-pair loss as a set of laws, and an embedding that learns what it is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from plate_assets.learning.training import train
from plate_assets.precipitation.embedding import EmbeddingModel, intensities, mn_pair_loss, mn_pair_loss_of
from plate_assets.precipitation.embedding_training import EmbeddingTraining, balanced_batch, random_views, standardise
from plate_assets.precipitation.model import EmbeddingConfig

batches = st.tuples(st.integers(0, 1000), st.integers(2, 5), st.integers(2, 4))
temperatures, weights = st.floats(0.1, 1.0), st.floats(0.05, 0.95)


def batch(seed: int, classes: int, each: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(classes * each, 8, generator=generator, dtype=torch.float64)
    return embeddings, torch.arange(classes).repeat_interleave(each)


def by_the_letter(similarity: np.ndarray, labels: np.ndarray, tau: float, v: float) -> float:
    """Eq. 5 as it is printed, anchor by anchor."""
    losses = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i]
        p = sum(np.exp(similarity[i, j] / tau) for j in others if labels[j] == labels[i])
        q = sum(np.exp(similarity[i, j] / tau) for j in others if labels[j] != labels[i])
        losses.append(-np.log(v * p / (v * p + (1 - v) * q)))
    return float(np.mean(losses))


@given(batches, temperatures, weights)
def test_the_stable_form_is_equation_5(sizes, tau, v):
    embeddings, labels = batch(*sizes)
    unit = functional.normalize(embeddings, dim=1)
    expected = by_the_letter((unit @ unit.T).numpy(), labels.numpy(), tau, v)
    assert mn_pair_loss(embeddings, labels, tau, v).item() == pytest.approx(expected)


@given(st.integers(0, 1000), st.integers(2, 5), temperatures)
def test_with_even_weights_and_one_positive_it_is_the_n_pair_loss(seed, classes, tau):
    embeddings, labels = batch(seed, classes, 2)
    unit = functional.normalize(embeddings, dim=1)
    logits = (unit @ unit.T / tau).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(labels)) ^ 1
    info_nce = functional.cross_entropy(logits, partner)  # -log(exp(s+) / (exp(s+) + sum exp(s-)))
    assert mn_pair_loss(embeddings, labels, tau, v=0.5).item() == pytest.approx(info_nce.item())


@given(batches, temperatures, weights)
def test_it_is_never_negative_and_falls_with_positives_and_rises_with_negatives(sizes, tau, v):
    embeddings, labels = batch(*sizes)
    unit = functional.normalize(embeddings, dim=1)
    similarity = (unit @ unit.T).requires_grad_()
    loss = mn_pair_loss_of(similarity, labels, tau, v)
    assert loss.item() >= 0
    loss.backward()
    same = labels[:, None] == labels[None, :]
    off_diagonal = ~torch.eye(len(labels), dtype=torch.bool)
    gradient = similarity.grad
    assert (gradient[same & off_diagonal] < 0).all()
    assert (gradient[~same] > 0).all()


@given(batches, st.floats(0.01, 1000))
def test_the_length_of_an_embedding_changes_nothing(sizes, scale):
    embeddings, labels = batch(*sizes)
    scaled = embeddings.clone()
    scaled[0] *= scale
    assert mn_pair_loss(scaled, labels).item() == pytest.approx(mn_pair_loss(embeddings, labels).item())


@pytest.mark.parametrize("opposite", [False, True])
def test_its_gradient_is_finite_at_a_low_temperature_in_float32(opposite):
    labels = torch.tensor([0, 0, 1, 1])
    towards = torch.tensor([1.0, -1.0, 1.0, -1.0] if opposite else [1.0, 1.0, -1.0, -1.0])
    embeddings = (towards[:, None] * torch.ones(4, 8)).requires_grad_()
    loss = mn_pair_loss(embeddings, labels, tau=0.1)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(embeddings.grad).all()


def test_a_batch_of_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        mn_pair_loss(torch.randn(4, 8), torch.zeros(4))


def test_the_network_has_the_papers_fifteen_layers_and_sizes():
    network = EmbeddingModel.untrained().network
    sizes, image = [300], torch.zeros(1, 1, 300, 300)
    for block in network.trunk:
        image = block(image)
        sizes.append(image.shape[-1])
    assert sizes == [300, 150, 75, 37, 18]
    layers = 1 + sum(len(block) for block in network.trunk) + 1 + 1  # input, blocks, global pooling, fully connected
    assert layers == 15
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())


def test_cnn27_can_be_the_trunk_and_its_weights_be_handed_on():
    backbones = pytest.importorskip("plate_assets.learning.backbones")
    model = EmbeddingModel.untrained("cnn27", input_px=64)
    assert model.embed(np.zeros((2, 64, 64), np.uint8)).shape == (2, 32)
    assert set(model.trunk_weights) == set(backbones.build_trunk("cnn27", 1).state_dict())


def test_embeddings_are_unit_vectors_and_survive_storage():
    tiles = np.random.default_rng(0).integers(0, 65535, (5, 24, 24), dtype=np.uint16)
    model = EmbeddingModel.untrained(input_px=32)
    vectors = model.embed(tiles, batch_size=2)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5))
    assert np.array_equal(EmbeddingModel.from_parts(model.architecture, model.weights).embed(tiles, batch_size=2), vectors)
    with pytest.raises(ValueError, match="do not fit"):
        EmbeddingModel.from_parts(model.architecture, {"x": np.zeros(3)})


def test_eight_and_sixteen_bit_grey_and_colour_of_one_picture_are_one_tile():
    grey = np.random.default_rng(0).integers(0, 255, (2, 8, 8), dtype=np.uint8)
    expected = intensities(grey, 1)
    assert np.allclose(intensities(grey.astype(np.uint16) * 257, 1), expected)
    assert np.allclose(intensities(np.repeat(grey[..., None], 3, axis=-1), 1), expected, atol=1e-6)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        intensities(grey.astype(float), 1)


@given(st.integers(0, 100), st.lists(st.integers(-1, 4), min_size=2, max_size=60).filter(lambda x: len(set(x) - {-1}) > 1))
def test_a_batch_holds_each_class_equally_and_no_unlabelled_tile(seed, labels):
    labels = np.array(labels)
    drawn = labels[balanced_batch(labels, 36, np.random.default_rng(seed))]
    classes, counts = np.unique(drawn, return_counts=True)
    assert set(classes) == set(labels) - {-1}
    assert set(counts) == {36 // classes.size}


def test_many_classes_are_drawn_in_twos():
    drawn = np.arange(100)[balanced_batch(np.arange(100), 36, np.random.default_rng(0))]
    assert np.unique(drawn, return_counts=True)[1].tolist() == [2] * 18


def test_views_turn_and_mirror_without_a_border():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 0, 1] = 1
    rng = np.random.default_rng(0)
    views = {tuple(random_views(image, rng, zoom=0, gain=0).round().flatten().int().tolist()) for _ in range(100)}
    expected = {
        tuple(np.rot90(flipped, turns).flatten().astype(int)) for flipped in (image[0, 0].numpy(), image[0, 0].numpy()[:, ::-1])
        for turns in range(4)
    }  # fmt: skip
    assert views == expected
    assert torch.allclose(random_views(torch.full((20, 1, 8, 8), 5.0), rng, gain=0), torch.tensor(5.0))


def stripes_and_dots(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    tiles = rng.integers(90, 110, (n, 32, 32))
    tiles[labels == 0, ::4] += 60
    tiles[labels == 1, 2::8, 2::8] += 60
    return tiles.astype(np.uint8), labels


SMALL = EmbeddingConfig(input_px=32, iterations=30, batch=12, learning_rate=2e-3, keep_every=10)


def within_minus_across(vectors: np.ndarray, labels: np.ndarray) -> float:
    similarity, same = vectors @ vectors.T, labels[:, None] == labels[None, :]
    return float(similarity[same].mean() - similarity[~same].mean())


def test_labelled_training_brings_a_class_together_on_tiles_it_never_saw():
    tiles, labels = stripes_and_dots(40)
    unseen, truth = stripes_and_dots(20, seed=1)
    trained = train(EmbeddingTraining.of(tiles, labels, SMALL))
    before = EmbeddingModel.untrained(input_px=32, std=0.1)
    assert within_minus_across(trained.model.embed(unseen), truth) > max(0.8, within_minus_across(before.embed(unseen), truth))
    assert trained.losses[-5:].mean() < trained.losses[:5].mean()


def specks_on_texture(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Textures of uneven strength, with three dark specks of 2 px in every second tile."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    tiles = 130 + ndimage.gaussian_filter(rng.normal(0, 60, (n, 48, 48)), (0, 1.5, 1.5)) * rng.uniform(0.5, 3, (n, 1, 1))
    for row, col in rng.integers(0, 46, (3, 2, n)):
        for right, down in np.ndindex(2, 2):
            tiles[np.arange(n), row + right, col + down] -= 40 * labels
    return tiles.clip(0, 255).astype(np.uint8), labels


@pytest.mark.parametrize("seed", range(3))
def test_classes_that_differ_by_a_few_pixels_do_not_fall_together_into_one_direction(seed):
    tiles, labels = specks_on_texture(200)
    unseen, truth = specks_on_texture(60, seed=1)
    config = EmbeddingConfig(input_px=48, iterations=200, batch=24, learning_rate=1e-3, seed=seed)
    vectors = train(EmbeddingTraining.of(tiles, labels, config)).model.embed(unseen)
    assert (vectors @ vectors.T).mean() < 0.5
    assert within_minus_across(vectors, truth) > 0.5


def test_the_start_gives_every_channel_mean_zero_and_deviation_one():
    network = EmbeddingModel.untrained(input_px=32).network
    images = 0.1 * torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) + 3
    standardise(network, images)
    with torch.no_grad():
        first, last = network.trunk[0][0](images), network(images)
    for found, axes in ((first, (0, 2, 3)), (last, 0)):
        std, mean = torch.std_mean(found, axes)
        assert torch.allclose(std, torch.ones_like(std), atol=1e-3) and torch.allclose(mean, torch.zeros_like(mean), atol=1e-3)


def test_without_labels_two_views_of_a_tile_are_its_class():
    tiles, _ = stripes_and_dots(20)
    trained = train(EmbeddingTraining.of(tiles, None, SMALL))
    assert trained.supervision == "pairs" and np.isfinite(trained.losses).all()


class Killed(Exception):
    """Raised where a kill would come."""


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("killed_after", [1, 2])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(tmp_path, labelled, killed_after):
    tiles, labels = stripes_and_dots(24)
    config, checkpoint = replace(SMALL, iterations=25), tmp_path / "embedding.safetensors"  # the last block is shorter

    def training() -> EmbeddingTraining:
        return EmbeddingTraining.of(tiles, labels if labelled else None, config)

    def kill(done: int, _: int) -> None:
        if done == killed_after:
            raise Killed

    whole = train(training())
    with pytest.raises(Killed):
        train(training(), checkpoint=checkpoint, progress=kill)
    resumed = train(training(), checkpoint=checkpoint)
    assert len(whole.losses) == 25 and np.array_equal(resumed.losses, whole.losses) and not checkpoint.exists()
    assert all(np.array_equal(resumed.model.weights[name], value) for name, value in whole.model.weights.items())


def test_how_often_the_state_is_kept_changes_nothing_of_the_result():
    tiles, labels = stripes_and_dots(24)
    often, once = (train(EmbeddingTraining.of(tiles, labels, replace(SMALL, keep_every=every))) for every in (7, 30))
    assert np.array_equal(often.losses, once.losses)
    assert all(np.array_equal(often.model.weights[name], value) for name, value in once.model.weights.items())
