"""Folders of cameras: what the programs that fill them write beside their images."""

import os

import pytest

from hyperbolic_seg.app.selection import Selection, select_images
from hyperbolic_seg.app.watching import Journal, watch

needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')

ALLSKY = {  # names as AllSky (AllskyTeam/allsky) and indi-allsky (aaronwmorris/indi-allsky) write them
    'images/20240823/image-20240823221500.jpg': True,
    'images/20240823/image-20240823221600.jpg': True,
    'images/20240823/thumbnails/image-20240823221500.jpg': False,
    'images/20240823/keogram/keogram-20240823.jpg': False,
    'images/20240823/startrails/startrails-20240823.jpg': False,
    'images/20240823/allsky-20240823.mp4': False,
    'tmp/image.jpg': False,
    'indi/ccd_1/exposures/20240823/night/22/ccd1_20240823_221500.jpg': True,
    'indi/ccd_1/exposures/20240823/night/22/ccd1_20240823_221600.fit': True,
    'indi/ccd_1/timelapse/20240823/allsky-keogram_ccd1_20240823_night_1747415591.jpg': False,
    'indi/ccd_1/timelapse/20240823/allsky-startrail_ccd1_20240823_night_1747415591.jpg': False,
    'indi/ccd_1/panoramas/20240823/panorama_ccd1_20240823_221500.jpg': False,
    'indi/latest.jpg': False,
    'indi/darks/dark_ccd1_8bit_30s.fit': False,
    '2024/08/23/221500.JPG': True,
    '2024/08/23/221600.dng': True,
    '2024/08/23/notes.txt': False,
    '.thumbs/a.jpg': False,
    '2024/08/23/.221700.jpg': False,
}


@pytest.fixture
def camera(tmp_path):
    for name in ALLSKY:
        (tmp_path / 'camera' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'camera' / name).write_bytes(b'x')
    return tmp_path / 'camera'


def selected(folder, *include, exclude=(), given=()):
    found = select_images(given or [folder], Selection(include, tuple(exclude)))
    return {os.path.relpath(file, folder).replace(os.sep, '/') for file in found.files}, found.notes


def watched(folder, out, selection):
    with Journal(out) as journal:
        options = dict(interval=0.01, settle=0, once=True, selection=selection)
        return list(watch(folder, journal, lambda file, name: dict(image=file), **options))


TAKEN = {name for name, is_taken in ALLSKY.items() if is_taken}


def test_images_are_taken_and_what_is_made_of_them_is_not(camera, tmp_path):
    files, notes = selected(camera)
    assert files == TAKEN
    assert len(notes) == 1 and '9 images are left out by default' in notes[0] and '--include with such' in notes[0]
    assert '2 by *keogram*' in notes[0] and '1 by latest.*' in notes[0] and '1 by image.*' in notes[0]
    lines = watched(camera, tmp_path / 'out', Selection())
    assert {line['name'] for line in lines if 'image' in line} == TAKEN
    assert [line for line in lines if 'skipped' in line] == [dict(name='.', skipped=notes[0].partition(': ')[2])]


def test_what_is_named_is_always_taken(camera):
    named = [camera / 'indi/latest.jpg', f'{camera}/images/*/keogram/*.jpg', camera / 'images/20240823/thumbnails']
    files, notes = selected(camera, exclude=['*'], given=named[:2])
    assert files == {'indi/latest.jpg', 'images/20240823/keogram/keogram-20240823.jpg'} and not notes
    files, _ = selected(camera, given=named[2:])
    assert files == {'images/20240823/thumbnails/image-20240823221500.jpg'}


@pytest.mark.parametrize(
    'include, exclude, expected',
    [
        (['*KEOGRAM*'], [], TAKEN | {name for name in ALLSKY if 'keogram' in name}),
        (['keogram-*.jpg'], [], TAKEN | {'images/20240823/keogram/keogram-20240823.jpg'}),
        ([], ['night'], {name for name in TAKEN if 'night' not in name}),
        ([], ['2024/'], {name for name in TAKEN if not name.startswith('2024/')}),
        ([], ['2024/0[1-8]'], {name for name in TAKEN if not name.startswith('2024/')}),
        ([], ['/2024*'], {name for name in TAKEN if not name.startswith('2024/')}),
        ([], ['*.dng', '*.FIT'], {name for name in TAKEN if not name.endswith(('dng', 'fit'))}),
        (['ccd1_*'], ['*'], {name for name in TAKEN if 'ccd1_' in name}),
    ],
)
def test_patterns(camera, tmp_path, include, exclude, expected):
    files, _ = selected(camera, *include, exclude=exclude)
    assert files == expected
    lines = watched(camera, tmp_path / 'out', Selection(tuple(include), tuple(exclude)))
    assert {line['name'] for line in lines if 'image' in line} == files


def test_a_folder_with_nothing_else_says_how_to_get_it(tmp_path):
    (tmp_path / 'image.jpg').write_bytes(b'x')
    message = r"no image in .*; 1 image is left out by default \(1 by image\.\*\); --include 'image\.\*' takes it"
    with pytest.raises(FileNotFoundError, match=message):
        selected(tmp_path)
    assert selected(tmp_path, 'image.*')[0] == {'image.jpg'}
    with pytest.raises(FileNotFoundError, match='nothing matches'):
        selected(tmp_path, given=[tmp_path / '*.png'])
    with pytest.raises(ValueError, match='an empty pattern'):
        Selection(include=('',))


@needs_links
def test_links_give_no_image_twice_and_loops_end(tmp_path):
    folder, outside = tmp_path / 'camera', tmp_path / 'outside'
    (folder / 'day').mkdir(parents=True)
    (folder / '.new').mkdir()
    outside.mkdir()
    for path in (folder / 'day' / 'a.jpg', folder / '.new' / 'b.jpg', outside / 'c.jpg'):
        path.write_bytes(b'x')
    links = {'newest.jpg': 'day/a.jpg', 'chain.jpg': 'newest.jpg', 'b1.jpg': '.new/b.jpg', 'b2.jpg': '.new/b.jpg'}
    links |= {'today': 'day', 'day/loop': '..', 'out.jpg': '../outside/c.jpg', 'archive': '../outside'}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    files, notes = selected(folder)
    assert files == {'day/a.jpg', 'b1.jpg', 'out.jpg'}
    assert sorted(note.partition(' is ')[0] for note in notes) == sorted(
        str(folder / name) for name in ('archive', 'today', 'day/loop')
    )
    lines = watched(folder, tmp_path / 'out', Selection())
    assert {line['name'] for line in lines if 'image' in line} == {'day/a.jpg', 'b1.jpg'}
    assert {line['name'] for line in lines if 'skipped' in line} == {'archive', 'today', 'day/loop', 'out.jpg'}


def test_the_folder_of_results_is_left_out(tmp_path):
    for name in ('a.jpg', 'predictions/labels/a.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    assert select_images([tmp_path], Selection(), without=tmp_path / 'predictions').files == [str(tmp_path / 'a.jpg')]


def test_a_folder_inside_that_of_the_results_is_read_and_that_folder_itself_is_not(tmp_path):
    (tmp_path / 'days').mkdir()
    (tmp_path / 'days' / 'a.jpg').write_bytes(b'x')
    found = select_images([tmp_path / 'days'], Selection(), without=tmp_path)
    assert found.files == [str(tmp_path / 'days' / 'a.jpg')]
    with pytest.raises(ValueError, match='is the folder of the results: give another one'):
        select_images([tmp_path], Selection(), without=tmp_path)
