import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.geometry import distance, geodesic, midpoint, rectify
from hyperbolic_seg.layers import HyperbolicAvgPool2d, HyperbolicReLU, HyperbolicResidual

close = torch.testing.assert_close


def maps(seed=0, shape=(2, 5, 9, 8)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('size, stride, padding', [(2, None, 0), (3, 2, 1), ((1, 3), (2, 1), (0, 1))])
def test_pool_is_the_midpoint_of_the_window(size, stride, padding):
    v, pool = maps(), HyperbolicAvgPool2d(size, stride, padding, c=0.7)
    out = pool(v)
    twin = F.avg_pool2d(v, size, stride, padding, count_include_pad=False)
    assert out.shape == twin.shape
    (kh, kw), (sh, sw), (ph, pw) = pool.kernel_size, pool.stride, pool.padding
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            top, left = i * sh - ph, j * sw - pw
            window = v[:, :, max(top, 0) : top + kh, max(left, 0) : left + kw]
            close(out[:, :, i, j], midpoint(window, None, 0.7, dim=1, over=(2, 3)), rtol=1e-4, atol=1e-5)
    close(HyperbolicAvgPool2d(size, stride, padding, c=1e-9)(v), twin, rtol=1e-4, atol=1e-5)


def test_residual_is_on_the_geodesic():
    v, w = maps(0), maps(1)
    close(HyperbolicResidual(c=0.7)(v, w), geodesic(v, w, 0.5, 0.7, dim=1), rtol=1e-4, atol=1e-5)
    close(HyperbolicResidual(c=0.7, share=0)(v, w), v, rtol=1e-4, atol=1e-5)
    close(HyperbolicResidual(c=0.7, share=1)(v, w), w, rtol=1e-4, atol=1e-5)
    leaning = HyperbolicResidual(c=0.7, share=0.8)(v, w)
    total = distance(v, leaning, 0.7, dim=1) + distance(leaning, w, 0.7, dim=1)
    close(total, distance(v, w, 0.7, dim=1), rtol=1e-3, atol=1e-3)
    close(HyperbolicResidual(c=1e-9, share=0.3)(v, w), 0.7 * v + 0.3 * w, rtol=1e-4, atol=1e-5)
    rows = HyperbolicResidual(c=0.7, dim=-1)(v.movedim(1, -1), w.movedim(1, -1))
    close(rows.movedim(-1, 1), HyperbolicResidual(c=0.7)(v, w))
    assert HyperbolicResidual().state_dict().keys() == {'curvature.value'}
    with pytest.raises(ValueError, match='from 0 to 1, got 2'):
        HyperbolicResidual(share=2)


def test_activation_is_the_rectification_of_the_geometry():
    v = maps()
    close(HyperbolicReLU(c=0.7)(v), rectify(v, 0.7, dim=1))
    close(HyperbolicReLU(inplace=True, c=1e-9)(v), torch.relu(v), rtol=1e-4, atol=1e-5)
    assert (HyperbolicReLU()(v).norm(dim=1) >= torch.relu(v).norm(dim=1) - 1e-5).all()
