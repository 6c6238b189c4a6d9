"""Classes of a small area: their pixels go to the next class, or to the background."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.refinement.chain import Background, Refinement, label
from hyperbolic_seg.models.segmentors.inference_options import check_test_cfg


def by_loops(logits, owners, background, below, min_area):
    """SCLIP's rule, pixel by pixel, in float64: zero probabilities of small classes, then the threshold."""
    of_queries = logits.double().softmax(0)
    count = max(owners) + 1
    probs = torch.stack([of_queries[[o == k for o in owners]].amax(0) for k in range(count)])
    first = probs.argmax(0)
    outside = int((first != background).sum())
    for k in range(count):
        if k != background and int((first == k).sum()) <= min_area * outside:
            probs[k] = 0
    confidence, labels = probs.max(0)
    return torch.where(confidence < below, background, labels), confidence


@pytest.mark.parametrize('background', [0, 2])
@pytest.mark.parametrize('size', [2, 5, 7])
def test_it_is_the_rule_of_sclip(background, size):
    torch.manual_seed(0)
    owners = (0, 0, 1, 2, 3, 3, 4)
    logits = torch.randn(7, 12, 10) * 2 + torch.tensor([0.0, 0, 2, 1, 0, 0, -1])[:, None, None]
    refinement = Refinement(owners=owners, background=Background(background, 0.2), min_area=0.2)
    labels, confidence = label(lambda: logits.split(size), refinement)
    expected, sure = by_loops(logits, owners, background, 0.2, 0.2)
    torch.testing.assert_close(confidence.double(), sure, rtol=1e-5, atol=1e-6)
    assert torch.equal(labels, expected)
    plain = label(lambda: logits.split(size), Refinement(owners=owners, background=Background(background, 0.2)))[0]
    assert not torch.equal(plain, labels)


def test_without_a_background_the_largest_class_stays():
    logits = torch.zeros(3, 4, 4)
    logits[0, 0], logits[1, 1:3], logits[2, 3] = 3, 3, 3
    labels, _ = label(lambda: [logits], Refinement(min_area=0.4))
    assert labels.unique().tolist() == [1]
    assert label(lambda: [logits], Refinement(min_area=0.9))[0].unique().tolist() == [0, 1, 2]


def test_all_is_background_if_nothing_else_is_large_enough():
    logits = torch.zeros(3, 4, 4)
    logits[1, :2], logits[2, 2:] = 3, 3
    assert (label(lambda: [logits], Refinement(background=Background(0, 0.0), min_area=0.6))[0] == 0).all()


def test_some_classes_at_a_time_give_the_same(build):
    model = build('cosine', temperature=0.05).eval()
    words = ['grey sky', 'wet grass', 'red barn', 'two dogs', 'fence']
    model.set_vocabulary(words)
    torch.manual_seed(3)
    inputs, meta = torch.randn(1, 3, 48, 64), dict(ori_shape=(48, 64), img_shape=(48, 64), pad_shape=(48, 64))

    def labels(chunk, **options):
        model.test_cfg = ConfigDict(mode='whole', class_chunk=chunk, **options)
        with torch.no_grad():
            return model.predict(inputs, [SegDataSample(metainfo=meta)])[0].pred_sem_seg.data

    shares = torch.bincount(labels(64).flatten(), minlength=5) / (48 * 64)
    limit = shares.sort().values[3:].mean().item()  # between the two largest
    assert torch.equal(labels(64, min_area=limit), labels(2, min_area=limit))
    assert labels(64, min_area=limit).unique().tolist() == [shares.argmax().item()]


@pytest.mark.parametrize(('given', 'error'), [(1.5, ValueError), (-0.1, ValueError), ('a tenth', TypeError)])
def test_a_share_is_from_0_to_1(given, error):
    with pytest.raises(error, match=r'test_cfg\.min_area'):
        check_test_cfg(dict(min_area=given))
