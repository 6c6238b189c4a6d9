"""Pixel-adaptive refinement beside its definition, pixel by pixel."""

import math

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample

from hyperbolic_seg.apis.export import ExportableSegmentor
from hyperbolic_seg.models.refinement.pixel_adaptive import affinity, pixel_adaptive
from hyperbolic_seg.models.segmentors.inference_options import check_test_cfg

NEIGHBORS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def by_loops(maps, image, steps, dilations):
    """The definition in float64: one image (C, H, W) and its maps (K, H, W)."""
    (channels, height, width), image, maps = image.shape, image.double(), maps.double()

    def at(x, i, j):
        return x[:, min(max(i, 0), height - 1), min(max(j, 0), width - 1)]

    weights = {}
    for i in range(height):
        for j in range(width):
            around = [at(image, i + d * dy, j + d * dx) for d in dilations for dy, dx in NEIGHBORS]
            deviation = torch.stack(around).std(0)
            others = [(d, dy, dx) for d in dilations for dy, dx in NEIGHBORS if (dy, dx) != (0, 0)]
            scores = [
                -sum(
                    abs(image[c, i, j] - at(image, i + d * dy, j + d * dx)[c]) / (1e-8 + 0.1 * deviation[c])
                    for c in range(channels)
                )
                / channels
                for d, dy, dx in others
            ]
            parts = [math.exp(score) for score in scores]
            weights[i, j] = [(place, part / sum(parts)) for place, part in zip(others, parts, strict=True)]
    for _ in range(steps):
        after = torch.zeros_like(maps)
        for (i, j), shares in weights.items():
            for (d, dy, dx), share in shares:
                after[:, i, j] += share * at(maps, i + d * dy, j + d * dx)
        maps = after
    return maps


@pytest.mark.parametrize('dilations', [(1,), (1, 3), (2, 9)])
def test_it_is_the_definition(dilations):
    torch.manual_seed(0)
    image, maps = torch.randn(1, 3, 6, 7), torch.randn(1, 2, 6, 7)
    refined = pixel_adaptive(maps, image, steps=2, dilations=dilations)
    torch.testing.assert_close(refined[0].double(), by_loops(maps[0], image[0], 2, dilations), rtol=1e-5, atol=1e-6)


def test_a_constant_image_gives_the_plain_mean():
    maps = torch.randn(1, 1, 5, 5)
    refined = pixel_adaptive(maps, torch.full((1, 3, 5, 5), 117.0), steps=1, dilations=(1,))
    inner = maps[0, 0, 1:4, 1:4]
    assert refined[0, 0, 2, 2].item() == pytest.approx(((inner.sum() - inner[1, 1]) / 8).item(), abs=1e-6)


def test_an_edge_of_the_image_stays_and_noise_goes():
    image = torch.zeros(1, 3, 24, 24)
    image[..., 12:] = 1
    torch.manual_seed(0)
    maps = image[:, :1] + 0.3 * torch.randn(1, 1, 24, 24)
    refined = pixel_adaptive(maps, image, steps=10, dilations=(1, 2))
    assert refined[..., :12].mean() < 0.1 and refined[..., 12:].mean() > 0.9
    assert (refined - image[:, :1]).abs().max() < 0.35 < (maps - image[:, :1]).abs().max()
    plain = pixel_adaptive(maps, torch.zeros_like(image), steps=10, dilations=(1, 2))
    assert (plain - image[:, :1]).abs().max() > 0.4


def test_weights_sum_to_one_and_do_not_change_with_the_colors_of_a_channel():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 9, 8) * 255
    weights = affinity(image, (1, 4))
    assert weights.shape == (2, 16, 9, 8)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 9, 8))
    scaled = image * torch.tensor([2.0, 0.5, 0.01]).view(3, 1, 1) + 7
    torch.testing.assert_close(affinity(scaled, (1, 4)), weights, rtol=1e-3, atol=1e-5)


def test_maps_of_another_size_are_refused():
    with pytest.raises(ValueError, match='expected one size'):
        pixel_adaptive(torch.rand(1, 2, 4, 4), torch.rand(1, 3, 8, 8))


META = dict(ori_shape=(40, 60), img_shape=(48, 56), pad_shape=(48, 64), img_padding_size=[0, 8, 0, 0])


def predicted(model, **options):
    torch.manual_seed(3)
    model.test_cfg = ConfigDict(dict(mode='whole') | options)
    with torch.no_grad():
        return model.predict(torch.randn(2, 3, 48, 64), [SegDataSample(metainfo=META) for _ in range(2)])


@pytest.mark.parametrize('loss', ['softmax', 'sigmoid'])
def test_a_segmentor_refines_what_it_has_averaged_at_the_size_of_the_image(build, loss):
    model = build('cosine', loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=loss == 'sigmoid')).eval()
    model.set_vocabulary(['grey sky', 'wet grass', 'red barn', 'two dogs', 'fence'])
    plain, refined = predicted(model), predicted(model, pamr=dict(steps=3, dilations=(1, 4)))
    some = predicted(model, pamr=dict(steps=3, dilations=(1, 4)), class_chunk=2)
    torch.manual_seed(3)
    images = torch.randn(2, 3, 48, 64)[..., :56]
    images = torch.nn.functional.interpolate(images, size=(40, 60), mode='bilinear', align_corners=False)
    for before, after, chunked, image in zip(plain, refined, some, images, strict=True):
        maps = before.seg_logits.data
        maps = maps.exp() if loss == 'sigmoid' else maps
        expected = pixel_adaptive(maps[None], image[None], steps=3, dilations=(1, 4))[0]
        expected = expected.log() if loss == 'sigmoid' else expected
        torch.testing.assert_close(after.seg_logits.data, expected, rtol=1e-3, atol=1e-4)
        assert torch.equal(after.pred_radius.data, before.pred_radius.data)
        assert (chunked.pred_sem_seg.data == after.pred_sem_seg.data).float().mean() > 0.99
        torch.testing.assert_close(chunked.pred_confidence.data, after.pred_confidence.data, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('given', 'error'),
    [
        (dict(steps=0), ValueError),
        (dict(dilations=()), ValueError),
        (dict(dilations=(0,)), ValueError),
        (dict(dilations=8), TypeError),
        (dict(rounds=2), TypeError),
        (dict(steps=10**6), ValueError),
        (dict(dilations=tuple(range(1, 100))), ValueError),
        (dict(dilations=(10**6,)), ValueError),
    ],
)
def test_options_out_of_range_are_refused(given, error):
    with pytest.raises(error, match=r'test_cfg\.pamr'):
        check_test_cfg(dict(pamr=given))


@pytest.mark.parametrize('option', [dict(pamr=dict(steps=2)), dict(min_area=0.1)])
def test_an_export_says_that_it_does_without(build, option):
    model = build().eval()
    model.test_cfg = ConfigDict(mode='whole', **option)
    with pytest.raises(ValueError, match=f'test_cfg.{next(iter(option))}='):
        ExportableSegmentor(model)


def test_without_the_images_there_is_nothing_to_refine_by(build):
    model = build().eval()
    model.test_cfg = ConfigDict(mode='whole', pamr={})
    with pytest.raises(ValueError, match='expected inputs'):
        model.postprocess_result(torch.zeros(1, 3, 8, 8))
