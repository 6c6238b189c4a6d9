"""What predictions leave on disk, in folders that others write to as well."""

import csv
import os

import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis.outputs import PredictionWriter, write_files
from hyperbolic_seg.files import images_in
from hyperbolic_seg.images import LARGE_PIXELS, reduced_image, reduced_size

CLASSES = ('=clear sky', 'cl\x1b[31moud')
IMAGE = np.full((30, 40, 3), 120, np.uint8)

needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
needs_fifos = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')


def prediction(**more):
    labels = np.zeros(IMAGE.shape[:2], np.uint8)
    known = dict(labels=labels, radius=None, confidence=np.ones(labels.shape), classes=CLASSES, palette=[[9, 9, 9]] * 2)
    return known | more


def with_nodes():
    return prediction(nodes=np.zeros(IMAGE.shape[:2], np.uint16), node_names=['everything'])


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if not path.is_dir())


def test_only_the_expected_files_are_written(tmp_path):
    record = write_files(tmp_path, 'night/a.jpg', IMAGE, with_nodes(), source='a.jpg')
    assert files_below(tmp_path) == [f'{kind}/night/a.jpg.png' for kind in ('labels', 'nodes', 'overlays')]
    assert record['files']['labels'] == str(tmp_path / 'labels' / 'night' / 'a.jpg.png')
    assert (cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED) == 0).all()


def test_a_large_image_has_labels_of_its_size_and_a_reduced_overlay(tmp_path):
    """Three quarters are cloud, to the pixel; a row more of them is as much as a reduced image can show."""
    labels = np.ones((5000, 4000), np.uint8)
    labels[:1250] = 0
    image = np.full((*labels.shape, 3), 100, np.uint8)
    found = prediction(labels=labels, confidence=np.ones((2, 2)), palette=[[0, 0, 200], [200, 200, 0]])
    record = write_files(tmp_path, 'a', image, found, source='a.jpg')
    assert list(record['fractions'].values()) == [0.25, 0.75]
    assert (record['height'], record['width']) == labels.shape
    np.testing.assert_array_equal(cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED), labels)
    overlay = cv2.imread(record['files']['overlays'])
    height, width = reduced_size(5000, 4000, max_pixels=LARGE_PIXELS)
    assert overlay.shape[1] == width and 0 < overlay.shape[0] - height < 100, 'with the legend below'
    assert (overlay[height // 4 - 2] == [150, 50, 50]).all() and (overlay[height // 4 + 2] == [50, 150, 150]).all()
    small = write_files(tmp_path, 'b', reduced_image(image, max_pixels=20_000), found, source='b.jpg')
    assert small['fractions'] == record['fractions']
    overlay = cv2.imread(small['files']['overlays'])
    assert (overlay[38, :126] == [150, 50, 50]).all() and (overlay[41, :126] == [50, 150, 150]).all()


@needs_links
@pytest.mark.parametrize('link', ['labels', 'overlays', 'nodes', 'labels/night', 'nodes/night', 'overlays/night/a.png'])
def test_a_link_in_the_way_is_refused_by_name(tmp_path, link):
    outside, out = tmp_path / 'outside', tmp_path / 'out'
    (outside / 'night').mkdir(parents=True)
    (outside / 'a.png').write_bytes(b'mine')
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(outside / 'a.png' if link.endswith('.png') else outside, target_is_directory=True)
    with pytest.raises(OSError, match=f'{link} is a link, and results are written through none: remove it'):
        write_files(out, 'night/a', IMAGE, with_nodes(), source='a.jpg')
    assert files_below(outside) == ['a.png'] and (outside / 'a.png').read_bytes() == b'mine'
    assert not [name for name in files_below(out) if not name.startswith(link)], 'nothing is written by halves'


@needs_links
def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'out').symlink_to('disk')
    with PredictionWriter(tmp_path / 'out', CLASSES) as writer:
        writer.write('a', IMAGE, prediction(), source='a.jpg')
    assert files_below(tmp_path / 'disk') == ['labels/a.png', 'overlays/a.png', 'summary.csv']


@needs_links
def test_files_of_old_names_beside_it_are_not_written_through(tmp_path):
    (tmp_path / 'mine').write_bytes(b'mine')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / 'a.png.part').symlink_to('../mine')
    write_files(tmp_path, 'a', IMAGE, prediction(), source='a.jpg')
    assert (tmp_path / 'mine').read_bytes() == b'mine' and (tmp_path / 'labels' / 'a.png').is_file()


