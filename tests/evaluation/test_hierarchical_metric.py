import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from hyperbolic_seg.evaluation import HierarchicalMetric
from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary

SKY = Taxonomy.load('sky')


def sample(probabilities, labels, words='leaves', radius=None):
    """A data sample of pixels in a row: a mapping from class to probability each, and names of labels."""
    vocabulary = Vocabulary.load(words)
    shares = torch.full((len(vocabulary), 1, len(labels)), 1e-9)
    for i, pixel in enumerate(probabilities):
        for name, share in pixel.items():
            shares[vocabulary.index_of(name), 0, i] = share
    ids = [255 if name is None else SKY.nodes.index_of(name) for name in labels]
    found = dict(
        seg_logits=dict(data=shares.log()),
        gt_sem_seg=dict(data=torch.tensor([[ids]])),
        classes=vocabulary.names,
        lineages=tuple(concept.lineage for concept in vocabulary),
    )
    if radius is not None:
        found['pred_radius'] = dict(data=torch.tensor([[radius]]))
    return found


def evaluate(*samples, **options):
    metric = HierarchicalMetric(SKY, **{'draws': 0, 'fraction_of': 'cloud', **options})
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def sure(*names):
    return [{name: 1.0} for name in names]


def test_iou_of_every_depth_and_steps_of_mistakes_match_counts_by_hand():
    predicted = sure('cirrus', 'cumulus', 'clear sky', 'clear sky', 'contrail')
    labels = ['cirrus', 'stratus', 'clear sky', 'high cloud', 'cirrus']
    metrics = evaluate(sample(predicted, labels))
    # Kinds: clear sky 1 of 2, cloud 3 of 4.
    assert metrics['mIoU/1'] == pytest.approx(100 * (1 / 2 + 3 / 4) / 2)
    # Levels: clear sky 1/2, high 2 of 3, low 1 of 1.
    assert metrics['mIoU/2'] == pytest.approx(100 * (1 / 2 + 2 / 3 + 1) / 3)
    # Genera: the pixel of "high cloud" has none. clear sky 1 of 1, cirrus 1 of 2, stratus 0 of 1.
    assert metrics['mIoU/3'] == pytest.approx(100 * (1 + 1 / 2 + 0) / 3)
    # cumulus for stratus: 2 steps; clear sky for high cloud: 3; contrail for cirrus: 2.
    assert metrics['mistake_steps'] == pytest.approx(7 / 3)
    assert metrics['mean_steps'] == pytest.approx(7 / 5)
    assert metrics['fraction_error'] == pytest.approx(20) and metrics['fraction_bias'] == pytest.approx(-20)
    assert 'okta_error' not in metrics


def test_a_prediction_that_is_not_deep_enough_is_wrong_there():
    metrics = evaluate(sample(sure('clear sky', 'cloud'), ['clear sky', 'cumulus'], words='binary'))
    assert metrics['mIoU/1'] == 100
    assert metrics['mIoU/3'] == pytest.approx(50)
    assert metrics['mistake_steps'] == 2  # cloud stands two above cumulus


def test_labels_above_a_depth_and_ignored_pixels_do_not_count():
    metrics = evaluate(sample(sure('cirrus', 'cumulus', 'sun'), ['cloud', 'cloud', None]))
    assert metrics['mIoU/1'] == 100 and metrics['mean_steps'] == 0
    assert 'mIoU/2' not in metrics and 'mIoU/3' not in metrics
    assert 'mistake_steps' not in metrics


def test_every_figure_sums_the_leaves():
    """More cloud than clear sky, though clear sky is the most probable leaf; of clouds, more low than high."""
    pixels = [{'clear sky': 0.35, 'cumulus': 0.25, 'stratus': 0.2, 'cirrus': 0.2}] * 3
    metrics = evaluate(sample(pixels, ['cloud', 'low cloud', 'cirrus']))
    assert metrics['mIoU/1'] == 100 and metrics['AURC/confidence'] == 0
    assert metrics['fraction_error'] == 0
    # At the depths of cloud and low cloud they are right; at that of cirrus it is clear sky, four steps away.
    assert metrics['mistake_steps'] == 4 and metrics['mean_steps'] == pytest.approx(4 / 3)


