"""Pictures of the benchmark of large images, and what it measures of them."""

import sys

import cv2
import numpy as np
import pytest
import torch

from hyperbolic_seg.sky.camera import SkyCamera, find_dome


@pytest.fixture
def benchmark(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('large_images', None)
    import large_images

    monkeypatch.setattr(large_images, 'RENDERED', 128)
    return large_images


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_picture_has_its_size_and_the_dome_of_its_camera(benchmark, tmp_path):
    benchmark.make(tmp_path, 0.25)
    file = tmp_path / 'timed_20240621_120000.jpg'
    image = cv2.imread(str(file))
    assert image.shape == (500, 500, 3)
    dome, camera = find_dome(image), SkyCamera.load(file.with_suffix('.yaml'))
    assert dome.center == pytest.approx(camera.center, abs=3) and dome.radius == pytest.approx(camera.radius, abs=4)
    view = camera.view(image, file)
    assert view.sun.phase == 'day' and view.time.isoformat() == '2024-06-21T12:00:00+00:00'
    noise = image.astype(float) - cv2.GaussianBlur(image, (0, 0), 2)
    assert np.median(np.abs(noise[150:350, 150:350])) > 0.5, 'as of a sensor, which makes files of a real size'


def test_peak_and_time_are_those_of_this_process(benchmark, one_thread, tmp_path):
    resource = pytest.importorskip('resource')
    benchmark.make(tmp_path, 0.25)
    found = benchmark.predict(
        tmp_path / 'timed_20240621_120000.jpg', 'hyperclip-unet-cloud', with_camera=True, maps=True
    )
    assert found['cpu'] > 0 and found['wall'] > 0
    unit = 1 if sys.platform == 'darwin' else 1024
    assert found['peak'] == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, rel=0.05)
    assert found['peak'] > 100, 'PyTorch is in it'


def test_a_picture_that_cannot_be_predicted_stops_the_benchmark(benchmark, one_thread, tmp_path):
    benchmark.make(tmp_path, 0.25)
    file = tmp_path / 'timed_20240621_120000.jpg'
    cv2.imwrite(str(file), np.zeros((300, 300, 3), np.uint8))
    with pytest.raises(RuntimeError, match='timed_20240621_120000.jpg was not predicted: .*black'):
        benchmark.predict(file, 'hyperclip-unet-cloud', with_camera=False, maps=True)


def test_a_row_has_peak_and_seconds_of_every_column(benchmark):
    found = [dict(peak=1299.6, cpu=5.23, wall=9.0), dict(peak=132.2, cpu=0.078, wall=0.1)]
    assert benchmark.row(100.0, found) == '| 100 | 1300 | 5.2 | 132 | 0.078 |'
