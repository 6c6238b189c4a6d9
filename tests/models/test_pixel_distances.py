import pytest
import torch

from tests.models.test_hyperclip_head import perturb


def pixels(head, length=1.0):
    torch.manual_seed(1)
    return [torch.randn(2, head.in_channels, 16, 24) * length]


def logits_of(head, inputs):
    with torch.no_grad():
        quick = head.forward_with_radius(inputs)
    return quick, [x.detach() for x in head.forward_with_radius(inputs)]


@pytest.mark.parametrize('length', [0.0, 0.01, 1.0, 1e3], ids=['zero', 'short', 'one', 'beyond the product'])
@pytest.mark.parametrize('multilabel', [False, True])
def test_logits_without_gradients_are_those_with_them(build, length, multilabel):
    loss = dict(type='MultilabelCrossEntropyLoss') if multilabel else dict(type='CrossEntropyLoss')
    head = perturb(build('distance', loss_decode=loss).decode_head)
    (quick, quick_radius), (long, long_radius) = logits_of(head, pixels(head, length))
    torch.testing.assert_close(quick, long, rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(quick_radius, long_radius, rtol=2e-5, atol=1e-5)


def test_logits_without_gradients_are_no_less_precise(build):
    head = perturb(build('distance').decode_head)
    features, words = pixels(head)[0], head.text_embeddings().detach()
    with torch.no_grad():
        quick, _ = head._of_words(features, words)
    long = head._of_words(features, words)[0].detach()
    exact = head.double()._of_words(features.double(), words.double())[0].detach()
    assert (quick - exact).abs().max() <= (long - exact).abs().max()


def test_the_factor_of_a_first_batch_counts(build):
    head = perturb(build('distance').decode_head)
    head.feature_scale.fill_(0.1)
    (quick, _), (long, _) = logits_of(head, pixels(head, 20.0))
    torch.testing.assert_close(quick, long, rtol=2e-5, atol=2e-5)
