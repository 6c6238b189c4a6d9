from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.refinement import enlarge, refine
from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor


def image(height=48, width=64, batch=1):
    torch.manual_seed(3)
    return torch.randn(batch, 3, height, width)


def sample(height, width, **meta):
    shape = (height, width)
    return SegDataSample(metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape, **meta))


def test_predictions_carry_logits_labels_radius_and_words(build):
    model = build().eval()
    model.set_vocabulary(['clear sky', 'cirrus', 'cumulus'])
    predicted = model.predict(image(), [sample(96, 128)])[0]
    assert predicted.seg_logits.data.shape == (3, 96, 128)
    assert predicted.pred_sem_seg.data.shape == (1, 96, 128)
    assert predicted.pred_radius.data.shape == (1, 96, 128)
    assert (predicted.pred_radius.data > 0).all()
    assert torch.equal(predicted.pred_sem_seg.data[0], predicted.seg_logits.data.argmax(0))
    assert predicted.classes == ('clear sky', 'cirrus', 'cumulus')
    assert model.dataset_meta['classes'] == predicted.classes
    assert model.num_classes == model.out_channels == 3


@pytest.mark.parametrize('crop, stride', [((32, 32), (16, 24)), ((64, 96), (32, 32))])
def test_sliding_windows_average_as_in_mmsegmentation(build, crop, stride):
    model, inputs = build().eval(), image(batch=2)
    model.test_cfg = ConfigDict(mode='slide', crop_size=crop, stride=stride)
    metas = [dict(ori_shape=(48, 64), img_shape=(48, 64)) for _ in range(2)]
    got = HyperCLIPSegmentor.slide_inference(model, inputs, metas)
    assert metas[0]['img_shape'] == (48, 64)  # left as it was
    # The original allocates as many channels as the head has classes; encode_decode returns the radius beside them.
    original = SimpleNamespace(
        test_cfg=model.test_cfg, out_channels=model.out_channels + 1, encode_decode=model.encode_decode
    )
    expected = EncoderDecoder.slide_inference(original, inputs, metas)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert len(model.predict(inputs)) == 2


def test_half_precision_stays_finite_and_close(build):
    model = build().eval()
    full = model.predict(image())[0].seg_logits.data
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = model.predict(image())[0]
    assert half.seg_logits.data.isfinite().all()
    assert half.pred_radius.data.isfinite().all()
    assert (half.seg_logits.data.float() - full).abs().mean() < 0.05 * full.abs().mean()


def test_padding_and_flip_are_undone(build):
    model = build().eval()
    meta = dict(img_padding_size=[0, 4, 0, 8])
    assert model.predict(image(), [sample(40, 60, **meta)])[0].pred_radius.data.shape == (1, 40, 60)
    plain = model.predict(image().flip(3), [sample(48, 64)])[0]
    flipped = model.predict(image().flip(3), [sample(48, 64, flip=True, flip_direction='horizontal')])[0]
    torch.testing.assert_close(flipped.pred_radius.data, plain.pred_radius.data.flip(2))


MANY = [f'{color} {thing}' for color in ('red', 'grey') for thing in ('barn', 'grass', 'dog', 'fence', 'cloud')]
WORDS = ['cumulus', 'clear sky', 'high cloud', 'sun', 'stratus', 'middle cloud', 'obstruction', 'outside the lens']
SIZES = {1: (48, 64), 2: (96, 128)}  # of images, by how much the encoder shrinks them
MODES = {
    'whole': {},
    'slide': dict(mode='slide', crop_size=(32, 32), stride=(24, 16)),
    'both views': dict(mode='slide', crop_size=(32, 32), stride=(24, 16), whole_view=(32, 48)),
    'guided': dict(guided=dict(radius=2)),
    'shrunk': dict(shrink=2),
    'color_likelihood': dict(color_likelihood=dict(rounds=2, temperature=2.0)),
    'many colors': dict(color_likelihood=dict(rounds=2, varied=['not sky'])),
    'all': dict(
        mode='slide', crop_size=(32, 48), stride=(16, 16), guided=dict(radius=2), color_likelihood=dict(weight=0.5)
    ),
}


