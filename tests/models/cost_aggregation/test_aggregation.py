import pytest
import torch

from hyperbolic_seg.models.cost_aggregation import CostAggregation

SIZES = dict(
    templates=2,
    dense_dims=8,
    text_dims=8,
    fine_dims=(12, 10),
    dims=16,
    guidance_dims=8,
    fine_guidance_dims=(4, 2),
    decoder_dims=(16, 8),
    window=3,
    padding=8,
)


def build(**options):
    torch.manual_seed(0)
    return CostAggregation(**(SIZES | options)).eval()


def inputs(classes=5, size=(5, 6)):
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, classes, 2, *size), (2, 8, *size), (2, classes, 8), (2, 12, *size), (2, 10, *size)]
    cost, dense, text, *fine = (torch.randn(shape, generator=generator) for shape in shapes)
    return cost, dense, text, fine


def test_logits_are_of_four_times_the_size():
    assert build()(*inputs()).shape == (2, 5, 20, 24)


def test_checkpoints_with_the_former_name_of_a_part_are_loaded():
    source, target = build(), CostAggregation(**SIZES)
    state = source.state_dict()
    older = {name.replace('image.', 'picture.'): value for name, value in state.items()}
    assert older.keys() != state.keys()
    target.load_state_dict(older)
    assert all(torch.equal(value, state[name]) for name, value in target.state_dict().items())
    with pytest.raises(RuntimeError, match=r'Missing key.*image\.0\.weight'):
        target.load_state_dict({name: value for name, value in older.items() if 'picture' not in name})


@pytest.mark.parametrize('chunk', [1, 2, 64])
def test_chunks_and_checkpointing_change_neither_logits_nor_gradients(chunk):
    module = build()
    expected = module(*inputs())
    gradients = torch.autograd.grad(expected.square().mean(), list(module.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    module.chunk, module.with_cp = chunk, True
    found = module(*inputs())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    again = torch.autograd.grad(found.square().mean(), list(module.parameters()))
    torch.testing.assert_close(again, gradients, rtol=1e-3, atol=1e-5)


def test_permuted_classes_give_permuted_logits():
    module, (cost, dense, text, fine) = build(), inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    found = module(cost[:, order], dense, text[:, order], fine)
    torch.testing.assert_close(found, module(cost, dense, text, fine)[:, order], rtol=1e-4, atol=1e-5)


def test_every_guidance_map_changes_the_logits():
    module, (cost, dense, text, fine) = build(), inputs()
    plain = module(cost, dense, text, fine)
    for changed in (
        (cost, -dense, text, fine),
        (cost, dense, -text, fine),
        (cost, dense, text, [-fine[0], fine[1]]),
        (cost, dense, text, [fine[0], -fine[1]]),
    ):
        assert not torch.allclose(module(*changed), plain)


def test_guidance_as_wide_as_the_maps_is_refused():
    with pytest.raises(ValueError, match='guidance of 16 channels beside maps of 16: expected fewer'):
        build(fine_guidance_dims=(16, 2))
