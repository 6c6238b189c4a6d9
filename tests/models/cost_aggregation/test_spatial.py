import pytest
import torch

from hyperbolic_seg.models.cost_aggregation.spatial import SpatialAggregation, SwinBlock

CASES = [((8, 8), 4, 0), ((8, 8), 4, 2), ((7, 10), 4, 0), ((7, 10), 4, 2), ((3, 4), 4, 2), ((5, 4), 4, 2)]


def place_by_place(block, x, guidance):
    """Every place with those of its window alone, the windows moved by the shift over the image itself."""
    classes, (height, width) = x.shape[1], x.shape[2:4]
    shift = block.shift if max(height, width) > block.window else 0
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    window = torch.stack([(row - shift) // block.window, (column - shift) // block.window], -1).flatten(0, 1)
    together = (window[:, None] == window[None]).all(-1)
    normed = block.norm1(x).flatten(2, 3)
    of_image = block.query_key_guidance(guidance.flatten(1, 2)).unsqueeze(1).expand(-1, classes, -1, -1)
    query, key = (block.query_key(normed) + of_image).chunk(2, -1)
    value, found = block.value(normed), []
    for q, k, v in zip(*(part.chunk(block.heads, -1) for part in (query, key, value)), strict=True):
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~together, -torch.inf)
        found.append(scores.softmax(-1) @ v)
    x = x + block.project(torch.cat(found, -1)).unflatten(2, (height, width))
    return x + block.mlp(block.norm2(x))


def inputs(size, classes=3):
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, classes, *size, 8), (2, *size, 6))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(('size', 'window', 'shift'), CASES)
def test_positions_attend_within_their_window(size, window, shift):
    torch.manual_seed(0)
    block = SwinBlock(8, 6, heads=2, window=window, shift=shift).double()
    x, guidance = inputs(size)
    torch.testing.assert_close(block(x, guidance), place_by_place(block, x, guidance))


def test_classes_are_aggregated_each_by_itself():
    torch.manual_seed(0)
    layer = SpatialAggregation(8, 6, heads=2, window=4).double()
    x, guidance = inputs((8, 8))
    torch.testing.assert_close(layer(x, guidance)[:, 1:2], layer(x[:, 1:2], guidance))


def test_the_second_block_carries_over_the_borders_of_the_first():
    torch.manual_seed(0)
    layer = SpatialAggregation(8, 6, heads=2, window=4).double()
    x, guidance = inputs((8, 8))
    x.requires_grad_()
    reach = torch.autograd.grad(layer(x, guidance)[0, 0, 4, 4].sum(), x)[0][0, 0].abs().sum(-1) > 0
    assert reach.all(), 'windows of 4, then windows shifted by 2'


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match='heads must divide the channels, got 3 for 8'):
        SwinBlock(8, 6, heads=3, window=4, shift=0)
