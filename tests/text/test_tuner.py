import math

import geoopt
import pytest
import torch

from hyperbolic_seg.geometry import from_ball, radius, to_ball
from hyperbolic_seg.text import RadiusTuner


def embeddings(count=7, dims=24):
    return torch.nn.functional.normalize(torch.randn(count, dims, generator=torch.Generator().manual_seed(0)), dim=-1)


@pytest.mark.parametrize('shared_scale', [False, True])
def test_untrained_it_returns_the_frozen_embeddings_exactly(shared_scale):
    tuner, frozen = RadiusTuner(24, block_size=8, shared_scale=shared_scale), embeddings()
    assert torch.equal(tuner(frozen), frozen)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(tuner(frozen), frozen)
    torch.testing.assert_close(radius(tuner(frozen)), torch.full((7,), 2.0))


@pytest.mark.parametrize('c', [0.01, 0.7, 2.3])
def test_it_is_the_moebius_product_with_a_block_diagonal_matrix(c):
    torch.manual_seed(0)
    tuner, frozen = RadiusTuner(24, block_size=8).double(), embeddings().double()
    torch.nn.init.normal_(tuner.delta, std=0.05)
    matrix = torch.eye(24, dtype=torch.float64) + torch.block_diag(*tuner.delta.detach())
    ball = geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))
    scaled = ball.mobius_matvec(matrix, to_ball(frozen, c), project=False)
    torch.testing.assert_close(tuner(frozen), from_ball(scaled, c), rtol=1e-6, atol=1e-8)


def test_the_shared_scale_is_a_factor_on_the_radius():
    tuner, frozen = RadiusTuner(24, block_size=12, shared_scale=True), embeddings()
    with torch.no_grad():
        tuner.log_scale.fill_(0.5)
    torch.testing.assert_close(tuner(frozen), frozen * math.exp(0.5))
    torch.testing.assert_close(radius(tuner(frozen)), torch.full((7,), 2 * math.exp(0.5)))


def test_weight_decay_pulls_towards_the_frozen_encoder():
    tuner, frozen = RadiusTuner(24, block_size=8), embeddings()
    torch.nn.init.normal_(tuner.delta, std=0.1)
    before = (tuner(frozen) - frozen).norm().item()
    optimizer = torch.optim.SGD(tuner.parameters(), lr=0.1, weight_decay=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        (0 * tuner(frozen).sum()).backward()
        optimizer.step()
    assert (tuner(frozen) - frozen).norm().item() < 0.7 * before


def test_wrong_block_sizes_and_embedding_sizes_are_named():
    with pytest.raises(ValueError, match='block_size must divide embed_dims, got 7 for 24'):
        RadiusTuner(24, block_size=7)
    with pytest.raises(ValueError, match=r'expected embeddings of shape \(K, 24\), got \(2, 23\)'):
        RadiusTuner(24, block_size=8)(torch.zeros(2, 23))
