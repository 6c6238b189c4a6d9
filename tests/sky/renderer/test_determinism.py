"""The same seed gives the same labels and, up to the rounding of JPEG, the same image, on any processor."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import hyperbolic_seg.sky.renderer as procedural_sky
from hyperbolic_seg.sky.renderer import render_sky

PACKAGE = Path(procedural_sky.__file__).parent
IMAGES = 60
SIZE = (96, 128)

# Empty parent packages keep the process from importing torch and mmseg, which takes seconds, and
# show that the procedural sky needs neither.
PROGRAM = f"""
import sys, types
for name, path in (('hyperbolic_seg', {str(PACKAGE.parents[1])!r}), ('hyperbolic_seg.sky', {str(PACKAGE.parent)!r})):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import cv2, numpy
from hyperbolic_seg.sky.renderer import render_sky
cv2.setNumThreads(int(sys.argv[1]))
rendered = [render_sky(seed, {SIZE}) for seed in range({IMAGES})]
assert not {{'torch', 'scipy', 'mmcv', 'mmengine', 'mmseg'}} & set(sys.modules)
images, labels = ([getattr(each, name) for each in rendered] for name in ('image', 'labels'))
numpy.savez(sys.argv[2], images=images, labels=labels)
"""


def numpy_features():
    """Instruction sets beyond the baseline that NumPy would use on this processor."""
    core = getattr(np, '_core', None) or np.core
    available = core._multiarray_umath.__cpu_features__
    return [name for name in core._multiarray_umath.__cpu_dispatch__ if available.get(name)]


@pytest.fixture(scope='module')
def expected():
    return [render_sky(seed, SIZE) for seed in range(IMAGES)]


@pytest.mark.parametrize(
    ('threads', 'environment'),
    [
        (
            1,
            {
                'NPY_DISABLE_CPU_FEATURES': ' '.join(numpy_features()),
                'OPENCV_CPU_DISABLE': 'AVX512-SKX,AVX2,FMA3,FP16,AVX,SSE4.2,SSE4.1',
                'OPENCV_IPP': 'disabled',
                'OPENBLAS_CORETYPE': 'Nehalem',
                'PYTHONHASHSEED': '1',
            },
        ),
        (4, {'OPENCV_CPU_DISABLE': 'AVX512-SKX', 'OPENBLAS_CORETYPE': 'Haswell'}),
        (2, {'OPENCV_IPP': 'disabled', 'OMP_NUM_THREADS': '3', 'OPENBLAS_NUM_THREADS': '3'}),
    ],
    ids=['baseline', 'avx2', 'threads'],
)
def test_images_do_not_depend_on_the_processor(expected, tmp_path, threads, environment):
    file = tmp_path / 'rendered.npz'
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(threads), str(file)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = np.load(file)
    for rendered, image, labels in zip(expected, found['images'], found['labels'], strict=True):
        np.testing.assert_array_equal(rendered.labels, labels)
        if rendered.scene.sensor.jpeg:  # decoders may round differently
            assert np.abs(rendered.image.astype(int) - image).max() <= 2
        else:
            np.testing.assert_array_equal(rendered.image, image)


def test_order_of_calls_and_global_state_do_not_matter():
    first = [render_sky(seed, 64) for seed in range(8)]
    np.random.seed(7)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        again = [render_sky(seed, 64) for seed in reversed(range(8))][::-1]
    finally:
        cv2.setNumThreads(threads)
    for one, other in zip(first, again, strict=True):
        assert one.scene == other.scene
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_global_random_state_is_left_alone():
    np.random.seed(11)
    expected = np.random.random()
    np.random.seed(11)
    render_sky(3, 64)
    assert np.random.random() == expected


def test_different_seeds_give_different_images():
    assert len({render_sky(seed, 32).image.tobytes() for seed in range(30)}) == 30


def test_a_scene_given_equals_the_scene_drawn():
    image = render_sky(5, 64)
    np.testing.assert_array_equal(image.image, render_sky(5, 64, scene=image.scene).image)
