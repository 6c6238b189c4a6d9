import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.evaluation.statistics import (
    area_under_risk_coverage,
    bootstrap,
    expected_calibration_error,
    mean_iou,
)


@given(st.integers(0, 10**6))
def test_mean_iou_against_its_definition(seed):
    generator = np.random.default_rng(seed)
    label, prediction = generator.integers(0, 4, 60), generator.integers(0, 5, 60)  # 4: none of the labels
    confusion = np.zeros((4, 5))
    np.add.at(confusion, (label, prediction), 1)
    shares = [((label == k) & (prediction == k)).sum() / ((label == k) | (prediction == k)).sum() for k in set(label)]
    assert mean_iou(confusion) == pytest.approx(np.mean(shares))
    assert mean_iou(confusion, classes=np.array([True, False, False, False])) == pytest.approx(shares[0])


def test_mean_iou_is_nan_without_pixels_and_skips_classes_without_labels():
    assert np.isnan(mean_iou(np.zeros((2, 3))))
    assert mean_iou(np.array([[5.0, 0, 0], [0, 0, 0]])) == 1  # a class without a label is not averaged


def test_calibration_error_is_the_weighted_gap_of_confidence_and_accuracy():
    # 10 pixels at 0.9 of which 6 are right, 30 at 0.5 of which 15 are.
    assert expected_calibration_error(np.array([[10, 30], [9, 15], [6, 15]], float)) == pytest.approx(3 / 40)
    assert np.isnan(expected_calibration_error(np.zeros((3, 5))))


@given(st.integers(0, 10**6))
def test_risk_coverage_of_single_pixels(seed):
    """With one pixel in a bin the area is the mean risk up to every pixel, but for what a pixel's own width adds."""
    wrong = np.random.default_rng(seed).random(400) < 0.3
    exact = (np.cumsum(wrong) / np.arange(1, 401)).mean()
    assert area_under_risk_coverage(np.stack([np.ones(400), wrong.astype(float)])) == pytest.approx(exact, abs=0.02)


def test_risk_coverage_of_one_bin_is_its_risk():
    bins = np.array([[0, 50, 0], [0, 10, 0]], float)
    assert area_under_risk_coverage(bins) == pytest.approx(0.2)
    doubled = np.array([[50, 50], [10, 10]], float)
    assert area_under_risk_coverage(doubled) == pytest.approx(0.2)
    good, bad = np.array([[50, 50], [0, 20]], float), np.array([[50, 50], [20, 0]], float)
    assert area_under_risk_coverage(good) < 0.2 < area_under_risk_coverage(bad)
    # By hand: no risk up to a half, then 20 t / (50 + 50 t): 0.4 (1 - ln 2) of a half.
    assert area_under_risk_coverage(good) == pytest.approx(0.2 * (1 - np.log(2)))


def test_bootstrap_covers_the_mean():
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        sums = np.stack([generator.normal(3, 1, 40), np.ones(40)], 1)
        low, high = bootstrap(sums, lambda total: total[0] / total[1], draws=300, seed=seed)
        hits += low <= 3 <= high
    assert 85 <= hits <= 100
    assert all(np.isnan(bootstrap(sums[:1], lambda total: total[0])))
    same = np.ones((5, 1))
    assert bootstrap(same, lambda total: total[0] / 5) == (1, 1)
