"""Records of large images are those of their pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.batch import predict_files
from hyperbolic_seg.images import LARGE_PIXELS, REDUCED_PIXELS
from hyperbolic_seg.sky.camera import SkyCamera, observe
from hyperbolic_seg.sky.renderer import render_sky, sample_scene


@pytest.fixture(scope='module')
def inferencer():
    found = HyperSegInferencer('hyperclip-unet-cloud', device='cpu')
    found.set_prompts(['clear sky', 'high cloud', 'low cloud', 'sun'])
    return found


@pytest.fixture(scope='module')
def sky():
    """A fisheye sky of the renderer, and the radius of its dome as a share of the image."""
    scene = sample_scene(9, camera='fisheye', time='day', genera=['cumulus', 'cirrus']).plain()
    scene = replace(scene, camera=replace(scene.camera, surround=0))
    return render_sky(9, 256, scene=scene).image, scene.camera.dome_radius / 2


def written(folder, image, side):
    file = folder / '20240621_120000.jpg'
    assert cv2.imwrite(str(file), cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC))
    return file


def test_the_cover_of_a_large_image_is_that_of_all_its_pixels(inferencer, sky, tmp_path):
    image, radius = sky
    side = 1500
    assert side * side > REDUCED_PIXELS
    file, middle = written(tmp_path, image, side), (side - 1) / 2
    place = dict(latitude=59.94, longitude=10.72, time_format='%Y%m%d_%H%M%S', timezone='UTC')
    camera = SkyCamera(center=(middle, middle), radius=radius * side, **place)
    (record,) = predict_files(inferencer, [str(file)], tmp_path / 'out', camera=camera)
    whole = inferencer.predict_one(str(file), with_probabilities=True)
    expected = observe(whole['probabilities'], inferencer.vocabulary, camera.view(cv2.imread(str(file)), file))
    assert 0.05 < expected.cloud.fraction < 0.95, 'neither extreme, which any reduction keeps'
    for name in ('fraction', 'low', 'high'):
        assert record['cloud'][name] == pytest.approx(getattr(expected.cloud, name), abs=1e-3)
        for class_name, cover in expected.classes.items():
            assert record['cover'][class_name][name] == pytest.approx(getattr(cover, name), abs=1e-3)
    shares = [(whole['labels'] == label).mean() for label in range(4)]
    assert list(record['fractions'].values()) == pytest.approx(shares, abs=1e-12)
    assert record['mean_confidence'] == pytest.approx(whole['confidence'].mean(), rel=1e-4)


def test_a_large_image_is_shown_reduced_with_labels_of_its_size(inferencer, sky, tmp_path):
    shown = []
    side = 4200
    assert side * side > LARGE_PIXELS
    file = written(tmp_path, sky[0], side)
    (record,) = predict_files(inferencer, [str(file)], tmp_path / 'out', on_prediction=lambda *each: shown.append(each))
    ((image, prediction, told),) = shown
    assert told is record and (record['height'], record['width']) == (side, side)
    assert image.shape[:2] == prediction['labels'].shape and REDUCED_PIXELS < prediction['labels'].size <= LARGE_PIXELS
    labels = cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED)
    assert labels.shape == (side, side)
    assert list(record['fractions'].values()) == pytest.approx([(labels == label).mean() for label in range(4)])
    shares = [(prediction['labels'] == label).mean() for label in range(4)]
    assert shares == pytest.approx(list(record['fractions'].values()), abs=1e-3)


def test_the_notes_of_a_record_name_prompts_that_are_not_known(sky, tmp_path):
    inferencer = HyperSegInferencer('hyperclip-unet-cloud', device='cpu')
    file, place = written(tmp_path, sky[0], 256), dict(latitude=59.94, longitude=10.72)
    camera = SkyCamera(center=(127.5, 127.5), radius=sky[1] * 256, **place)
    for prompts, unknown in (['clear sky', 'violin', 'fog'], ['violin']), (['clear sky', 'Wolken'], []):
        inferencer.set_prompts(prompts)
        (plain,) = predict_files(inferencer, [str(file)], tmp_path / 'out')
        (observed,) = predict_files(inferencer, [str(file)], tmp_path / 'out', camera=camera)
        for record in (plain, observed):
            notes = [note for note in record.get('notes', ()) if 'nearest known' in note]
            assert [note.split("'")[1] for note in notes] == unknown
        assert ('notes' in plain) == bool(unknown)
        assert any("'fog' counts as cloud" in note for note in observed['notes']) == ('fog' in prompts)


def test_without_maps_nothing_is_written_and_the_record_is_the_same_but_for_rounding(inferencer, sky, tmp_path):
    """A large image with its dome found in it; the fractions of classes are those of the labels at a reduced size."""
    image, _ = sky
    file, camera = written(tmp_path, image, 1500), SkyCamera(latitude=59.94, longitude=10.72)
    with_maps, without = (
        next(predict_files(inferencer, [str(file)], tmp_path / str(maps), camera=camera, maps=maps))
        for maps in (True, False)
    )
    assert [each.name for each in (tmp_path / 'False').iterdir()] == ['summary.csv']
    assert '1500,1500' in (tmp_path / 'False' / 'summary.csv').read_text()
    assert with_maps.pop('files') and 'files' not in without
    fractions, expected = (list(each.pop('fractions').values()) for each in (without, with_maps))
    assert without == with_maps and fractions == pytest.approx(expected, abs=1e-4)
    shown = []
    for _ in predict_files(
        inferencer, [str(file)], tmp_path, maps=False, on_prediction=lambda *each: shown.append(each)
    ):
        pass
    assert shown[0][1]['labels'].shape == (1500, 1500), 'frames of a video have labels of their own size'


def test_a_large_image_that_is_refused_keeps_its_size(inferencer, tmp_path):
    file = tmp_path / 'black.png'
    cv2.imwrite(str(file), np.zeros((4200, 4100, 3), np.uint8))
    (record,) = predict_files(inferencer, [str(file)], tmp_path / 'out')
    assert (record['width'], record['height']) == (4100, 4200) and record['quality_reasons'] == ['black']