def predict_by(model, chunk, **test_cfg):
    model.test_cfg = ConfigDict(dict(mode='whole', class_chunk=chunk) | test_cfg)
    padding = dict(img_padding_size=[0, 4, 0, 8])
    images = image(*SIZES[test_cfg.get('shrink', 1)], batch=2)
    with torch.no_grad():
        return model.predict(images, [sample(80, 112, **padding) for _ in images])


@pytest.mark.parametrize(
    ('mode', 'taxonomy', 'chunk'),
    [
        *((mode, None, 3) for mode in ('whole', 'slide', 'both views', 'guided', 'shrunk')),
        *((mode, 'sky', 2) for mode in ('whole', 'slide', 'guided')),
        *((mode, 'sky', 5) for mode in ('color_likelihood', 'many colors', 'all')),
    ],
)
def test_some_classes_at_a_time_give_what_all_at_once_do(build, mode, taxonomy, chunk):
    words = WORDS if taxonomy else MANY
    model = build(taxonomy=taxonomy).eval()
    model.set_vocabulary(words)
    torch.nn.init.constant_(model.decode_head.log_scale, 4.0)  # logits far apart
    whole, some = (predict_by(model, size, **MODES[mode]) for size in (len(words), chunk))
    for expected, found in zip(whole, some, strict=True):
        confidence, labels = expected.seg_logits.data.softmax(0).max(0)
        assert 'seg_logits' not in found
        assert (found.pred_sem_seg.data[0] == labels).float().mean() > 0.999
        torch.testing.assert_close(found.pred_confidence.data[0], confidence, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found.pred_radius.data, expected.pred_radius.data)
        assert found.classes == expected.classes == tuple(words)
    if mode == 'whole':
        assert len(labels.unique()) > 1


@pytest.mark.parametrize('mode', ['whole', 'slide', 'both views'])
def test_multilabel_probabilities_are_averaged_over_windows(build, mode):
    """Probabilities are averaged; a logarithm of them is what is called a logit."""
    model = build(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)).eval()
    model.set_vocabulary(MANY)
    whole, some = (predict_by(model, size, **MODES[mode])[0] for size in (len(MANY), 3))
    logits = whole.seg_logits.data
    assert (logits <= 0).all() and not torch.allclose(logits.exp().sum(0), torch.ones(()))
    torch.testing.assert_close(some.pred_confidence.data[0], logits.softmax(0).amax(0), rtol=1e-3, atol=1e-4)
    if mode == 'whole':
        with torch.no_grad():
            plain = model.decode_head(model.extract_feat(image(batch=2)))[:1].sigmoid()
        metas = [sample(80, 112, img_padding_size=[0, 4, 0, 8])]
        expected = EncoderDecoder.postprocess_result(model, enlarge(plain, image()), metas)[0].seg_logits.data
        torch.testing.assert_close(logits.exp(), expected)


