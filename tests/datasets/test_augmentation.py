import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from hyperbolic_seg.datasets.augmentation import develop
from hyperbolic_seg.sky.renderer import render_sky

SAME = dict(gains=np.ones(3), saturation=1.0, exponent=1.0, blur=0.0, noise=0.0, quality=100)
IMAGE = render_sky(3, 64).image


def test_neutral_settings_leave_the_image_unchanged():
    assert np.abs(develop(IMAGE, **SAME).astype(int) - IMAGE).max() <= 1


def test_each_setting_has_its_effect_on_the_image():
    gray = np.full((16, 16, 3), 100, np.uint8)
    brighter = develop(gray, **(SAME | dict(gains=np.full(3, 2.0))))
    assert brighter[0, 0].tolist() == [round(100 * 2 ** (1 / 2.2))] * 3  # one stop
    assert (develop(gray, **(SAME | dict(gains=np.full(3, 99.0)))) == 255).all()  # a sensor clips
    warm = develop(gray, **(SAME | dict(gains=np.array([0.5, 1, 2]))))[0, 0].astype(int)
    assert warm[0] < warm[1] == 100 < warm[2]
    flat = develop(IMAGE, **(SAME | dict(saturation=0.0))).astype(int)
    assert np.ptp(flat, axis=-1).max() <= 1
    assert develop(gray, **(SAME | dict(exponent=1.5))).mean() < 100
    noisy = develop(gray, **(SAME | dict(noise=5.0))).astype(float)
    assert 4 < noisy.std() < 6
    blurred = develop(IMAGE, **(SAME | dict(blur=1.5))).astype(float)
    assert np.abs(np.diff(blurred, axis=0)).mean() < np.abs(np.diff(IMAGE.astype(float), axis=0)).mean()
    compressed = develop(IMAGE, **(SAME | dict(quality=20)))
    assert 0 < np.abs(compressed.astype(int) - IMAGE).mean() < 12


def test_the_transform_draws_a_camera_each_time():
    transform = TRANSFORMS.build(dict(type='RandomCamera', prob=1.0))
    np.random.seed(0)
    images = [transform(dict(img=IMAGE.copy()))['img'] for _ in range(3)]
    assert all(image.shape == IMAGE.shape and image.dtype == np.uint8 for image in images)
    assert not np.array_equal(images[0], images[1])
    np.random.seed(0)
    assert np.array_equal(transform(dict(img=IMAGE.copy()))['img'], images[0])
    assert TRANSFORMS.build(dict(type='RandomCamera', prob=0))(dict(img=IMAGE))['img'] is IMAGE
    assert 'jpeg=50' in repr(transform)
    with pytest.raises(ValueError, match='jpeg=0: expected a finite number of at least 1, at most 100'):
        TRANSFORMS.build(dict(type='RandomCamera', jpeg=0))
