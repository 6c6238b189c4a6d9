import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import MODELS

from hyperbolic_seg.models.losses import HierarchicalCrossEntropyLoss
from hyperbolic_seg.text import WHOLE_IMAGE, Taxonomy

SKY = Taxonomy.load('sky')
LEAVES = len(SKY.leaves)


def logits(seed=0, shape=(2, LEAVES, 4, 6)):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000))
@settings(max_examples=30)
def test_every_label_asks_for_the_leaves_below_it(seed):
    loss, scores = HierarchicalCrossEntropyLoss('sky'), logits(seed)
    says = torch.tensor([node for node in range(len(SKY.nodes)) if SKY.nodes[node].name != SKY.root])
    label = says[torch.randint(0, len(says), (2, 4, 6), generator=torch.Generator().manual_seed(seed))]
    p = scores.softmax(1)
    of_nodes = SKY.node_probabilities(p)
    expected = -of_nodes.gather(1, label[:, None])[:, 0].log()
    torch.testing.assert_close(loss(scores, label), expected.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(scores, label, reduction_override='none'), expected, rtol=1e-4, atol=1e-5)


def test_leaves_alone_are_cross_entropy():
    leaf = torch.randint(0, LEAVES, (2, 4, 6))
    label = torch.tensor(SKY.ids(SKY.leaves.names))[leaf]
    label[0, 0] = leaf[0, 0] = 255
    expected = F.cross_entropy(logits(), leaf, ignore_index=255)
    torch.testing.assert_close(HierarchicalCrossEntropyLoss('sky')(logits(), label), expected)
    weight = torch.rand(2, 4, 6)
    expected = (F.cross_entropy(logits(), leaf, ignore_index=255, reduction='none') * weight).sum() / 7
    got = HierarchicalCrossEntropyLoss('sky', loss_weight=2.0)(logits(), label, weight=weight, avg_factor=7)
    torch.testing.assert_close(got, 2 * expected)


def test_the_root_and_ignored_pixels_say_nothing():
    scores = logits().requires_grad_()
    label = torch.full((2, 4, 6), SKY.ids(['everything'])[0])
    label[0] = 255
    value = HierarchicalCrossEntropyLoss('sky')(scores, label)
    assert value == 0
    assert (torch.autograd.grad(value, scores)[0] == 0).all()
    label[1, 0, 0] = 1
    one = HierarchicalCrossEntropyLoss('sky')(scores, label)
    torch.testing.assert_close(one, -SKY.node_probabilities(scores.softmax(1))[1, 1, 0, 0].log())


def test_classes_may_be_fewer_than_the_leaves():
    binary = HierarchicalCrossEntropyLoss('sky', classes='binary')
    scores, ids = logits(shape=(1, 2, 5)), SKY.ids(['clear sky', 'cloud', 'cumulus', 'high cloud', 'sun'])
    got = binary(scores, torch.tensor([ids]), reduction_override='none')
    expected = F.cross_entropy(scores, torch.tensor([[0, 1, 1, 1, 0]]), reduction='none')
    expected[0, 4] = 0  # no class is at, below or above the sun
    torch.testing.assert_close(got, expected)
    # A genus left out of training: its pixels say nothing, its level is content with the others.
    seen = [name for name in SKY.leaves.names if name not in ('cirrus', 'stratus')]
    loss, scores = HierarchicalCrossEntropyLoss('sky', classes=seen), logits(shape=(1, LEAVES - 2, 2))
    got = loss(scores, torch.tensor([SKY.ids(['cirrus', 'low cloud'])]), reduction_override='none')
    low = [seen.index(name) for name in ('stratocumulus', 'cumulus', 'cumulonimbus')]
    assert got[0, 0] == 0
    torch.testing.assert_close(got[0, 1], -scores.softmax(1)[0, low, 1].sum().log())


