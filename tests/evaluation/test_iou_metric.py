import pytest
import torch

from hyperbolic_seg.evaluation import VocabularyIoUMetric
from hyperbolic_seg.evaluation.iou_metric import translation
from hyperbolic_seg.text import Vocabulary


def evaluate(classes, predicted, labels, words=None, times=1):
    metric = VocabularyIoUMetric()
    metric.dataset_meta = dict(classes=classes)
    maps = dict(pred_sem_seg=predicted, gt_sem_seg=labels)
    sample = {key: dict(data=torch.tensor([rows])) for key, rows in maps.items()} | dict(img_path='a.png')
    if words is not None:
        known = Vocabulary.load('sky')
        sample['classes'] = words
        sample['lineages'] = tuple(concept.lineage for concept in Vocabulary.load(words, known=known))
    for _ in range(times):
        metric.process({}, [sample])
    return metric.compute_metrics(metric.results)


def test_every_class_that_occurs_is_reported():
    metrics = evaluate(('clear sky', 'cloud', 'contrail'), [[0, 1, 1, 1]], [[0, 0, 1, 255]])
    assert metrics['IoU/clear sky'] == 50.0
    assert metrics['IoU/cloud'] == 50.0
    assert 'IoU/contrail' not in metrics
    assert metrics['mIoU'] == 50.0
    assert metrics['aAcc'] == pytest.approx(66.67)


def test_a_mean_over_labels_needs_the_metric_that_it_changes():
    with pytest.raises(
        ValueError, match=r"average_over='labels' is a rule for mIoU, and iou_metrics=\['mDice'\] lacks"
    ):
        VocabularyIoUMetric(iou_metrics=['mDice'], average_over='labels')
    assert VocabularyIoUMetric(iou_metrics=['mDice', 'mIoU'], average_over='labels').average_over == 'labels'


def test_predictions_count_for_their_ancestors():
    words = ['cirrus', 'clear sky', 'cumulus']
    metrics = evaluate(('clear sky', 'cloud'), [[1, 0, 2, 1]], [[0, 1, 1, 1]], words)
    assert metrics['IoU/cloud'] == pytest.approx(66.67)
    assert metrics['IoU/clear sky'] == 50.0


def test_a_sample_is_translated_for_one_metric_alone():
    words = ['clear sky', 'cirrus']
    assert evaluate(('cloud', 'clear sky'), [[0, 1, 1]], [[1, 0, 0]], words, times=2)['aAcc'] == 100.0


def test_names_need_not_be_known_where_they_are_the_same():
    assert translation((('road',), ('Sky',)), ('sky', 'road')) == [1, 0]
    assert translation((('dense fog', 'fog'), ('sky',)), ('sky', 'fog')) == [1, 0]
    with pytest.raises(ValueError, match="'a dragon' has no counterpart among the classes"):
        translation((('clear sky',), ('a dragon',)), ('clear sky', 'cloud'))
