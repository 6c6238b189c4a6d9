"""Rounding errors of the geometry, as the documentation states them."""

import runpy

import pytest


@pytest.fixture(scope='module')
def benchmark(repository):
    return runpy.run_path(str(repository / 'tools' / 'benchmarks' / 'accuracy.py'))


@pytest.mark.parametrize('rho', [0.01, 5.0, 40.0, 80.0])
def test_errors_at_a_tenth_of_a_radian_are_those_of_rounding(benchmark, rho):
    for name in benchmark['FUNCTIONS']:
        assert benchmark['largest_error'](name, rho, 0.1) < 2e-5, name


def test_distances_of_nearly_parallel_vectors_keep_their_digits(benchmark):
    for rho in (1.0, 20.0):
        assert benchmark['largest_error']('distance', rho, 0.001) < 3e-5
        assert benchmark['largest_error']('pairwise_distance', rho, 0.001) < 1e-6
