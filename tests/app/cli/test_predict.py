"""hyperbolic-seg predict."""

import csv
import gzip
import json
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hyperbolic_seg.apis.configs import find_config
from hyperbolic_seg.app.cli.app import app
from hyperbolic_seg.app.cli.console import fail, plain, print_notes, print_status, quiet
from hyperbolic_seg.app.cli.doctor import Finding, report
from tests import processes
from tests.photographs import ASCII, dng_bytes, fits_bytes, mosaic


def test_json_has_a_line_for_every_image(command, images, tmp_path):
    out = tmp_path / 'out'
    options = ['--prompts', 'clear sky, cumulus; fair-weather cloud', '-p', 'cirrus', '--out', out, '--json']
    done = command('predict', images, tmp_path / 'lost.png', *options)
    assert done.code == 1 and '3 of 5 images written' in done.err
    records = [json.loads(line) for line in done.out.splitlines()]
    refused = {Path(record['image']).name: record['error'] for record in records if 'error' in record}
    assert set(refused) == {'broken.jpg', 'lost.png'} and all(name in why for name, why in refused.items())
    for record in records:
        if 'error' in record:
            continue
        assert list(record['fractions']) == ['clear sky', 'cumulus', 'cirrus']
        assert sum(record['fractions'].values()) == pytest.approx(1)
        assert 1 / 3 <= record['mean_confidence'] <= 1 and 'mean_radius' not in record
        labels = cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED)
        assert labels.shape == (record['height'], record['width'])
        shares = [(labels == label).mean() for label in range(3)]
        assert shares == pytest.approx(list(record['fractions'].values()))
        assert Path(record['files']['overlays']).is_file()
    assert len(list(csv.DictReader((out / 'summary.csv').open()))) == 5