@needs_links
def test_a_table_that_is_a_link_is_refused_by_name(tmp_path):
    (tmp_path / 'mine').write_bytes(b'mine')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'summary.csv').symlink_to('../mine')
    with pytest.raises(OSError, match=r'summary\.csv is a link, and results are written through none: remove it'):
        PredictionWriter(tmp_path / 'out', CLASSES)
    assert (tmp_path / 'mine').read_bytes() == b'mine'


@needs_fifos
def test_a_fifo_in_the_place_of_a_result_is_refused_at_once(tmp_path):
    (tmp_path / 'labels').mkdir()
    for name in ('summary.csv', 'labels/a.png'):
        os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=r'summary\.csv is a FIFO'):
        PredictionWriter(tmp_path, CLASSES)
    with pytest.raises(OSError, match=r'a\.png is a FIFO'):
        write_files(tmp_path, 'a', IMAGE, prediction(), source='a.jpg')


@pytest.mark.parametrize('name', ['../a', 'night/../../../a', '/tmp/a'])
def test_names_do_not_climb_out_of_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match='leads out of the folder'):
        write_files(tmp_path / 'out', name, IMAGE, prediction(), source='a.jpg')
    assert not files_below(tmp_path)


def test_two_dots_may_be_the_name_of_an_image(tmp_path):
    write_files(tmp_path, '..', IMAGE, prediction(), source='...jpg')
    assert files_below(tmp_path) == ['labels/...png', 'overlays/...png']


def test_a_name_that_is_too_long_is_an_error_of_the_image(tmp_path):
    for name in ('x' * 252, 'x' * 300):
        with pytest.raises(ValueError, match='too long for the name of a file in .*: shorten it'):
            write_files(tmp_path, name, IMAGE, prediction(), source='a.jpg')


def test_the_table_holds_no_formula_and_no_control_character(tmp_path):
    odd = os.fsdecode(b'caf\xe9.jpg')
    names = ['=cmd|calc!A1.jpg', '-1.jpg', '@a.jpg', 'a\x1b]0;x\x07\n\r.jpg', odd, 'plain, "a".jpg']
    with PredictionWriter(tmp_path, CLASSES) as writer:
        for number, name in enumerate(names):
            writer.write(str(number), IMAGE, prediction(), source=name)
        writer.add(dict(image='=b.jpg', error='=b.jpg is not\x07 a readable image'))
    content = (tmp_path / 'summary.csv').read_bytes()
    assert not set(content) & (set(range(32)) - set(b'\r\n')) and b'caf\xe9.jpg' in content
    with (tmp_path / 'summary.csv').open(newline='', encoding='utf-8', errors='surrogateescape') as file:
        rows = list(csv.DictReader(file))
    expected = [
        './=cmd|calc!A1.jpg',
        './-1.jpg',
        './@a.jpg',
        r'a\x1b]0;x\x07\n\r.jpg',
        odd,
        'plain, "a".jpg',
        './=b.jpg',
    ]
    assert [row['image'] for row in rows] == expected
    assert rows[0]['fraction =clear sky'] == '1.0000' and rows[0][r'fraction cl\x1b[31moud'] == '0.0000'
    assert rows[-1]['error'] == r"'=b.jpg is not\x07 a readable image" and not rows[0]['error']


@needs_links
def test_a_link_to_itself_does_not_delay_other_images(tmp_path):
    (tmp_path / 'a.jpg').symlink_to('a.jpg')
    (tmp_path / 'b.jpg').write_bytes(b'x')
    assert str(tmp_path / 'b.jpg') in images_in(tmp_path, without=tmp_path / 'out')
