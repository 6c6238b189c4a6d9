"""Every phrase as a query of its own, and the most similar one decides."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.refinement.chain import decide
from hyperbolic_seg.text import Concept, Vocabulary

WORDS = Vocabulary(
    [
        Concept('background', ('wet grass', 'red barn', 'bed'), prompt='grey sky'),
        Concept('bed'),
        Concept('person', ('two dogs', 'Person', 'person in a shirt')),
        Concept('fence'),
        Concept('boat', prompt='ship'),
    ]
)
OWNERS = (0, 0, 0, 0, 1, 2, 2, 2, 3, 4)


def predict(model, chunk=64, **test_cfg):
    torch.manual_seed(3)
    inputs, shape = torch.randn(1, 3, 48, 64), (48, 64)
    model.test_cfg = ConfigDict(dict(mode='whole', class_chunk=chunk) | test_cfg)
    meta = dict(ori_shape=(80, 112), img_shape=shape, pad_shape=shape)
    with torch.no_grad():
        return model.predict(inputs, [SegDataSample(metainfo=meta)])[0]


@pytest.fixture
def model(build):
    model = build('cosine', queries='phrase', temperature=0.05).eval()
    model.set_vocabulary(WORDS)
    return model


def queries_of(build, model):
    """The logits of the queries at the size of the image, each a concept of its own in a plain head."""
    plain = build('cosine', temperature=0.05).eval()
    plain.decode_head.projection.load_state_dict(model.decode_head.projection.state_dict())
    names = [concept.phrases for concept in WORDS]
    distinct = list(dict.fromkeys(phrase.lower() for phrases in names for phrase in phrases))
    plain.set_vocabulary(distinct)
    logits = dict(zip(distinct, predict(plain).seg_logits.data, strict=True))
    in_order = ['grey sky', 'wet grass', 'red barn', 'bed', 'bed', 'person', 'two dogs', 'person in a shirt']
    return torch.stack([logits[phrase] for phrase in [*in_order, 'fence', 'ship']])


def test_the_most_probable_query_among_all_decides(build, model):
    """Softmax over all queries, maximum over those of a class, argmax over classes."""
    assert model.num_classes == 5 and model.decode_head.owners == OWNERS
    queries, found = queries_of(build, model), predict(model)
    of_queries = queries.softmax(0)
    probabilities = torch.stack([of_queries[[o == k for o in OWNERS]].amax(0) for k in range(5)])
    confidence, labels = probabilities.max(0)
    assert (found.pred_sem_seg.data[0] == labels).float().mean() > 0.999 and len(labels.unique()) > 1
    torch.testing.assert_close(found.pred_confidence.data[0], confidence, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.seg_logits.data.softmax(0), probabilities / probabilities.sum(0))
    below = confidence.median().item()
    background = predict(model, background=dict(name='background', below=below)).pred_sem_seg.data[0]
    assert (background == labels.masked_fill(confidence < below, 0)).float().mean() > 0.999


@pytest.mark.parametrize('mode', [{}, dict(mode='slide', crop_size=(32, 32), stride=(16, 16)), dict(guided={})])
def test_some_classes_at_a_time_give_the_same(model, mode):
    whole, some = predict(model, **mode), predict(model, 2, **mode)
    assert (whole.pred_sem_seg.data == some.pred_sem_seg.data).float().mean() > 0.999
    torch.testing.assert_close(whole.pred_confidence.data, some.pred_confidence.data, rtol=1e-3, atol=1e-4)


def test_windows_are_averaged_before_the_maximum(model):
    """The largest of several averages is not the average of the largest."""
    averaged = predict(model, mode='slide', crop_size=(32, 32), stride=(16, 16)).seg_logits.data
    model.decode_head.queries = 'concept'  # the same words, but gathered in every window
    early = predict(model, mode='slide', crop_size=(32, 32), stride=(16, 16)).seg_logits.data
    assert (averaged - early).abs().max() > 1e-3


def test_with_a_mean_of_phrases_a_concept_has_one_query(build):
    model = build('cosine').eval()
    model.set_vocabulary(WORDS)
    assert model.decode_head.owners == () and len(model.decode_head.text.vocabulary) == 5


def test_labels_are_those_of_the_owners_of_queries():
    logits = torch.tensor([0.0, 2.0, 1.0])[:, None, None]
    labels, confidence = decide([logits[:2], logits[2:]], owners=(0, 1, 1))
    assert labels.item() == 1
    torch.testing.assert_close(confidence, logits.softmax(0)[1])


def test_unknown_queries_are_refused(build):
    with pytest.raises(ValueError, match="queries='word': expected one of"):
        build(queries='word')


def test_every_step_is_that_of_the_released_code_of_sclip(model):
    """Windows, size of the image, softmax over queries, maximum of a class, area, threshold; in float64."""
    torch.manual_seed(3)
    inputs = torch.randn(1, 3, 48, 64)
    total, count = torch.zeros(1, len(OWNERS), 48, 64, dtype=torch.float64), torch.zeros(48, 64)
    for top in (0, 16):
        for left in (0, 16, 32):
            crop = inputs[:, :, top : top + 32, left : left + 32]
            with torch.no_grad():
                logits, _ = model.decode_head.forward_with_radius(model.extract_feat(crop))
            fine = torch.nn.functional.interpolate(logits.double(), size=(32, 32), mode='bilinear')
            total[:, :, top : top + 32, left : left + 32] += fine
            count[top : top + 32, left : left + 32] += 1
    queries = torch.nn.functional.interpolate(total / count, size=(80, 112), mode='bilinear')[0].softmax(0)
    classes = torch.stack([queries[[owner == k for owner in OWNERS]].amax(0) for k in range(5)])
    first = classes.argmax(0)
    shares = torch.stack([(first == k).sum() for k in range(1, 5)]) / (first != 0).sum()
    limit = shares.sort().values[1:3].mean()
    for k, share in enumerate(shares, 1):
        classes[k] = torch.where(share > limit, classes[k], 0)
    confidence, labels = classes.max(0)
    below = confidence.quantile(0.3).item()
    options = dict(mode='slide', crop_size=(32, 32), stride=(16, 16), min_area=limit.item())
    found = predict(model, background=dict(name='background', below=below), **options)
    labels = labels.masked_fill(confidence < below, 0)
    assert (found.pred_sem_seg.data[0] == labels).float().mean() > 0.999 and len(labels.unique()) > 1
    torch.testing.assert_close(found.pred_confidence.data[0].double(), confidence, rtol=1e-3, atol=1e-4)


def test_smoothing_is_refused_beside_phrases(build):
    with pytest.raises(ValueError, match="prompt_smoothing beside queries='phrase'"):
        build('cosine', vocabulary='leaves', taxonomy='sky', queries='phrase', prompt_smoothing=dict(weight=2.0))
