import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / 'tools' / 'benchmarks'
sys.path.insert(0, str(FOLDER))
import classical_rules as rules  # noqa: E402

sys.path.remove(str(FOLDER))

BLUE, GRAY, WHITE = (230, 120, 60), (128, 128, 128), (250, 250, 250)


def make_image(*colors, noise=3):
    """Columns of equal width, and which of them are cloud."""
    rows = np.repeat(np.array([colors], np.float64), 40, 0).repeat(20, 1)
    rows += np.random.default_rng(0).normal(0, noise, rows.shape)
    return rows.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize('name', rules.RULES)
def test_blue_is_sky_and_gray_is_cloud(name):
    image = make_image(BLUE, GRAY, WHITE)
    found = rules.RULES[name](image, np.ones(image.shape[:2], bool))
    share = found.reshape(40, 3, 20).mean((0, 2))
    assert share[0] < 0.05 and share[1] > 0.95 and share[2] > 0.95


def test_hyta_treats_a_flat_image_as_one_mode():
    valid = np.ones((40, 20), bool)
    assert rules.hyta(make_image(BLUE, noise=1), valid).mean() == 0
    assert rules.hyta(make_image(GRAY, noise=1), valid).mean() == 1


def test_only_valid_pixels_set_a_threshold():
    image = make_image(BLUE, GRAY, (10, 10, 10), (255, 0, 0))
    valid = np.ones(image.shape[:2], bool)
    valid[:, 40:] = False
    found = rules.otsu(image, valid)
    assert found[:, :20].mean() < 0.05 and found[:, 20:40].mean() > 0.95


def test_minimum_cross_entropy_divides_two_modes():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0.05, 0.03, 4000), generator.normal(0.5, 0.05, 1000)])
    assert 0.15 < rules.minimum_cross_entropy(values.astype(np.float32)) < 0.4


@pytest.mark.parametrize('name', rules.TUNED)
def test_tuning_finds_a_threshold_between_sky_and_cloud(name):
    feature, rising = rules.TUNED[name]
    image = make_image(BLUE, GRAY)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, 20:] = 1
    mask[0] = 255
    threshold = rules.tune(feature, rising, [(image, mask)])
    found = feature(image) > threshold if rising else feature(image) < threshold
    assert rules.binary_iou(found[1:], mask[1:] == 1) > 0.97


def test_binary_iou_is_the_mean_over_cloud_and_sky():
    found, cloud = np.array([1, 1, 0, 0], bool), np.array([1, 0, 0, 0], bool)
    assert rules.binary_iou(found, cloud) == pytest.approx((1 / 2 + 2 / 3) / 2)