@pytest.mark.parametrize('option', [dict(guided=dict(radius=4)), dict(color_likelihood=dict(rounds=2))])
def test_multilabel_heads_have_no_probability_among_all_to_weigh(build, option):
    config = build(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)).small_config
    config.test_cfg = dict(mode='whole', **option)
    with pytest.raises(ValueError, match=f'test_cfg.{next(iter(option))} is for probabilities of one class among all'):
        MODELS.build(config)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(guidd=dict(radius=4)), 'test_cfg has guidd: expected some of mode,.*guided'),
        (dict(guided=dict(raduis=4)), "test_cfg.guided={'raduis': 4}: expected some of the options radius, eps"),
        (dict(color_likelihood=dict(rounds=0)), 'test_cfg.color_likelihood.rounds=0: expected at least 1'),
        (
            dict(color_likelihood=dict(seen=1)),
            'expected some of the options weight, rounds, temperature, step, varied$',
        ),
        (dict(color_likelihood=dict(varied='not sky')), "varied='not sky': expected a list of names, such as"),
        (dict(mode='slid'), "test_cfg.mode='slid': expected 'whole' or 'slide'"),
        (dict(mode='slide', crop_size=(32, 32)), r'test_cfg.stride=None: expected \(height, width\)'),
        (
            dict(mode='slide', crop_size=(32, 32), stride=(24, 40)),
            r'stride=\(24, 40\) beyond crop_size=\(32, 32\): no window would cover',
        ),
        (dict(resize=(32, 32)), r"test_cfg.resize=\(32, 32\) is for mode='slide', got mode='whole'"),
        (dict(antialias=1), 'test_cfg.antialias=1: expected True or False'),
        (dict(shrink=0), 'test_cfg.shrink=0: expected at least 1'),
        (dict(color_likelihood=dict(step=0)), 'test_cfg.color_likelihood.step=0: expected at least 1'),
        (dict(class_chunk=0), 'test_cfg.class_chunk=0: expected at least 1'),
        (dict(background='sky'), "test_cfg.background='sky': expected dict"),
    ],
)
def test_test_cfg_is_checked_before_any_image(build, options, message):
    config = build().small_config
    config.test_cfg = options
    with pytest.raises((TypeError, ValueError), match=message):
        MODELS.build(config)


def test_the_encoder_sees_averages_and_the_masks_every_pixel(build):
    model, small = build().eval(), image()
    model.set_vocabulary(['clear sky', 'cirrus', 'cumulus'])
    noise = 0.1 * torch.tensor([1.0, -1.0]).repeat(64)  # whose averages are zero
    fine = small.repeat_interleave(2, 2).repeat_interleave(2, 3) + noise
    logits, _ = model.decode_head.forward_with_radius(model.extract_feat(small))
    for options in ({}, dict(guided=dict(radius=1))):
        model.test_cfg = ConfigDict(mode='whole', shrink=2, **options)
        (found,) = model.predict(fine, [sample(96, 128)])
        expected = refine(logits, fine, model.refinement, levels=fine)[0]
        torch.testing.assert_close(found.seg_logits.data, expected, rtol=1e-3, atol=1e-3)


def test_images_that_cannot_be_shrunk_evenly_are_refused(build):
    model = build().eval()
    model.test_cfg = ConfigDict(mode='whole', shrink=2)
    with pytest.raises(ValueError, match=r'images of 48 x 63 with test_cfg.shrink=2: expected multiples of it; set'):
        model.predict(image(48, 63), [sample(48, 63)])