def test_a_label_of_an_image_asks_for_its_genus_where_the_clouds_are():
    loss, scores = HierarchicalCrossEntropyLoss('sky', image_weight=0.5), logits().requires_grad_()
    cirrus, cloud = SKY.ids(['cirrus', 'cloud'])
    label = torch.full((2, 4, 6), WHOLE_IMAGE + cirrus)
    of_nodes = SKY.node_probabilities(scores.softmax(1))
    q = of_nodes[:, cloud].detach()
    expected = -0.5 * q * (of_nodes[:, cirrus] / of_nodes[:, cloud]).log()
    torch.testing.assert_close(loss(scores, label, reduction_override='none'), expected, rtol=1e-4, atol=1e-5)
    # Clear sky and cloud are told apart by masks alone.
    gradient = torch.autograd.grad(loss(scores, label), scores)[0]
    outside = ~SKY.membership[cloud]
    assert gradient[:, outside].abs().max() < 1e-7
    assert gradient[:, SKY.leaves.index_of('cirrus')].max() < 0


def test_node_weights_scale_the_loss_of_their_pixels():
    label = torch.tensor([[0, 1]])
    scores = logits(shape=(1, LEAVES, 2))
    plain = HierarchicalCrossEntropyLoss('sky')(scores, label, reduction_override='none')
    weighted = HierarchicalCrossEntropyLoss('sky', node_weight={'cloud': 3.0})(scores, label, reduction_override='none')
    torch.testing.assert_close(weighted, plain * torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize('scale', [0.0, 1.0, 1e4])
def test_large_logits_in_half_precision_stay_finite(scale):
    scores = (logits() * scale).to(torch.bfloat16).requires_grad_()
    value = HierarchicalCrossEntropyLoss('sky')(scores, torch.randint(0, 20, (2, 4, 6)))
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite() and scores.grad.isfinite().all()


def test_wrong_logits_labels_and_classes_are_named():
    loss = MODELS.build(dict(type='HierarchicalCrossEntropyLoss', taxonomy='sky', loss_name='loss_tree'))
    assert loss.loss_name == 'loss_tree' and not loss.state_dict()
    with pytest.raises(ValueError, match='the logits are of 3 classes, the loss has 22'):
        loss(logits(shape=(1, 3, 2)), torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(
        ValueError, match='labels from 0 to 30: expected ids of nodes, 0 to 28, 126 for .clear sky or cloud.'
    ):
        loss(logits(shape=(1, LEAVES, 2)), torch.tensor([[0, 30]]))
    with pytest.raises(ValueError, match="'dragon' is not in the vocabulary"):
        HierarchicalCrossEntropyLoss('sky', classes=['cloud', 'dragon'])
    with pytest.raises(ValueError, match="'dragon' is not in the vocabulary"):
        HierarchicalCrossEntropyLoss('sky', node_weight={'dragon': 2.0})


def test_accuracy_counts_kinds_of_the_label():
    loss = HierarchicalCrossEntropyLoss('sky')
    scores = torch.full((1, LEAVES, 1, 5), -5.0)
    named = ['cirrus', 'cirrus', 'cumulus', 'cirrus', 'sun']
    scores[0, [loss.classes.index(name) for name in named], 0, range(5)] = 5.0
    labels = ['cloud', 'cirrus', 'high cloud', 'everything']
    ids = [*loss.taxonomy.ids(labels), 255]
    assert loss.accuracy(scores, torch.tensor([[ids]])).item() == pytest.approx(200 / 3)  # two of three say something


def test_pixels_have_no_gradient_against_unlabeled_classes():
    loss = HierarchicalCrossEntropyLoss('sky', unlabeled=['cirrus', 'stratus'])
    scores = logits(shape=(1, LEAVES, 4)).requires_grad_()
    label = torch.tensor([SKY.ids(['cumulus', 'low cloud', 'cirrus', 'clear sky'])])
    got = loss(scores, label, reduction_override='none')[0]
    p, leaf = scores.softmax(1)[0], SKY.leaves.index_of
    labeled = 1 - p[leaf('cirrus')] - p[leaf('stratus')]
    low = p[[leaf(name) for name in ('stratocumulus', 'stratus', 'cumulus', 'cumulonimbus')], 1].sum()
    expected = torch.stack([p[leaf('cumulus'), 0] / labeled[0], low, torch.tensor(1.0), p[leaf('clear sky'), 3]])
    torch.testing.assert_close(got, -expected.log(), rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(got.sum(), scores)[0][0]
    assert gradient[leaf('stratus'), 0].abs() < 1e-7, 'cumulus is told from what is labeled'
    assert gradient[leaf('stratus'), 1] < 0 and gradient[leaf('cirrus'), 1] > 0, 'a low cloud, not a high one'
    assert gradient[leaf('stratus'), 3] > 0, 'clear sky is no cloud, labeled or not'


def test_ancestors_of_a_label_are_told_from_unlabeled_classes():
    loss = HierarchicalCrossEntropyLoss('sky', unlabeled=['cirrus', 'stratus'], parent_weight=0.5)
    scores = logits(shape=(1, LEAVES, 1)).requires_grad_()
    got = loss(scores, torch.tensor([SKY.ids(['cumulus'])]))
    p, leaf = scores.softmax(1)[0, :, 0], SKY.leaves.index_of
    cumulus, low = SKY.node_probabilities(scores.softmax(1))[0, SKY.ids(['cumulus', 'low cloud']), 0]
    labeled = 1 - p[leaf('cirrus')] - p[leaf('stratus')]
    torch.testing.assert_close(got, -(cumulus / labeled).log() - 0.5 * low.log(), rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(got, scores)[0][0, :, 0]
    assert gradient[leaf('stratus')] < 0 and gradient[leaf('cirrus')] > 0, 'a low cloud, not a high one'


def test_images_have_no_gradient_against_unlabeled_classes():
    loss, scores = HierarchicalCrossEntropyLoss('sky', unlabeled=['stratus', 'cirrus']), logits(shape=(1, LEAVES, 3))
    cumulus, stratus, cirrus, cloud, clear = SKY.ids(['cumulus', 'stratus', 'cirrus', 'cloud', 'clear sky'])
    got = loss(scores, WHOLE_IMAGE + torch.tensor([[cumulus, stratus, clear]]), reduction_override='none')[0]
    p = SKY.node_probabilities(scores.softmax(1))[0]
    among_labeled = p[cumulus] / (p[cloud] - p[stratus] - p[cirrus])
    torch.testing.assert_close(got[0], -(p[cloud] * among_labeled.log())[0], rtol=1e-4, atol=1e-5)
    assert got[1] == 0 and got[2].abs() < 1e-6


def test_what_is_above_a_label_is_asked_for_too():
    loss, scores = HierarchicalCrossEntropyLoss('sky', parent_weight=0.5), logits(shape=(1, LEAVES, 6))
    cirrus, high, cloud, clear = SKY.ids(['cirrus', 'high cloud', 'cloud', 'clear sky'])
    label = torch.tensor([[cirrus, high, cloud, WHOLE_IMAGE + cirrus, WHOLE_IMAGE + clear, WHOLE_IMAGE + high]])
    got = loss(scores, label, reduction_override='none')[0]
    p = SKY.node_probabilities(scores.softmax(1))[0]
    pixels = [p[cirrus, 0] * p[high, 0] ** 0.5, p[high, 1] * p[cloud, 1] ** 0.5, p[cloud, 2]]
    whole = -p[cloud, 3] * (p[cirrus, 3] / p[cloud, 3] * (p[high, 3] / p[cloud, 3]) ** 0.5).log()
    level = -p[cloud, 5] * (p[high, 5] / p[cloud, 5]).log()
    expected = torch.stack([*(-pixel.log() for pixel in pixels), whole, torch.tensor(0.0), level])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('unlabeled', [['cloud'], Taxonomy.load('sky').leaves.names])
def test_all_classes_or_inner_nodes_as_unlabeled_are_refused(unlabeled):
    with pytest.raises(ValueError, match='expected some, not all, of the classes'):
        HierarchicalCrossEntropyLoss('sky', unlabeled=unlabeled)


def test_a_missing_taxonomy_is_an_error():
    """Nothing stands in for it: the loss is of no field of its own."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'taxonomy'"):
        HierarchicalCrossEntropyLoss()
    own = HierarchicalCrossEntropyLoss('voc20b_tree')
    assert own.classes == Taxonomy.load('voc20b_tree').leaves.names


OPEN, SKY_OF_ANY_KIND = 126, 125  # clear sky or cloud; with the sun and the moon


def test_a_label_set_asks_for_its_members_together():
    loss, scores = HierarchicalCrossEntropyLoss('sky'), logits(shape=(1, LEAVES, 3)).requires_grad_()
    got = loss(scores, torch.tensor([[OPEN, SKY_OF_ANY_KIND, 0]]), reduction_override='none')[0]
    p, of = SKY.node_probabilities(scores.softmax(1))[0], SKY.ids
    clear, cloud, sun, moon = of(['clear sky', 'cloud', 'sun', 'moon'])
    expected = torch.stack([p[[clear, cloud], 0].sum(), p[[clear, cloud, sun, moon], 1].sum(), p[clear, 2]])
    torch.testing.assert_close(got, -expected.log(), rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(got[0], scores)[0][0, :, 0]
    inside = SKY.membership[clear] | SKY.membership[cloud]
    assert (gradient[inside] < 0).all() and (gradient[~inside] > 0).all()
    # Members keep their shares of what they have together.
    torch.testing.assert_close(
        gradient[inside] / gradient[inside].sum(), p_of(scores)[inside] / p_of(scores)[inside].sum()
    )


def p_of(scores):
    return scores.softmax(1)[0, :, 0].detach()


def test_gradients_of_label_sets_are_those_of_finite_differences():
    loss = HierarchicalCrossEntropyLoss('sky', classes='leaves_v1', parent_weight=0.5)
    label = torch.tensor([[OPEN, SKY_OF_ANY_KIND, 22]])
    scores = (0.3 * torch.randn(1, 15, 3, generator=torch.Generator().manual_seed(1))).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(scores, label), scores)
    for place in ((0, 0, 0), (0, 12, 1), (0, 13, 2), (0, 4, 0)):
        step = torch.zeros_like(scores)
        step[place] = 0.05
        difference = (loss(scores + step, label) - loss(scores - step, label)) / 0.1
        torch.testing.assert_close(gradient[place], difference, rtol=2e-2, atol=1e-4)


def test_label_sets_below_and_of_all_classes():
    """Of clear sky and cloud alone the set says nothing; with one class for both members it asks for that."""
    scores = logits(shape=(1, 2, 1))
    assert HierarchicalCrossEntropyLoss('sky', classes='binary')(scores, torch.tensor([[OPEN]])) == 0
    ends = HierarchicalCrossEntropyLoss('sky', classes=['clear sky', 'cloud', 'not sky'])
    scores = logits(shape=(1, 3, 2))
    got = ends(scores, torch.tensor([[OPEN, SKY_OF_ANY_KIND]]), reduction_override='none')[0]
    torch.testing.assert_close(got[0], -scores.softmax(1)[0, :2, 0].sum().log())
    assert got[1] == 0, 'the sun counts as not sky'


def test_whole_images_accuracy_and_weights_of_label_sets():
    loss = HierarchicalCrossEntropyLoss('sky', node_weight={'clear sky or cloud': 2.0})
    scores = logits(shape=(1, LEAVES, 1))
    plain = HierarchicalCrossEntropyLoss('sky')(scores, torch.tensor([[OPEN]]))
    torch.testing.assert_close(loss(scores, torch.tensor([[OPEN]])), 2 * plain)
    assert loss(scores, torch.tensor([[WHOLE_IMAGE + OPEN]])).abs() < 1e-6, 'nothing is left to ask for'
    sure = torch.full((1, LEAVES, 1, 3), -5.0)
    sure[0, [loss.classes.index(name) for name in ('cumulus', 'tree', 'sun')], 0, range(3)] = 5.0
    assert loss.accuracy(sure, torch.tensor([[[OPEN, OPEN, SKY_OF_ANY_KIND]]])).item() == pytest.approx(200 / 3)
    with pytest.raises(ValueError, match="126 for 'clear sky or cloud'"):
        loss(scores, torch.tensor([[124]]))