def test_calibration_sums_the_leaves():
    pixels = [{'cirrus': 0.3, 'cumulus': 0.4, 'clear sky': 0.3}] * 10
    metrics = evaluate(sample(pixels, ['cloud'] * 7 + ['clear sky'] * 3))
    assert metrics['ECE/1'] == pytest.approx(0, abs=1e-3)  # cloud with 0.7, right in 0.7
    metrics = evaluate(sample(pixels, ['cumulus'] * 10))
    assert metrics['ECE/3'] == pytest.approx(60, abs=1e-3)


def test_aurc_of_the_radius_is_low_only_if_a_small_radius_marks_mistakes():
    pixels = [{'cumulus': p, 'clear sky': 1 - p} for p in (0.95, 0.9, 0.6, 0.55)]
    labels = ['cumulus', 'cumulus', 'clear sky', 'clear sky']
    good = evaluate(sample(pixels, labels, radius=[9.0, 8.0, 1.0, 2.0]))
    bad = evaluate(sample(pixels, labels, radius=[1.0, 2.0, 9.0, 8.0]))
    assert good['AURC/confidence'] == bad['AURC/confidence']
    assert good['AURC/radius'] == pytest.approx(good['AURC/confidence']) and bad['AURC/radius'] > good['AURC/radius']
    assert 'AURC/radius' not in evaluate(sample(pixels, labels))


def test_seen_and_unseen_classes_have_means_of_their_own():
    predicted = sure('cirrus', 'cumulus', 'stratus', 'cumulus')
    metrics = evaluate(sample(predicted, ['cirrus', 'cumulus', 'stratus', 'stratus']), unseen=['stratus'])
    assert metrics['mIoU/unseen'] == pytest.approx(50)
    assert metrics['mIoU/seen'] == pytest.approx(75)
    assert metrics['mIoU/harmonic'] == pytest.approx(60)


def test_intervals_are_over_images():
    right, wrong = sample(sure('cumulus', 'clear sky'), ['cumulus', 'clear sky']), None
    wrong = sample(sure('clear sky', 'cumulus'), ['cumulus', 'clear sky'])
    metrics = evaluate(*[right] * 30, *[wrong] * 10, draws=300)
    assert metrics['mIoU/1'] == pytest.approx(60)
    assert metrics['mIoU/1/low'] < 60 < metrics['mIoU/1/high']
    assert 30 < metrics['mIoU/1/high'] - metrics['mIoU/1/low'] < 50
    steady = evaluate(*[right] * 5, draws=50)
    assert steady['mIoU/1/low'] == steady['mIoU/1/high'] == 100


def test_images_add_up_as_one():
    rng = np.random.default_rng(0)
    leaves = list(SKY.leaves.names)
    labels = rng.choice([name for name in SKY.nodes.names if name != SKY.root], 60).tolist()
    pixels = [dict(zip(leaves, rng.dirichlet(np.ones(len(leaves))), strict=True)) for _ in range(60)]
    whole = evaluate(sample(pixels, labels))
    parts = evaluate(*(sample(pixels[i : i + 20], labels[i : i + 20]) for i in (0, 20, 40)))
    for name, value in whole.items():
        if 'fraction' not in name:
            assert parts[name] == pytest.approx(value), name


def test_unknown_classes_and_labels_are_named():
    with pytest.raises(ValueError, match="the predicted class 'a dragon' is no node"):
        evaluate(sample(sure('a dragon'), ['cloud'], words=['a dragon', 'clear sky']))
    broken = sample(sure('cirrus'), ['cloud'])
    broken['gt_sem_seg']['data'].fill_(30)
    with pytest.raises(ValueError, match='the label 30 is no node'):
        evaluate(broken)
    with pytest.raises(ValueError, match="'dragon' is not in the vocabulary"):
        METRICS.build(dict(type='HierarchicalMetric', taxonomy='sky', unseen=['dragon']))


def test_labels_alone_are_not_enough():
    labeled = sample(sure('cirrus'), ['cirrus'])
    del labeled['seg_logits']
    with pytest.raises(ValueError, match='needs the probabilities of all classes, the model gives labels alone'):
        evaluate(labeled)


