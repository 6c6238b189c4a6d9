"""Mean IoU of one confusion beside that of detectron2."""

import json

import pytest
import torch
from mmengine.logging import MMLogger
from mmseg.registry import METRICS

CLASSES = 459


def metrics_of(confusion, average_over):
    predicted, label, count = confusion.T
    known = label < CLASSES  # the next one is ignored
    predicted, label, count = predicted[known], label[known], count[known].float()
    right = torch.zeros(CLASSES).index_add(0, label[predicted == label], count[predicted == label])
    of_predictions = torch.zeros(CLASSES).index_add(0, predicted, count)
    of_labels = torch.zeros(CLASSES).index_add(0, label, count)
    metric = METRICS.build(dict(type='VocabularyIoUMetric', average_over=average_over))
    metric.dataset_meta = dict(classes=[str(number) for number in range(CLASSES)])
    MMLogger.get_current_instance()
    return metric.compute_metrics([(right, of_predictions + of_labels - right, of_predictions, of_labels)])


@pytest.fixture(scope='module')
def written(parity_folder):
    return json.loads((parity_folder / 'miou_record.json').read_text())


def test_the_rule_of_detectron2_and_that_of_mmsegmentation(written):
    confusion = torch.tensor(written['confusion'])
    found = metrics_of(confusion, 'labels')
    assert found['mIoU'] == pytest.approx(written['mIoU_present_classes'], abs=0.006)  # two decimals
    assert found['mIoU_union'] == pytest.approx(written['mIoU_counting_all_with_a_union'], abs=0.006)
    default = metrics_of(confusion, 'union')
    assert default['mIoU'] == found['mIoU_union'] and 'mIoU_union' not in default
