"""Benchmarks of calibration on cameras left out: their counting is right."""

import sys

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import render_sky


@pytest.fixture(scope='module')
def benchmarks(repository):
    folder = str(repository / 'tools' / 'benchmarks')
    sys.path.insert(0, folder)
    import camera_predictions
    import cover_left_out
    import temperature

    yield camera_predictions, cover_left_out, temperature
    sys.path.remove(folder)


@pytest.fixture(scope='module')
def picture(benchmarks):
    """Return a function of camera and number that makes a picture of which a model is unsure."""
    image = np.ascontiguousarray(render_sky(5, 48).image)

    def make(camera, number):
        random = np.random.default_rng(number)
        mask = (random.random((48, 48)) > 0.4).astype(np.uint8)
        cloud = np.clip(np.where(mask == 1, 0.7, 0.3) + random.normal(0, 0.2, mask.shape), 0.01, 0.99)
        mask[:3] = 255
        truth = (mask == 1).sum() / (mask != 255).sum()
        return benchmarks[0].Picture(camera, f'{camera} {number}', str(number), truth, cloud, image, mask)

    return make


def test_a_temperature_is_that_of_the_color_likelihood(benchmarks, picture):
    predictions, _, temperature = benchmarks
    one = picture('a', 0)
    found = temperature.bins_of(one)
    assert found[:, 0].sum(1).tolist() == [45 * 48] * len(temperature.TEMPERATURES)
    known = one.mask != predictions.IGNORE
    for each, bins in zip(temperature.TEMPERATURES, found, strict=True):
        cloud = one.with_colors(weight=1.0, rounds=3, temperature=each)[known]
        assert bins[1].sum() == pytest.approx(np.maximum(cloud, 1 - cloud).sum(), rel=1e-4)
        assert bins[2].sum() == ((cloud > 0.5) == (one.mask[known] == 1)).sum()
    assert temperature.group_sums([one, picture('a', 1), one]).shape == (2, len(temperature.TEMPERATURES), 3, 15)


def test_intervals_are_judged_on_groups_that_they_do_not_know(benchmarks, picture):
    _, left_out, _ = benchmarks
    pictures = [picture('a', number) for number in range(14)]
    records = [left_out.as_record(each) for each in pictures]
    groups = np.array([each.group for each in pictures])
    truths, chosen = np.array([each.truth for each in pictures]), np.arange(14) >= 9
    found = left_out.judge(records, truths, groups, chosen, 0.9)
    assert 0 <= found.held <= 1 and 0 < found.width < 1
    far = np.where(chosen, 1 - truths.round(), truths)
    assert left_out.judge(records, far, groups, chosen, 0.9).held == 0, 'truths on the other side are not held'
    assert left_out.judge(records, truths, groups, np.arange(14) >= 8, 0.9) is None, 'eight groups are too few'
    own = left_out.judge(records, truths, groups, chosen, None)
    expected = [each['cloud']['high'] - each['cloud']['low'] for each in records[9:]]
    assert own.width == pytest.approx(np.mean(expected)) and own.unlike == 0
