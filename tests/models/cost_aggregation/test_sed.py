"""The decoder of SED: sizes, symmetry of classes, chunks, rejection, and that it learns."""

import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.models.cost_aggregation import GradualFusion
from hyperbolic_seg.models.cost_aggregation.aggregation import ABSENT

SIZES = dict(
    templates=2, fine_dims=(12, 10, 6), dims=16, decoder_dims=(16, 8, 8), fine_guidance_dims=(4, 2, 2), kernel=5
)


def build(**options):
    torch.manual_seed(0)
    return GradualFusion(**(SIZES | options)).eval()


def inputs(classes=5, size=(4, 6), images=2):
    generator = torch.Generator().manual_seed(0)
    shapes = [(images, classes, 2, *size)]
    shapes += [(images, dims, *(side << i for side in size)) for i, dims in enumerate(SIZES['fine_dims'], 1)]
    cost, *fine = (torch.randn(shape, generator=generator) for shape in shapes)
    return cost, fine


def test_logits_are_of_eight_times_the_size_and_early_ones_double():
    logits, early = build().train()(*inputs())
    assert logits.shape == (2, 5, 32, 48)
    assert [guess.shape[1:] for guess in early] == [(5, 4, 6), (5, 8, 12), (5, 16, 24)]
    logits, early = build()(*inputs())
    assert logits.shape == (2, 5, 32, 48) and early == ()


def test_permuted_classes_give_permuted_logits():
    module, (cost, fine) = build(), inputs()
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(module(cost[:, order], fine)[0], module(cost, fine)[0][:, order], rtol=1e-4, atol=1e-5)


def test_classes_and_pixels_far_away_are_seen():
    module, (cost, fine) = build(), inputs()
    before = module(cost, fine)[0]
    changed = cost.clone()
    changed[:, 0, :, 0, 0] += 1
    difference = (module(changed, fine)[0] - before).abs().amax((0, 2, 3))
    assert (difference > 0).all(), 'classes attend to each other'
    changed = [stage.clone() for stage in fine]
    changed[2][:, :, 0, 0] += 1
    assert not torch.equal(module(cost, changed)[0], before), 'the finest stage counts'


@pytest.mark.parametrize('chunk', [1, 2, 64])
def test_chunks_and_checkpointing_change_neither_logits_nor_gradients(chunk):
    module = build().train()
    expected, guesses = module(*inputs())
    loss = expected.square().mean() + sum(guess.square().mean() for guess in guesses)
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    module.chunk, module.with_cp = chunk, True
    found, guesses = module(*inputs())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    loss = found.square().mean() + sum(guess.square().mean() for guess in guesses)
    torch.testing.assert_close(torch.autograd.grad(loss, list(module.parameters())), gradients, rtol=1e-3, atol=1e-5)


def test_only_costs_give_a_gradient_to_the_encoder_and_no_early_head_does():
    cost, fine = inputs()
    cost.requires_grad_()
    for stage in fine:
        stage.requires_grad_()
    logits, early = build().train()(cost, fine)
    logits.sum().backward(retain_graph=True)
    assert cost.grad.abs().max() > 0 and all(stage.grad is None for stage in fine)
    assert torch.autograd.grad(sum(guess.sum() for guess in early), cost, allow_unused=True) == (None,)


@pytest.mark.parametrize('rejection', [5, 6, 100])
def test_rejection_of_none_changes_nothing(rejection):
    expected = build()(*inputs())[0]
    assert torch.equal(build(rejection=rejection)(*inputs())[0], expected)


def test_rejection_keeps_the_most_likely_classes_of_every_image():
    module, (cost, fine) = build(rejection=1), inputs(classes=8)
    # Costs differ between classes, little between pixels: few classes are the most likely ones anywhere.
    cost = 0.02 * cost + torch.randn(2, 8, 2, 1, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedded = module.embed(cost.flatten(0, 1)).unflatten(0, (2, 8))
        likely = module.early_heads[0](embedded.flatten(0, 1)).unflatten(0, (2, 8)).squeeze(2)
        found = module(cost, fine)[0]
        for image in range(2):
            first = set(likely[image].argmax(0).unique().tolist())
            kept = {k for k in range(8) if not (found[image, k] == ABSENT).all()}
            assert kept and kept <= first and len(first) < 8
            alone = module(cost[image : image + 1], [stage[image : image + 1] for stage in fine])[0]
            torch.testing.assert_close(found[image : image + 1], alone)
            absent = [k for k in range(8) if k not in kept]
            assert (found[image, absent] == ABSENT).all() and (found[image, sorted(kept)] > ABSENT).all()
        # What is kept is decoded as if the others had never been there; one step, since each step rejects again.
        single = GradualFusion(**SIZES | dict(decoder_dims=(8,), fine_dims=(12,), fine_guidance_dims=(4,)), rejection=1)
        single.eval()
        found = single(cost, fine[:1])[0][0]
        kept = [k for k in range(8) if not (found[k] == ABSENT).all()]
        assert len(kept) < 8
        single.rejection = None
        torch.testing.assert_close(found[kept], single(cost[:1, kept], [fine[0][:1]])[0][0])


def test_a_tiny_problem_is_learned():
    module, (cost, fine) = build().train(), inputs(classes=3)
    # Each class is where its costs are high: in the left half, the upper half, nowhere.
    target = torch.zeros(2, 3, 32, 48)
    target[:, 0, :, :24] = target[:, 1, :16] = 1
    cost = 0.1 * cost + F.interpolate(target, size=(4, 6))[:, :, None]
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3)
    losses = []
    for _ in range(20):
        logits, early = module(cost, fine)
        loss = F.binary_cross_entropy_with_logits(logits, target)
        for guess in early:
            loss = loss + F.binary_cross_entropy_with_logits(guess, F.interpolate(target, size=guess.shape[2:]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(fine_dims=(12, 10)), 'expected one of each for every step'),
        (dict(kernel=4), 'kernel=4: expected an odd number'),
        (dict(rejection=0), 'rejection=0: expected a positive number'),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
