import pytest
import torch

from hyperbolic_seg.geometry import midpoint, pairwise_distance
from hyperbolic_seg.layers import HyperbolicAttention

close = torch.testing.assert_close


def test_it_is_the_midpoint_weighed_by_distances():
    torch.manual_seed(0)
    c, layer = 0.7, HyperbolicAttention(6, 2, c=0.7).double()
    with torch.no_grad():
        layer.log_sharpness.copy_(torch.tensor([0.3, -0.5]))
    query, context = torch.randn(2, 5, 6).double(), torch.randn(2, 7, 6).double()
    q, k, v = layer.query(query), layer.key(context), layer.value(context)
    expected = torch.zeros_like(query)
    for n in range(2):
        for head in range(2):
            part = slice(3 * head, 3 * head + 3)
            closeness = -layer.log_sharpness[head].exp() * pairwise_distance(q[n, :, part], k[n, :, part], c)
            weights = torch.softmax(closeness, -1)
            for i in range(5):
                expected[n, i, part] = midpoint(v[n, :, part], weights[i, :, None], c)
    close(layer(query, context), layer.output(expected), rtol=1e-6, atol=1e-7)
    close(layer(query, context, context), layer(query, context))


def test_order_of_the_context_does_not_matter():
    torch.manual_seed(0)
    layer, x = HyperbolicAttention(8, 4, c=0.3), torch.randn(2, 6, 8)
    order = torch.randperm(6)
    close(layer(x[:, order]), layer(x)[:, order], rtol=1e-4, atol=1e-5)
    close(layer(x, x[:, order]), layer(x), rtol=1e-4, atol=1e-5)


def test_it_trains_and_is_finite():
    torch.manual_seed(0)
    layer = HyperbolicAttention(8, 2)
    for scale in (0.0, 1.0, 1e3):
        layer.zero_grad()
        out = layer(torch.randn(2, 6, 8) * scale)
        assert out.shape == (2, 6, 8) and out.isfinite().all()
        out.square().mean().backward()
        assert all(p.grad.isfinite().all() for p in layer.parameters())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert layer(torch.randn(2, 6, 8)).dtype == torch.float32


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match='num_heads must divide embed_dims, got 3 for 8'):
        HyperbolicAttention(8, 3)
