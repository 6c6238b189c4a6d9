"""Records of large images are those of their pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.batch import predict_file, predict_files
from hyperbolic_seg.app.failures import failure, refuse
from hyperbolic_seg.files import output_names
from hyperbolic_seg.images import LARGE_PIXELS, REDUCED_PIXELS
from hyperbolic_seg.sky.camera import Repeats, SkyCamera, observe
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


def day_of(folder, sky):
    """A day of a camera: pictures, a copy of one, and what is refused or cannot be read."""
    folder.mkdir()
    image, random = sky[0], np.random.default_rng(0)
    files = [folder / f'20240621_12{minute:02d}00.png' for minute in range(10)]
    for number, file in enumerate(files):
        noise = random.normal(0, 2, image.shape)
        cv2.imwrite(str(file), np.clip(image * (1 - 0.02 * number) + noise, 0, 255).astype(np.uint8))
    files[3].write_bytes(files[2].read_bytes())
    files[4].write_bytes(b'no picture')
    files[5].unlink()
    cv2.imwrite(str(files[6]), np.zeros_like(image))
    files[7].write_bytes(files[7].read_bytes()[:-1000])
    return [str(file) for file in files]


def one_by_one(inferencer, files, out, *, camera, **options):
    """Records without any overlap."""
    repeats, records = Repeats(), []
    for name, file in zip(output_names(files), files, strict=True):
        try:
            options |= dict(camera=camera, repeats=repeats)
            records.append(predict_file(inferencer, file, out, name, **options))
        except OSError as error:
            records.append(refuse(file, error))
        except RuntimeError as error:
            records.append(failure(file, error, camera=camera, after=repeats.time))
    return records


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob('*') if file.is_file()}


@pytest.mark.parametrize('with_camera', [False, True])
def test_many_in_work_are_as_one_after_the_other(inferencer, sky, tmp_path, monkeypatch, with_camera):
    files, predict = day_of(tmp_path / 'day', sky), inferencer.predict_prepared

    def fails_once(batch, **options):
        (sample,) = batch['data_samples']
        if sample.metainfo['ori_shape'] == (256, 200):
            raise RuntimeError('no memory left on the device')
        return predict(batch, **options)

    monkeypatch.setattr(inferencer, 'predict_prepared', fails_once)
    cv2.imwrite(files[8], cv2.imread(files[8])[:, :200])
    (tmp_path / 'out' / 'labels' / f'{output_names(files)[1]}.png').mkdir(parents=True)
    place = dict(latitude=59.94, longitude=10.72, time_format='%Y%m%d_%H%M%S', timezone='UTC')
    camera = SkyCamera(**place) if with_camera else None
    expected = one_by_one(inferencer, files, tmp_path / 'out', camera=camera, threshold=0.6)
    assert [number for number, record in enumerate(expected) if 'error' in record][:4] == [1, 4, 5, 7]
    assert expected[6]['quality_reasons'] == ['black'] and ('repeated' in str(expected[3])) == with_camera
    written = contents(tmp_path / 'out')
    assert len(written) == 3 * (3 if with_camera else 4)
    for ahead in (1, 8):
        for file in written:
            (tmp_path / 'out' / file).unlink()
        found = list(predict_files(inferencer, files, tmp_path / 'out', camera=camera, threshold=0.6, ahead=ahead))
        assert found == expected
        again = contents(tmp_path / 'out')
        rows = again.pop('summary.csv').decode().splitlines()
        assert again == written and [row.split(',')[0] for row in rows] == ['image', *files]


def test_frames_come_in_the_order_of_the_images_with_the_record_of_each(inferencer, sky, tmp_path):
    files, shown = day_of(tmp_path / 'day', sky), []
    records = list(
        predict_files(inferencer, files, tmp_path / 'out', maps=False, on_prediction=lambda *each: shown.append(each))
    )
    predicted = [record for record in records if 'fractions' in record]
    assert len(predicted) == 6 and [record for *_, record in shown] == predicted
    for image, prediction, record in shown:
        assert np.array_equal(image, cv2.imread(record['image']))
        shares = [(prediction['labels'] == label).mean() for label in range(4)]
        assert shares == pytest.approx(list(record['fractions'].values()), abs=1e-12)


def test_a_frame_that_cannot_be_written_refuses_its_image_alone(inferencer, sky, tmp_path):
    files, seen = day_of(tmp_path / 'day', sky)[:3], []

    def full(image, prediction, record):
        seen.append(record['image'])
        if len(seen) == 2:
            raise OSError('no space left')

    records = list(predict_files(inferencer, files, tmp_path / 'out', on_prediction=full))
    assert seen == files and [record.get('error') for record in records] == [None, 'no space left', None]
