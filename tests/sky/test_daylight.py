"""Skies under lamps get the blueness of a day, skies by day stay as they are."""

import pytest
import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.structures import SegDataSample

from hyperbolic_seg.sky import DaylightPreProcessor, to_daylight

CURVE = 2.2


def sky(red, green, blue, size=(6, 8), seed=0):
    """Gray levels of a sky whose light has this color and differs in strength from pixel to pixel."""
    strength = torch.rand(1, *size, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.3
    return 255 * (strength * torch.tensor([red, green, blue]).view(3, 1, 1)) ** (1 / CURVE)


def light(levels):
    return (levels / 255) ** CURVE


@pytest.mark.parametrize('blueness', [1.0, 1.2, 1.5])
def test_a_warm_sky_becomes_as_blue_as_asked_at_the_same_brightness(blueness):
    warm = sky(0.5, 0.4, 0.25)
    cooled = to_daylight(warm, blueness)
    red, _, blue = light(cooled).mean((1, 2))
    assert blue / red == pytest.approx(blueness, rel=1e-4)
    assert light(cooled).mean() == pytest.approx(light(warm).mean().item(), rel=1e-4)
    assert torch.equal(warm.mean(0).flatten().argsort(), cooled.mean(0).flatten().argsort())


def test_a_sky_by_day_stays_to_the_bit_and_others_of_the_batch_change_nothing():
    day, night = sky(0.3, 0.4, 0.6), sky(0.5, 0.4, 0.2)
    both = to_daylight(torch.stack([day, night]))
    assert torch.equal(both[0], day)
    torch.testing.assert_close(both[1], to_daylight(night))
    assert not torch.equal(both[1], night)


def test_black_stays_black_and_the_light_within_range():
    assert torch.equal(to_daylight(torch.zeros(3, 4, 4)), torch.zeros(3, 4, 4))
    extreme = torch.zeros(3, 4, 4)
    extreme[0] = 255.0
    extreme[2, 0, 0] = 255.0
    found = to_daylight(extreme)
    assert torch.isfinite(found).all() and found.min() >= 0 and found.max() <= 255


def test_every_image_of_a_batch_is_balanced_as_it_is_loaded_and_without_its_padding():
    options = dict(mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, size_divisor=16, test_cfg=dict(size_divisor=16))
    night, day = sky(0.5, 0.4, 0.2).round().byte(), sky(0.3, 0.4, 0.6).round().byte()
    mine, plain = DaylightPreProcessor(**options), SegDataPreProcessor(**options)
    for image, same in ((night, False), (day, True)):
        data = dict(inputs=[image.flip(0)], data_samples=[SegDataSample()])  # blue first
        found = mine(dict(data))['inputs'][0]
        assert torch.equal(found, plain(dict(data))['inputs'][0]) is same
        expected = (to_daylight(image.float()) - 127.5) / 127.5
        torch.testing.assert_close(found[:, :6, :8], expected)
        assert found.shape == (3, 16, 16) and not found[:, 6:].any()


def test_images_that_are_not_colored_are_refused():
    with pytest.raises(ValueError, match='got images of 1 channels'):
        to_daylight(torch.zeros(1, 4, 4))


def test_a_blueness_that_is_none_is_refused():
    with pytest.raises(ValueError, match='blueness=0: expected a positive ratio'):
        DaylightPreProcessor(blueness=0)


def test_what_is_exported_is_what_is_trained():
    preprocessor, night = DaylightPreProcessor(blueness=1.3, mean=[0.0] * 3, std=[1.0] * 3), sky(0.5, 0.4, 0.2)
    assert torch.equal(preprocessor.adjust_colors(night[None]), to_daylight(night[None], 1.3))