def test_the_view_of_the_whole_image_has_half_the_weight(build):
    model, inputs = build().eval(), image()
    metas = [dict(ori_shape=(48, 64), img_shape=(48, 64))]
    found = []
    for view in (None, (32, 48)):
        model.test_cfg = ConfigDict(mode='slide', crop_size=(32, 32), stride=(24, 16), whole_view=view)
        with torch.no_grad():
            found.append(model.slide_inference(inputs, metas))
            shrunk = torch.nn.functional.interpolate(inputs, (32, 48), mode='bilinear', antialias=True)
            alone = enlarge(model.encode_decode(shrunk, metas), inputs)
    torch.testing.assert_close(found[1], (found[0] + alone) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('antialias', [True, False])
@pytest.mark.parametrize('chunk', [64, 3])
def test_windows_are_cut_in_the_resized_image_and_the_whole_view_in_the_image(build, antialias, chunk):
    model, inputs = build(vocabulary=MANY).eval(), image()
    options = dict(mode='slide', crop_size=(32, 32), stride=(24, 16), antialias=antialias)
    model.test_cfg = ConfigDict(options, resize=(40, 48), whole_view=(32, 48), class_chunk=chunk)
    with torch.no_grad():
        found = model.predict(inputs, [sample(48, 64)])[0]
        resized, view = (
            torch.nn.functional.interpolate(inputs, size, mode='bilinear', antialias=antialias)
            for size in ((40, 48), (32, 48))
        )
        model.test_cfg = ConfigDict(options)
        windows = model.slide_inference(resized, [dict(ori_shape=(40, 48), img_shape=(40, 48))])
        alone = model.encode_decode(view, [dict(ori_shape=(32, 48), img_shape=(32, 48))])
    average = enlarge((windows + enlarge(alone, resized)) / 2, inputs)[0, :-1]
    assert found.pred_sem_seg.data.shape == (1, 48, 64)
    torch.testing.assert_close(found.pred_confidence.data[0], average.softmax(0).amax(0), rtol=1e-3, atol=1e-4)


def test_padded_images_are_not_resized(build):
    model = build().eval()
    model.test_cfg = ConfigDict(mode='slide', resize=(32, 32), crop_size=(32, 32), stride=(24, 16))
    with pytest.raises(ValueError, match='test_cfg.resize=.*with images that the data preprocessor pads'):
        model.predict(image(), [sample(40, 60, img_padding_size=[0, 4, 0, 8])])


def test_pixels_below_the_confidence_are_background(build):
    model = build().eval()
    model.set_vocabulary(MANY)
    torch.nn.init.constant_(model.decode_head.log_scale, 4.0)
    plain = predict_by(model, len(MANY))[0]
    confidence, labels = plain.seg_logits.data.softmax(0).max(0)
    below = confidence.median().item()
    expected = torch.where(confidence < below, MANY.index('grey dog'), labels)
    assert 0 < (confidence < below).sum() < confidence.numel()
    for chunk in (len(MANY), 3):
        found = predict_by(model, chunk, background=dict(name='grey dog', below=below))[0]
        assert (found.pred_sem_seg.data[0] == expected).float().mean() > 0.99
    with pytest.raises(ValueError, match="'dragon' is not in the vocabulary"):
        predict_by(model, 3, background=dict(name='dragon', below=0.5))


def test_colors_tell_few_kinds_apart(build):
    model = build().eval()
    model.set_vocabulary(MANY)
    with pytest.raises(ValueError, match='these prompts are of 10 kinds, more than class_chunk=4'):
        predict_by(model, 4, **MODES['color_likelihood'])


def test_the_head_owns_the_vocabulary(build):
    """Whoever changes it at the head has changed it for the segmentor."""
    model = build().eval()
    model.decode_head.set_vocabulary(['clear sky', 'cirrus', 'cumulus'])
    assert model.num_classes == model.out_channels == 3
    assert model.dataset_meta == dict(classes=model.vocabulary.names, palette=model.vocabulary.palette)
    model.dataset_meta = dict(classes=('a', 'b'), palette=[[0, 0, 0], [1, 1, 1]])  # as MMSegmentation's init_model does
    assert model.dataset_meta['classes'] == ('clear sky', 'cirrus', 'cumulus')
    model.test_cfg = ConfigDict(mode='slide', crop_size=(32, 32), stride=(24, 16))
    assert model.predict(image(), [sample(48, 64)])[0].seg_logits.data.shape == (3, 48, 64)


def test_options_changed_later_are_checked_when_they_are_used(build):
    model = build().eval()
    model.test_cfg = ConfigDict(mode='whole', colors=dict(rounds=1))
    with pytest.raises(TypeError, match='test_cfg has colors: expected some of mode'):
        model.predict(image(), [sample(48, 64)])


def test_a_head_without_words_is_refused(build):
    config = build().small_config
    config.decode_head = dict(type='FCNHead', in_channels=4, channels=4, num_classes=2)
    with pytest.raises(TypeError, match="decode_head is a FCNHead, which has no vocabulary.*type='EncoderDecoder'"):
        MODELS.build(config)


def test_the_confidence_is_the_probability_of_the_label(build):
    found = build().eval().predict(image(), [sample(48, 64)])[0]
    torch.testing.assert_close(found.pred_confidence.data[0], found.seg_logits.data.softmax(0).amax(0))
