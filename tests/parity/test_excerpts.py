"""Recorded numbers of released code that are small enough to be kept here, so that they are always tested."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from mmseg.registry import METRICS, TRANSFORMS

from hyperbolic_seg.text import Vocabulary


@pytest.fixture(scope='module')
def excerpts():
    return json.loads(Path(__file__).with_name('excerpts.json').read_text())


@pytest.mark.parametrize('average_over, rule', [('labels', 'present_classes'), ('union', 'all_with_a_union')])
def test_mean_iou_by_the_rules_of_detectron2_and_mmsegmentation(excerpts, average_over, rule):
    """459 classes, of which 354 occur in the labels and 97 are predicted without."""
    recorded = excerpts['mean_iou']
    right, predicted, labels = (torch.tensor(recorded[part]).float() for part in ('right', 'predicted', 'labels'))
    metric = METRICS.build(dict(type='VocabularyIoUMetric', average_over=average_over))
    metric.dataset_meta = dict(classes=[str(number) for number in range(len(labels))])
    found = metric.compute_metrics([(right, predicted + labels - right, predicted, labels)])
    assert found['mIoU'] == pytest.approx(recorded[rule], abs=0.006)  # of two decimals


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="average_over='classes': expected one of"):
        METRICS.build(dict(type='VocabularyIoUMetric', average_over='classes'))


def test_prompts_are_the_recorded_tokens(excerpts):
    recorded = excerpts['tokens']
    prompts = [f'A photo of a {word} in the scene' for word in recorded['words']]
    tokens = open_clip.get_tokenizer('ViT-B-16')(prompts)
    assert [[token for token in row if token] for row in tokens.tolist()] == recorded['tokens']


def test_images_get_the_recorded_sizes(excerpts):
    step = TRANSFORMS.build(dict(type='Resize', scale=(2560, 640), keep_ratio=True, backend='pillow'))
    for original, expected in zip(*excerpts['sizes'].values(), strict=True):
        found = step(dict(img=np.zeros((*original, 3), np.uint8), img_shape=original))['img']
        assert list(found.shape[:2]) == expected


def test_classes_are_spoken_by_their_first_word():
    """Names have to differ, the prompts of the released code need not."""
    full = Vocabulary.load('ade20k_full')
    assert full[full.index_of('pot, flowerpot')].phrases == full[full.index_of('pot')].phrases == ('pot',)
    assert all(',' not in phrase for concept in full for phrase in concept.phrases)
    context = Vocabulary.load('pascal_context59')
    assert context[context.index_of('table')].phrases == ('diningtable',)