def test_fractions_are_compared_only_of_a_named_node():
    names = evaluate(sample(sure('cirrus'), ['cirrus']), fraction_of=None)
    assert not any('fraction' in name for name in names)
    of_high = evaluate(sample(sure('cirrus', 'cumulus'), ['cirrus', 'cirrus']), fraction_of='high cloud')
    assert of_high['fraction_error'] == pytest.approx(50) and of_high['fraction_bias'] == pytest.approx(-50)


def test_a_missing_taxonomy_is_an_error():
    with pytest.raises(TypeError, match='taxonomy'):
        HierarchicalMetric()


def test_roads_are_judged_like_clouds():
    street = Vocabulary(
        [
            Concept('everything'),
            Concept('vehicle', ancestors=('everything',)),
            Concept('car', ancestors=('vehicle', 'everything')),
            Concept('bus', ancestors=('vehicle', 'everything')),
            Concept('road', ancestors=('everything',)),
        ]
    )
    metric = HierarchicalMetric(Taxonomy(street), fraction_of='vehicle', draws=0)
    logits = torch.tensor([[0.3, 0.3, 0.4], [0.1, 0.1, 0.8]]).t().log()[:, None]
    names = ('car', 'bus', 'road')
    lineages = tuple(street[street.index_of(name)].lineage for name in names)
    labels = dict(data=torch.tensor([[[2, 4]]]))
    metric.process({}, [dict(seg_logits=dict(data=logits), gt_sem_seg=labels, classes=names, lineages=lineages)])
    metrics = metric.compute_metrics(metric.results)
    assert metrics['mIoU/1'] == 100 and metrics['fraction_error'] == 0


def with_sets(probabilities, labels):
    """A sample whose labels are names of nodes or ids of label sets."""
    found = sample(probabilities, [None if isinstance(label, int) else label for label in labels])
    for place, label in enumerate(labels):
        if isinstance(label, int):
            found['gt_sem_seg']['data'][0, 0, place] = label
    return found


def test_label_sets_are_judged_by_what_their_classes_have_together():
    pixels = [
        {'cumulus': 0.3, 'clear sky': 0.3, 'tree': 0.4},  # sky, though tree is the most probable leaf
        {'building': 0.6, 'cirrus': 0.4},
        {'cirrus': 0.9, 'tree': 0.1},
        {'building': 0.9, 'clear sky': 0.1},
        {'clear sky': 0.8, 'terrain': 0.2},
        {'clear sky': 1.0},
    ]
    metrics = evaluate(with_sets(pixels, [126, 126, 'cloud', 'obstruction', 'tree', 'everything']))
    # In the set: labeled 3, right 2, and a tree too many. The root leaves it open.
    assert metrics['IoU/clear sky or cloud'] == pytest.approx(50)
    # The rest: labeled 2, right 1, and one sky too many.
    assert metrics['mIoU/clear sky or cloud'] == pytest.approx((50 + 100 / 3) / 2)
    assert 'IoU/clear sky or cloud or sun or moon' not in metrics, 'no label has it'


def test_pixels_with_label_sets_count_for_steps_alone():
    pixels = sure('cumulus', 'tree', 'sun')
    metrics = evaluate(with_sets(pixels, [126, 126, 125]))
    # A tree is not sky, two steps from cloud and from clear sky; the sun is a member.
    assert metrics['mistake_steps'] == 2 and metrics['mean_steps'] == pytest.approx(2 / 3)
    assert not any(name.startswith(('mIoU/1', 'ECE')) for name in metrics)
    alone, mixed = evaluate(with_sets(pixels[:1], ['cloud'])), evaluate(with_sets(pixels[:2], ['cloud', 126]))
    assert all(alone[name] == mixed[name] for name in ('mIoU/1', 'ECE/1', 'AURC/confidence'))


def test_a_share_is_not_compared_where_labels_leave_it_open():
    metrics = evaluate(with_sets(sure('cumulus', 'sun'), [126, 'sun']))
    assert 'fraction_error' not in metrics
    metrics = evaluate(with_sets(sure('tree', 'sun'), [126, 'sun']), fraction_of='obstruction')
    assert metrics['fraction_error'] == pytest.approx(50)


def test_a_value_between_nodes_and_sets_is_refused():
    with pytest.raises(ValueError, match='the label 100 is no node of the taxonomy, .* and no label set'):
        evaluate(with_sets(sure('cumulus'), [100]))
