"""Attributes beside the classes of HyperCLIPHead: how thick a cloud is."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

SKY = dict(vocabulary='leaves', taxonomy='sky', attribute_loss=dict(loss_weight=0.5))


def features(head, apart=2.0):
    torch.manual_seed(1)
    return (torch.randn(2, head.in_channels, 6, 5) + torch.tensor([apart, -apart]).view(2, 1, 1, 1),)


@pytest.fixture
def head(build):
    loss = dict(_delete_=True, type='HierarchicalCrossEntropyLoss', taxonomy='sky', classes='leaves')
    head = build(**SKY, loss_decode={k: v for k, v in loss.items() if k != '_delete_'}).decode_head
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        head.attribute_scores.told.fill_(True)
    return head.eval()


def shares(head, *prompts, apart=2.0):
    head.set_vocabulary(list(prompts))
    with torch.no_grad():
        return head(features(head, apart)).softmax(1)


def test_parts_of_a_cloud_add_up_to_it(head):
    whole = shares(head, 'clear sky', 'cloud')
    thick = shares(head, 'clear sky', 'thin cloud', 'thick cloud')
    form = shares(head, 'clear sky', 'dark thin clouds', 'patterned clouds', 'cloud')
    torch.testing.assert_close(thick[:, 1:].sum(1), whole[:, 1])
    torch.testing.assert_close(form[:, 1:].sum(1), whole[:, 1])
    assert (thick[:, 1] - thick[:, 2]).std() > 0.01


def test_thin_cirrus_is_cirrus_that_is_thin(head):
    cirrus, rest = shares(head, 'cirrus', 'everything else; clear sky').unbind(1)
    thin = shares(head, 'thin cirrus', 'cirrus', 'everything else; clear sky')
    with torch.no_grad():
        values = head.attribute_scores(head._embedded(features(head))).exp()
    torch.testing.assert_close(thin[:, 0], cirrus * values[:, 0])
    torch.testing.assert_close(thin[:, 2], rest)
    torch.testing.assert_close(values[:, :3].sum(1), torch.ones_like(cirrus))


def test_words_in_parts_are_the_words_at_once(head):
    head.set_vocabulary(['clear sky', 'thin cloud', 'dark cumulus', 'cloud', 'building'])
    with torch.no_grad():
        logits, radius = head.forward_with_radius(features(head))
        of_concepts, same = head.forward_in_parts(features(head))
        parts = torch.cat([of_concepts(start, start + 1) for start in range(5)], 1)
    torch.testing.assert_close(parts, logits)
    torch.testing.assert_close(same, radius)


def batch(attributes):
    samples = []
    for values in attributes:
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 6, 5), 13)))
        if values is not None:
            sample.set_data(dict(gt_attributes=PixelData(data=torch.full((1, 6, 5), values))))
        samples.append(sample)
    return samples


def test_training_tells_thin_from_thick(head):
    head.attribute_scores.reset_parameters()
    steps = torch.optim.Adam(head.attribute_scores.parameters(), lr=0.1)
    for _ in range(100):
        losses = head.loss(features(head, 4.0), batch([1, 4]), None)
        steps.zero_grad()
        losses['loss_attributes'].backward()
        steps.step()
    thin = shares(head.eval(), 'thin cloud', 'thick cloud', apart=4.0)[:, 0].mean((1, 2))
    assert thin[0] > 0.8 and thin[1] < 0.2


def test_images_without_attributes_do_not_count(head):
    torch.manual_seed(3)
    both = head.attribute_scores.losses(features(head)[0], batch([1, None]))['loss_attributes']
    one = head.attribute_scores.losses(features(head)[0][:1], batch([1]))['loss_attributes']
    torch.testing.assert_close(both, one)


def test_a_model_that_was_told_nothing_refuses_to_guess(head):
    head.attribute_scores.reset_parameters()
    head.attribute_scores.losses(features(head)[0], batch([None, 0]))
    with pytest.raises(ValueError, match=r"the prompts name \['thin'\], which no training of this model has told"):
        shares(head, 'thin cloud', 'clear sky')
    shares(head, 'patterned cloud', 'clear sky')  # is a set of genera
    head.attribute_scores.losses(features(head)[0], batch([1, None]))
    shares(head, 'thin cloud', 'clear sky')


def test_a_head_without_them_takes_adjectives_as_typed(build):
    head = build(vocabulary='leaves', taxonomy='sky').decode_head
    head.set_vocabulary(['thin cloud', 'clear sky'])
    assert head.text.vocabulary.names == ('thin cloud', 'clear sky')
    assert not hasattr(head, 'attribute_scores') or head.attribute_scores is None


def test_wrong_options_are_named(build):
    with pytest.raises(ValueError, match='attribute_loss needs a taxonomy with attributes'):
        build(vocabulary='binary', attribute_loss={})
    with pytest.raises(ValueError, match='attribute_loss needs shares of one probability'):
        build(**SKY, queries='phrase')
