import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.segmentors import class_bands
from tests.tiny_heads import build, clip_folders

MANY = [f'{color} {thing}' for color in ('red', 'grey', 'old') for thing in ('barn', 'grass', 'dog', 'fence', 'cloud')]
SLIDE = dict(mode='slide', crop_size=(32, 32), stride=(24, 16))
MODES = {
    'whole': {},
    'windows': SLIDE,
    'both views': dict(SLIDE, whole_view=(32, 48)),
    'resized': dict(SLIDE, resize=(40, 48)),
    'background': dict(SLIDE, background=dict(name='old fence', below=0.1)),
}


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Build a small model by the name of its head."""
    folders = clip_folders(tmp_path_factory.mktemp('clip'))
    return lambda name: build(name, folders).eval()


def sample(size=(48, 64), **meta):
    return SegDataSample(metainfo=dict(ori_shape=size, img_shape=(48, 64), pad_shape=(48, 64), **meta))


def predicted(model, chunk, options, **meta):
    model.test_cfg = ConfigDict(dict(mode='whole') | options, class_chunk=chunk)
    image = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return model.predict(image, [sample(**meta)])[0]


def check_same(model, options, chunk=4, **meta):
    """Bands give what all classes at once do; two classes tie within the rounding of their logits."""
    model.set_vocabulary(MANY)
    whole, bands = (predicted(model, size, options, **meta) for size in (len(MANY), chunk))
    assert 'seg_logits' not in bands
    first, second = whole.seg_logits.data.float().topk(2, dim=0).values
    tied = first - second <= 3e-6 * first.abs().clamp_min(1)
    same = bands.pred_sem_seg.data == whole.pred_sem_seg.data
    assert (same[0] | tied).all()
    assert tied.float().mean() < 0.1
    torch.testing.assert_close(bands.pred_confidence.data, whole.pred_confidence.data, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(bands.pred_radius.data, whole.pred_radius.data, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ('name', 'mode'),
    [
        *(('distance', mode) for mode in MODES),
        *(('multilabel', mode) for mode in ('whole', 'both views')),
        *((name, 'windows') for name in ('mlr', 'zero-shot', 'CAT-Seg')),
    ],
)
def test_bands_give_what_all_classes_at_once_do(tiny, name, mode, monkeypatch):
    monkeypatch.setattr(class_bands, '_NUMBERS', 2**11)  # several bands of a small image
    check_same(tiny(name), MODES[mode])


@pytest.mark.parametrize('size', [(48, 64), (131, 77), (20, 30)])
@pytest.mark.parametrize('padding', [[0] * 4, [2, 4, 1, 8]])
def test_padding_is_cut_and_maps_are_resized(tiny, size, padding):
    check_same(tiny('distance'), SLIDE, size=size, img_padding_size=padding)


def test_phrases_of_one_class_stay_together(tiny):
    model = tiny('distance')
    model.set_vocabulary([f'{word}; {word} far away' for word in MANY[:7]])
    whole, bands = (predicted(model, size, SLIDE) for size in (7, 2))
    torch.testing.assert_close(bands.pred_confidence.data, whole.pred_confidence.data, rtol=1e-3, atol=1e-5)


def test_flipped_images_and_small_areas_take_the_chunks(tiny, monkeypatch):
    def refuse(*_):
        raise AssertionError('expected no bands')

    monkeypatch.setattr('hyperbolic_seg.models.segmentors.hyperclip_segmentor.label_in_bands', refuse)
    model = tiny('distance')
    model.set_vocabulary(MANY)
    assert predicted(model, 4, {}, flip=True, flip_direction='horizontal').pred_sem_seg.data.shape == (1, 48, 64)
    assert predicted(model, 4, dict(min_area=0.1)).pred_sem_seg.data.shape == (1, 48, 64)


@pytest.mark.parametrize('shape', [(1, 3, 5), (10, 64, 80), (300, 2, 700)])
def test_the_first_of_equal_logits_wins(shape, monkeypatch):
    monkeypatch.setattr(chain, '_PORTION', 2**10)
    logits = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)).float()
    labels, confidence = chain.decide([logits])
    assert torch.equal(labels, (logits == logits.amax(0)).int().argmax(0))
    torch.testing.assert_close(confidence, logits.softmax(0).amax(0))


def test_rows_that_are_left_out_everywhere_never_win():
    logits = torch.full((3, 4, 4), -torch.inf)
    logits[2] = -3e38
    labels, confidence = chain.decide([logits[:2], logits[2:]])
    assert (labels == 2).all() and (confidence == 1).all()
