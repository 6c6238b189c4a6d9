"""Maps that are enlarged some rows at a time."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.models.refinement import in_bands, largest_in_bands

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, st.integers(1, 300), st.integers(1, 90), st.booleans(), st.integers(1, 5000))
def test_bands_together_are_what_pytorch_interpolates(height, width, rows, columns, align_corners, band):
    torch.manual_seed(0)
    maps = 10 * torch.randn(3, height, width)
    bands = list(in_bands(maps, (rows, columns), align_corners=align_corners, band=band))
    expected = F.interpolate(maps[None], size=(rows, columns), mode='bilinear', align_corners=align_corners)[0]
    torch.testing.assert_close(torch.cat([part for _, part in bands], 1), expected, atol=2e-5, rtol=1e-5)
    assert [place for places, _ in bands for place in range(places.start, places.stop)] == list(range(rows))
    assert all(part.numel() <= max(band, 3 * columns) for _, part in bands)


@given(SIDES, SIDES, st.integers(1, 300), st.integers(1, 90), st.booleans(), st.integers(1, 5000))
def test_the_largest_map_is_that_of_the_enlarged_maps(height, width, rows, columns, align_corners, band):
    torch.manual_seed(0)
    maps = F.avg_pool2d(torch.randn(3, height + 4, width + 4), 5, 1)  # smooth, so that neighbors agree now and then
    options = dict(align_corners=align_corners)
    bands = list(largest_in_bands(maps, (rows, columns), **options, band=band))
    assert [place for places, _ in bands for place in range(places.start, places.stop)] == list(range(rows))
    found = torch.cat([part for _, part in bands]).long()
    assert found.shape == (rows, columns) and all(part.numel() <= max(band, columns) for _, part in bands)
    enlarged = F.interpolate(maps[None], size=(rows, columns), mode='bilinear', **options)[0]
    chosen = enlarged.gather(0, found[None])[0]
    torch.testing.assert_close(chosen, enlarged.amax(0), atol=2e-6, rtol=0)  # rounding decides between equals alone


@pytest.mark.parametrize('rows', [3641, 10000])
def test_edges_lie_where_pytorch_puts_them(rows):
    """Steep maps: a position that is rounded otherwise would move an edge by a thousandth of its height."""
    maps = torch.arange(192).remainder(2).float()[None, :, None].expand(2, 192, 2)
    found = torch.cat([part for _, part in in_bands(maps, (rows, 2))], 1)
    torch.testing.assert_close(found, F.interpolate(maps[None], size=(rows, 2), mode='bilinear')[0], atol=2e-6, rtol=0)


def test_maps_of_the_size_of_the_image_stay_as_they_are():
    maps = torch.randn(4, 30, 50, dtype=torch.float64)
    assert torch.equal(torch.cat([part for _, part in in_bands(maps, (30, 50), band=1000)], 1), maps)
