import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.models.cost_aggregation.classwise import ClassAggregation


def layer(**options):
    torch.manual_seed(0)
    built = ClassAggregation(8, 6, heads=2, **options).double()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built


def inputs(classes=5, size=(4, 6)):
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, classes, *size, 8), (2, classes, 6))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def class_by_class(module, x, guidance):
    """Each class with a weight for every other, at one place after the other; no pooling."""
    count, extra = x.shape[1], max(module.padding - x.shape[1], 0)
    text = guidance[:, :, None, None].expand(*x.shape[:-1], -1)
    normed = module.norm1(x)
    if extra:
        shape = (len(x), extra, *x.shape[2:4])
        normed = torch.cat([normed, module.norm1(module.token).expand(*shape, -1)], 1)
        text = torch.cat([text, module.token_guidance.expand(*shape, -1)], 1)
    both = torch.cat([normed, text], -1)
    found = []
    for q, k, v in zip(
        *(part.chunk(2, -1) for part in (module.query(both), module.key(both), module.value(normed))), strict=True
    ):
        similar = torch.einsum('nkhwd,njhwd->nkjhw', F.elu(q) + 1, F.elu(k) + 1)
        found.append(torch.einsum('nkjhw,njhwd->nkhwd', similar / similar.sum(2, keepdim=True), v))
    inner = x + torch.cat(found, -1)[:, :count]
    return x + inner + module.mlp(module.norm2(inner))


@pytest.mark.parametrize('padding', [0, 5, 9])
def test_classes_attend_to_each_other_at_every_place(padding):
    module = layer(pooling=1, padding=padding)
    x, guidance = inputs()
    torch.testing.assert_close(module(x, guidance), class_by_class(module, x, guidance))


@pytest.mark.parametrize('padding', [0, 9])
def test_chunks_do_not_change_the_output(padding):
    module = layer(pooling=2, padding=padding)
    x, guidance = inputs()
    whole = module(x, guidance)
    for chunk in (1, 2, 7):
        torch.testing.assert_close(module(x, guidance, chunk=chunk), whole)


def test_the_order_of_the_classes_does_not_matter():
    module = layer()
    x, guidance = inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(module(x[:, order], guidance[:, order]), module(x, guidance)[:, order])


@pytest.mark.parametrize('size', [(4, 6), (5, 7), (1, 1)])
def test_pooling_takes_every_size(size):
    x, guidance = inputs(size=size)
    found = layer(pooling=2)(x, guidance)
    assert found.shape == x.shape and found.isfinite().all()
    even = x.mean((2, 3), keepdim=True).expand_as(x)  # what is the same everywhere stays so
    same = layer(pooling=2)(even, guidance)
    torch.testing.assert_close(same, layer(pooling=1)(even, guidance))


def test_heads_divide_the_channels():
    with pytest.raises(ValueError, match='heads must divide the channels, got 3 for 8'):
        ClassAggregation(8, 6, heads=3)


def test_sums_over_many_classes_are_in_full_precision_under_autocast():
    """Half a number's digits would lose what each of many classes adds."""
    module = layer(pooling=1, padding=0).float()
    x, guidance = (part.float() for part in inputs(classes=300, size=(2, 2)))
    kept = []
    plain = torch.einsum
    with pytest.MonkeyPatch.context() as patch, torch.autocast('cpu', dtype=torch.bfloat16):
        patch.setattr(torch, 'einsum', lambda *args: kept.append(plain(*args)) or kept[-1])
        module(x, guidance)
    assert len(kept) == 2 and all(one.dtype == torch.float32 for one in kept)


@pytest.mark.parametrize('pooling', [0, -1, 1.5])
def test_a_pooling_of_no_pixels_is_refused(pooling):
    for option in ('pooling', 'eval_pooling'):
        with pytest.raises((TypeError, ValueError), match=f'{option}={pooling}'):
            ClassAggregation(8, 4, **{option: pooling})


def test_evaluation_pools_by_a_number_of_its_own():
    torch.manual_seed(0)
    layer, x, text = ClassAggregation(8, 4, pooling=2, eval_pooling=1), torch.randn(1, 3, 4, 4, 8), torch.randn(1, 3, 4)
    alone = ClassAggregation(8, 4, pooling=1)
    alone.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer.eval()(x, text), alone(x, text))
    assert not torch.allclose(layer.train()(x, text), alone(x, text))