def test_a_table_nodes_and_a_video_are_written(command, images, tmp_path):
    video = ['--video', tmp_path / 'day.mp4', '--fps', 2]
    done = command('predict', images / '*.png', '--threshold', 0.6, '--out', tmp_path / 'out', *video)
    assert done.code == 0 and '3 of 3 images written' in done.err and '3 frames written' in done.err
    assert (tmp_path / 'day.mp4').stat().st_size
    assert '0.png' in done.out and '%' in done.out
    assert len(list((tmp_path / 'out' / 'nodes').iterdir())) == 3


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere/*.jpg'], 'nothing matches nowhere/*.jpg'),
        (['IMAGE', '--prompts', 'cloud'], 'at least two prompts'),
        (['IMAGE', '--prompts', 'cloud, '], 'an empty prompt'),
        (['IMAGE', '--prompts', 'a, b', '--vocabulary', 'sky'], 'give one of them'),
        (['IMAGE', '--model', 'hyperclip-unet-clouds'], 'neither a file nor a model'),
        (['IMAGE', '--model', 'unet_cloud.py'], 'give its checkpoint by --weights'),
        (['IMAGE', '--model', 'unet_clouds.py', '--weights', 'x.pth'], 'Similar ones are unet_cloud'),
        (['IMAGE', '--threshold', '0.4'], 'expected more than 0.5'),
        (['IMAGE', '--vocabulary', 'no_such'], 'no vocabulary file'),
        (['IMAGE', '--video', 'day.gif'], 'day.gif: expected a suffix of .mp4'),
        (['IMAGE', '--fps', '0'], 'greater than or equal to 0.1'),
    ],
)
def test_wrong_arguments_are_refused_before_any_image(command, images, tmp_path, arguments, message):
    arguments = [str(images / '0.png') if argument == 'IMAGE' else argument for argument in arguments]
    done = command('predict', *arguments, '--out', tmp_path / 'out')
    assert done.code == 2 and message in done.err, done.err
    assert not done.out and not (tmp_path / 'out').exists()


def test_exit_code_2_if_no_image_could_be_predicted(command, images, tmp_path):
    done = command('predict', images / 'broken.jpg', '--out', tmp_path / 'out')
    assert done.code == 2 and 'broken.jpg is not a readable image' in done.err


def test_a_camera_gives_oktas_and_time_series(command, tmp_path):
    for seed, hour in ((3, '0830'), (4, '1130')):
        dome = np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 44
        coarse = np.random.default_rng(seed).integers(120, 220, (8, 8, 3)).astype(np.uint8)
        image = np.where(dome[..., None], cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC), 3)
        cv2.imwrite(str(tmp_path / f'cam_20240717_{hour}.jpg'), image)
    camera = tmp_path / 'camera.yaml'
    camera.write_text('latitude: 59.9\nlongitude: 10.7\ntime_format: "%Y%m%d_%H%M"\nfield_of_view: 170\n')
    options = ['--camera', camera, '--prompts', 'clear sky, cloud, sun', '--out', tmp_path / 'out', '--json']
    series = [tmp_path / f'day{suffix}' for suffix in ('.csv', '.nc', '.png')]
    done = command('predict', tmp_path / '*.jpg', *options, *(o for file in series for o in ('--series', file)))
    assert done.code == 0 and '2 times written' in done.err, done.err
    first, second = map(json.loads, done.out.splitlines())
    assert first['time'] < second['time'] and first['sun']['azimuth'] < second['sun']['azimuth']
    assert first['cloud']['low'] <= first['cloud']['fraction'] <= first['cloud']['high'] and 'sun' not in first['cover']
    assert all(file.stat().st_size for file in series)
    without = command('predict', tmp_path / '*.jpg', '--series', tmp_path / 'day.csv')
    assert without.code == 2 and '--series needs --camera' in without.err
    other = command('predict', tmp_path / '*.jpg', '--camera', camera, '--series', tmp_path / 'day.xls')
    assert other.code == 2 and 'expected a suffix of .csv, .nc, .png' in other.err


def test_earlier_results_are_not_predicted(command, images):
    for _ in range(2):
        done = command('predict', images, '--out', images / 'predictions', '--prompts', 'clear sky, cloud')
        assert done.code == 1 and '3 of 4 images written' in done.err


def test_a_series_that_fails_undoes_no_other_result(command, images, tmp_path):
    """Names without times make no series; masks and the video are there all the same."""
    camera = tmp_path / 'camera.yaml'
    camera.write_text('center: [32, 32]\nradius: 30\ntime_format: "%Y%m%d"\n')
    wanted = ['--series', tmp_path / 'day.csv', '--video', tmp_path / 'day.mp4']
    done = command('predict', images / '2.png', '--camera', camera, '--out', tmp_path / 'out', *wanted)
    assert done.code == 1 and 'no image has a time' in done.err, done.err
    assert '1 of 1 images written' in done.err and (tmp_path / 'day.mp4').is_file()


def test_markup_in_names_is_not_interpreted(command, images, tmp_path):
    odd = (images / '0.png').rename(images / 'sky[bold]north[x].png')
    done = command('predict', odd, '--prompts', 'clear sky, [/x] cloud', '--out', tmp_path / 'out')
    assert done.code == 0 and 'sky[bold]north[x].png' in done.out


def test_a_config_needs_weights_or_none(command, images, tmp_path):
    refused = command('predict', images / '0.png', '--model', 'unet_cloud', '--out', tmp_path / 'out')
    assert refused.code == 2 and 'give its checkpoint by --weights, or --weights none' in refused.err
    options = ['--model', 'unet_cloud', '--weights', 'none', '--out', tmp_path / 'out']
    assert command('predict', images / '0.png', *options).code == 0


def speaking(text):
    """Characters that a terminal obeys, or that hide others."""
    return [c for c in text if not c.isprintable() and c != '\n']


def as_a_shell_sees_it(*arguments):
    done = CliRunner(env=dict(COLUMNS='300')).invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert not speaking(done.stdout) and not speaking(done.stderr)
    return done


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such names')
@pytest.mark.parametrize('options', [(), ('--json',)])
def test_control_characters_in_names_are_escaped(images, tmp_path, options):
    odd = ['a\x1b[31m.png', 'b\nerror: all is lost.png', 'c\r\u202egnp.png', '=1+1\x07.png', ':smile:.png']
    for name in odd:
        shutil.copy(images / '0.png', images / name)
    (images / 'd\x9b31m\nerror: no.jpg').write_bytes(b'no image')
    out, prompts = tmp_path / 'o\x1b[31m\nerror: ut', 'clear sky, cl\x1b[1moud'
    done = as_a_shell_sees_it('predict', images, '--out', out, '--prompts', prompts, *options)
    assert done.exit_code == 1 and r'd\x9b31m\nerror: no.jpg: ' in done.stderr, done.stderr
    assert not [line for line in done.stderr.splitlines() if line.lstrip().startswith('error')]
    if options:
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert {str(images / name) for name in odd} < {record['image'] for record in records}, 'as they are'
        assert done.stdout.isascii()
    else:
        shown = [r'a\x1b[31m.png', r'b\nerror: all is lost.png', r'c\r\u202egnp.png', r'=1+1\x07.png', ':smile:.png']
        assert all(f' {name} ' in done.stdout for name in shown) and r'cl\x1b[1moud' in done.stdout
    table = (out / 'summary.csv').read_text(encoding='utf-8')
    assert not speaking(table) and r'a\x1b[31m.png' in table


@pytest.mark.parametrize(
    'arguments',
    [
        ('predict', 'no\x1b[31mne/*.jpg'),
        ('predict', 'a.jpg', '--model', 'm\x1b[31m\nerror: x'),
        ('predict', 'a.jpg', '--camera', 'c\x1b[31m\nerror: x.yaml'),
        ('predict', 'a.jpg', '--camera', 'c.yaml', '--series', 's\x1b[31m\nerror: x'),
        ('predict', 'a.jpg', '--vocabulary', 'v\x1b[31m\nerror: x'),
        ('watch', 'f\x1b[31m\nerror: x'),
        ('vocab', 'v\x1b[31m\nerror: x'),
        ('vocab', 'sky', '--draw', 'd\x1b[31m\nerror: x'),
    ],
)
def test_control_characters_in_errors_are_escaped(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    done = as_a_shell_sees_it(*arguments)
    lines = done.stderr.splitlines()
    assert done.exit_code == 2 and r'\x1b[31m' in done.stderr
    assert [line.startswith('error') for line in lines].count(True) == 1, 'no other line passes for an error'


def test_control_characters_in_a_vocabulary_are_escaped(tmp_path):
    file = tmp_path / 'v\x1b[31m.yaml'
    concept = r'{name: "a\e[31m\n[bold]", synonyms: ["s\a", ":smile:"], abbreviation: "A\u202e", color: [9, 9, 9]}'
    file.write_text(f'concepts: [{concept}, {{name: "b"}}]')
    done = as_a_shell_sees_it('vocab', file)
    assert done.exit_code == 0, done.stderr
    assert r'● 0 a\x1b[31m\n[bold] (A\u202e)' in done.stdout and r's\x07; :smile:' in done.stdout
    assert r'v\x1b[31m' in done.stdout and r'v\x1b[31m.yaml is valid' in done.stderr
    assert json.loads(as_a_shell_sees_it('vocab', file, '--json').stdout)[0]['name'] == 'a\x1b[31m\n[bold]'


def test_control_characters_in_findings_are_escaped(monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '300')
    assert report([Finding('[x]\x1b[31m', 'one\ntwo\x07', 'wrong', "pip install 'a[b]'\x9b")]) == 1
    out = capsys.readouterr().out
    assert not speaking(out) and r'[x]\x1b[31m' in out and r"'a[b]'\x9b" in out
    assert ' one ' in out and r' two\x07 ' in out, 'lines stay lines'


def test_later_lines_of_a_message_are_indented(capsys):
    print_status('one\nerror: two\r\n[bold]three[/] :smile:')
    assert capsys.readouterr().err == 'one\n  error: two\\r\n  [bold]three[/] :smile:\n'
    with pytest.raises(typer.Exit):
        fail(ValueError('a\x1b\nb'))
    assert capsys.readouterr().err == 'error: a\\x1b\n  b\n'


def test_prints_of_libraries_go_escaped_to_standard_error(capsys):
    with quiet():
        print('loads', 'a\x1b[31m\x07\tb')
    assert capsys.readouterr() == ('', 'loads a\\x1b[31m\\x07\tb\n')


def test_warnings_are_printed_once_in_plain_words_and_those_for_developers_are_hidden(capsys):
    printed: set[str] = set()
    for _ in range(2):
        with quiet(printed):
            for _ in range(2):
                warnings.warn("'fog' counts as cloud", stacklevel=1)
            warnings.warn('an old name', DeprecationWarning, stacklevel=1)
            warnings.warn('an old option', FutureWarning, stacklevel=1)
    assert capsys.readouterr() == ('', "warning: 'fog' counts as cloud\n")


def test_notes_are_printed_once_whatever_becomes_of_warnings(capsys):
    printed: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for _ in range(2):
            print_notes(dict(notes=["'fog' counts as cloud"]), printed)
            print_notes(dict(image='a.jpg', error='no dome found'), printed)
    assert capsys.readouterr() == ('', "note: 'fog' counts as cloud\n")


def test_the_command_leaves_the_filters_of_warnings_alone(command):
    before = list(warnings.filters)
    command('vocab', 'leaves')
    assert warnings.filters == before


def test_styles_reach_the_terminal_and_names_are_escaped(capsys):
    """In a terminal, styles are control characters, and those of a name are escaped."""
    Console(force_terminal=True, color_system='standard').print(plain('a\x1b[32m', 'red'))
    assert capsys.readouterr().out == '\x1b[31ma\\x1b[32m\x1b[0m\n'


@pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
def test_a_summary_that_is_a_link_is_refused_before_any_image(command, images, tmp_path):
    out, mine = tmp_path / 'out', tmp_path / 'mine'
    out.mkdir()
    mine.write_bytes(b'mine')
    (out / 'summary.csv').symlink_to(mine)
    done = command('predict', images, '--out', out)
    assert done.code == 2 and 'summary.csv is a link, and results are written through none: remove it' in done.err
    assert mine.read_bytes() == b'mine' and not (out / 'labels').exists()


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_a_fifo_is_refused_without_waiting(command, images, tmp_path):
    os.mkfifo(images / 'fifo.jpg')
    done = command('predict', images, '--out', tmp_path / 'out', '--prompts', 'clear sky, cloud')
    assert done.code == 1 and '3 of 5 images written' in done.err and 'fifo.jpg is a FIFO' in done.err


# Counts how often a file is opened for reading: the audit hook sees every open, by whatever library. Opening by a
# descriptor (os.fdopen) has an integer in place of the path.
COUNTING = """
import os, sys
from collections import Counter

opened = Counter()

def count(event, arguments):
    if event == 'open' and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened[os.path.basename(os.fsdecode(arguments[0]))] += 1

sys.addaudithook(count)
from hyperbolic_seg.app.cli.main import main

try:
    main()
finally:
    print('opened', {name: opened[name] for name in ('0.png', '1.png', '2.png')}, file=sys.stderr)
"""


@pytest.mark.parametrize(
    'arguments',
    [
        ['predict', 'IMAGES', '--video', 'day.mp4', '--threshold', '0.6', '--out', 'out'],
        ['watch', 'IMAGES', '--once', '--settle', '0', '--out', 'out'],
    ],
    ids=['predict', 'watch'],
)
def test_each_image_is_read_once(images, tmp_path, arguments):
    (images / 'broken.jpg').unlink()
    (tmp_path / 'counting.py').write_text(COUNTING)
    arguments = [str(images) if argument == 'IMAGES' else argument for argument in arguments]
    done = processes.run(tmp_path / 'counting.py', *arguments, cwd=tmp_path)
    assert done.returncode == 0 and "opened {'0.png': 1, '1.png': 1, '2.png': 1}" in done.stderr, done.stderr
    assert 'predict' not in arguments or (tmp_path / 'day.mp4').stat().st_size


@pytest.mark.skipif(os.name == 'nt', reason='a console is needed for Ctrl-C')
def test_ctrl_c_ends_with_whole_files_and_a_whole_table(images, tmp_path):
    for number in range(400):
        (images / f'{number + 3}.png').write_bytes((images / f'{number % 3}.png').read_bytes())
    arguments = ['predict', images, '--out', 'out', '--prompts', 'clear sky, cloud', '--json']
    program = processes.Program('hyperbolic_seg.app.cli.main', *arguments, cwd=tmp_path)
    program.wait_for('"image": .*"files"')
    os.kill(program.pid, signal.SIGINT)
    done = program.wait()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode not in (0, -signal.SIGINT) and 'Traceback' not in done.stderr and 0 < len(lines) < 403
    rows = (tmp_path / 'out' / 'summary.csv').read_text().splitlines()[1:]
    assert [row.split(',')[0] for row in rows][: len(lines)] == [line['image'] for line in lines]
    assert len(lines) <= len(rows) <= len(lines) + 1, 'a record is in the table before it is printed'
    found = [file for file in (tmp_path / 'out').rglob('*') if file.is_file() and file.suffix != '.csv']
    assert {file.parent.name for file in found} == {'labels', 'overlays'}
    assert all(cv2.imread(str(file), cv2.IMREAD_UNCHANGED) is not None for file in found)
    assert not [file for file in (tmp_path / 'out').rglob('.*')], 'no part of a file is left'


def test_a_pipeline_with_the_loader_of_mmcv_reads_the_file(command, images, tmp_path):
    """MMCV's transform takes files alone, no arrays."""
    config = tmp_path / 'own.py'
    config.write_text(
        "_base_ = 'mmseg_unet.py'\n"
        "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]))\n"
    )
    shutil.copy(find_config('unet_cloud'), tmp_path / 'mmseg_unet.py')
    shutil.copytree(find_config('unet_cloud').parent / '_base_', tmp_path / '_base_')
    options = ['--model', config, '--weights', 'none', '--out', tmp_path / 'out']
    done = command('predict', images / '0.png', *options)
    assert done.code == 0, done.err


def test_settings_override_a_config(command, images, tmp_path):
    options = ['--model', 'unet_cloud', '--weights', 'none', '--out', tmp_path / 'out']
    wrong = command('predict', images / '0.png', *options, '--cfg-options', 'model.type=NoSuchModel')
    assert wrong.code == 2 and 'NoSuchModel' in wrong.err
    bare = command('predict', images / '0.png', *options, '--cfg-options', 'model.type')
    assert bare.code == 2 and '--cfg-options model.type: expected key=value' in bare.err
    released = command('predict', images / '0.png', '--out', tmp_path / 'out', '--cfg-options', 'a=1')
    assert released.code == 2 and '--cfg-options are for configs: hyperclip-unet-cloud is' in released.err


def test_what_cameras_write_is_read_and_what_is_made_of_it_left_out(command, tmp_path):
    """A Bayer FITS and a DNG of one scene, beside their JPEG: alike in the record, with time and place of their own."""
    folder, out, light = tmp_path / 'camera', tmp_path / 'out', np.full((64, 80, 3), (12000, 20000, 45000), np.uint16)
    light[:30] = 40000
    light = (light * np.linspace(0.6, 1, 80)[:, None]).astype(np.uint16)  # no sky is even
    light[:2, :2] = 0
    (folder / 'thumbnails').mkdir(parents=True)
    (folder / 'thumbnails' / 'a.jpg').write_bytes(b'x')
    (folder / 'a.fits').write_bytes(fits_bytes(mosaic(light), BAYERPAT='RGGB', DATE_OBS='2024-07-17T11:30:00'))
    exif = [(36867, ASCII, '2024:07:17 11:31:00')]
    (folder / 'b.dng').write_bytes(dng_bytes(mosaic(light), exif=exif))
    (folder / 'c.png').write_bytes((folder / 'a.fits').read_bytes())
    (tmp_path / 'camera.yaml').write_text(
        'center: [39.5, 31.5]\nradius: 30\nlatitude: 59.9\nlongitude: 10.7\nbit_depth: 16\nwhite_balance: [1, 1]\n'
    )
    options = ['--camera', tmp_path / 'camera.yaml', '-p', 'clear sky, cloud', '--out', out, '--json']
    done = command('predict', folder, *options)
    assert done.code == 1 and '2 of 3 images written' in done.err
    assert "1 image is left out by default (1 by thumbnail*); --include 'thumbnail*' takes it" in done.err
    first, second, refused = [json.loads(line) for line in done.out.splitlines()]
    assert 'c.png is a FITS image by its content, and its name is that of a picture: rename it' in refused['error']
    assert (first['time'], first['time_source']) == ('2024-07-17T11:30:00+00:00', 'DATE-OBS')
    assert (second['time'], second['time_source']) == ('2024-07-17T11:31:00+00:00', 'DateTimeOriginal')
    assert first['sun']['phase'] == 'day' and first['cloud']['fraction'] == pytest.approx(
        second['cloud']['fraction'], abs=0.02
    )
    done = command('predict', folder / 'thumbnails' / 'a.jpg', folder, '--exclude', '*.png', '--out', out, '--json')
    names = [Path(json.loads(line)['image']).name for line in done.out.splitlines()]
    assert names == ['a.jpg', 'a.fits', 'b.dng']


def test_no_message_has_an_address_in_memory(command, tmp_path):
    """Every kind of file that is no image, cut or damaged, by predict and by watch."""
    contents = {
        'noise.jpg': b'no image',
        'empty.png': b'',
        'cut.jpg': cv2.imencode('.jpg', np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:300],
        'cut.tif': cv2.imencode('.tif', np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:200],
        'cut.webp': cv2.imencode('.webp', np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:30],
        'cut.fits': fits_bytes(np.zeros((64, 64), np.uint16))[:4000],
        'cut.fits.gz': gzip.compress(fits_bytes(np.zeros((64, 64), np.uint16)))[:50],
        'cut.fits.fz': fits_bytes(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), compressed=True)[:6000],
        'cut.dng': dng_bytes(np.zeros((64, 64), np.uint16))[:3000],
        'noise.cr3': b'\0\0\0\x18ftypcrx isom',
    }
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for arguments in (['predict', folder], ['watch', folder, '--once', '--settle', 0, '--interval', 0.05]):
        done = command(*arguments, '--out', tmp_path / arguments[0], '--json', '-p', 'clear sky, cloud')
        errors = [json.loads(line)['error'] for line in done.out.splitlines()]
        assert len(errors) == len(contents) and all('is not a readable' in error for error in errors)
        assert ' at 0x' not in done.out + done.err and ' object at' not in done.out + done.err


def test_a_missing_package_is_named_and_other_images_go_on(command, images, tmp_path, monkeypatch):
    (images / 'a.fits').write_bytes(fits_bytes(np.zeros((64, 64), np.uint16)))
    (images / 'b.dng').write_bytes(dng_bytes(np.zeros((64, 64), np.uint16)))
    for package in ('astropy.io', 'rawpy'):
        monkeypatch.setitem(sys.modules, package, None)
    done = command('predict', images, '--out', tmp_path / 'out', '-p', 'clear sky, cloud')
    assert done.code == 1 and '3 of 6 images written' in done.err
    assert "a.fits: FITS images need astropy: pip install 'hyperbolic-seg[app]'" in done.err
    assert "b.dng: raw photographs need rawpy: pip install 'hyperbolic-seg[app]'" in done.err
    options = ['--once', '--settle', 0, '--interval', 0.05, '--exclude', '*.png', '--exclude', '*.jpg']
    done = command('watch', images, '--out', tmp_path / 'watched', *options)
    assert done.code == 1 and 'a.fits: refused: will be tried again' in done.err
    assert not (tmp_path / 'watched' / 'journal.jsonl').read_bytes(), 'they are read when the package is there'
