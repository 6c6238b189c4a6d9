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


STREETS = ('road', 'car', 'bus', 'tree', 'vehicle')
VEHICLES = dict(id=126, name='car or bus', inside=[1, 2], partly=[4])


def of_streets(predicted, labels, **options):
    metric = VocabularyIoUMetric(**options)
    metric.dataset_meta = dict(classes=STREETS, label_sets=[VEHICLES])
    for rows, label in zip(predicted, labels, strict=True):
        metric.process(
            {}, [dict(pred_sem_seg=dict(data=torch.tensor([[rows]])), gt_sem_seg=dict(data=torch.tensor([[label]])))]
        )
    return metric.compute_metrics(metric.results)


def test_a_prediction_is_right_if_it_is_in_the_set_of_the_label():
    metrics = of_streets([[1, 2, 0, 0, 1, 3], [2, 1]], [[126, 126, 126, 0, 0, 255], [126, 4]])
    # In the set: 3 of 4 labeled pixels, and one road that is taken for a car; "vehicle" leaves it open.
    assert metrics['IoU/car or bus'] == 60.0
    # road: 1 right, 1 missed, and one vehicle too many.
    assert metrics['IoU/road'] == pytest.approx(100 / 3, abs=0.01)
    # Right are 3 vehicles and a road, of 4 vehicles, 2 roads and a pixel of "vehicle" that no car is.
    assert metrics['aAcc'] == pytest.approx(400 / 7, abs=0.01)
    # Classes: road, vehicle (0) and the set, in place of car and bus, which no label names.
    assert metrics['mIoU'] == pytest.approx((60 + 100 / 3 + 0) / 3, abs=0.01)
    assert metrics['mAcc'] == pytest.approx((75 + 50 + 0) / 3, abs=0.01)


def test_members_with_labels_of_their_own_are_classes_too():
    for average_over in ('union', 'labels'):
        metrics = of_streets([[1, 2, 3, 2]], [[126, 1, 3, 2]], average_over=average_over)
        assert metrics['IoU/car'] == 0.0 and metrics['IoU/bus'] == 50.0
        assert metrics['IoU/car or bus'] == 100.0, 'a bus for a car is in the set as well'
        assert metrics['mIoU'] == pytest.approx((0 + 50 + 100 + 100) / 4)


def test_without_labels_of_sets_nothing_changes():
    rows = [[[0, 1, 2, 2]], [[0, 1, 1, 3]]]
    metrics, plain = of_streets(*rows), evaluate(STREETS, *rows)
    assert metrics == plain
