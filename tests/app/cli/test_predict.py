"""hyperbolic-seg predict."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hyperbolic_seg.app.cli import doctor
from hyperbolic_seg.app.cli.app import app
from hyperbolic_seg.app.cli.console import fail, plain, quiet, tell


def test_a_line_of_json_for_every_picture(command, pictures, tmp_path):
    out = tmp_path / 'out'
    options = ['--prompts', 'clear sky, cumulus; fair-weather cloud', '-p', 'cirrus', '--out', out, '--json']
    done = command('predict', pictures, tmp_path / 'lost.png', *options)
    assert done.code == 1 and '3 of 5 pictures written' in done.err
    records = [json.loads(line) for line in done.out.splitlines()]
    refused = {Path(record['image']).name: record['error'] for record in records if 'error' in record}
    assert set(refused) == {'broken.jpg', 'lost.png'} and all(name in why for name, why in refused.items())
    for record in records:
        if 'error' in record:
            continue
        assert list(record['fractions']) == ['clear sky', 'cumulus', 'cirrus']
        assert sum(record['fractions'].values()) == pytest.approx(1)
        assert 1 / 3 <= record['mean_confidence'] <= 1 and record['mean_radius'] > 0
        labels = cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED)
        assert labels.shape == (record['height'], record['width'])
        shares = [(labels == label).mean() for label in range(3)]
        assert shares == pytest.approx(list(record['fractions'].values()))
        assert Path(record['files']['overlays']).is_file()
    assert len(list(csv.DictReader((out / 'summary.csv').open()))) == 5


def test_a_table_for_people_and_nodes_with_a_threshold(command, pictures, tmp_path):
    video = ['--video', tmp_path / 'day.mp4', '--fps', 2]
    done = command('predict', pictures / '*.png', '--threshold', 0.6, '--out', tmp_path / 'out', *video)
    assert done.code == 0 and '3 of 3 pictures written' in done.err and '3 frames written' in done.err
    assert (tmp_path / 'day.mp4').stat().st_size
    assert '0.png' in done.out and '%' in done.out
    assert len(list((tmp_path / 'out' / 'nodes').iterdir())) == 3


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere/*.jpg'], 'nothing matches nowhere/*.jpg'),
        (['PICTURE', '--prompts', 'cloud'], 'at least two prompts'),
        (['PICTURE', '--prompts', 'cloud, '], 'an empty prompt'),
        (['PICTURE', '--prompts', 'a, b', '--vocabulary', 'sky'], 'give one'),
        (['PICTURE', '--model', 'hyperclip-unet-clouds'], 'neither a file nor a model'),
        (['PICTURE', '--model', 'unet_cloud.py'], 'give its checkpoint by --weights'),
        (['PICTURE', '--model', 'unet_clouds.py', '--weights', 'x.pth'], 'Those are like unet_cloud'),
        (['PICTURE', '--threshold', '0.4'], 'expected more than 0.5'),
        (['PICTURE', '--vocabulary', 'no_such'], 'no vocabulary file'),
        (['PICTURE', '--video', 'day.gif'], 'day.gif: expected a suffix of .mp4'),
        (['PICTURE', '--fps', '0'], 'greater than or equal to 0.1'),
    ],
)
def test_what_is_wrong_is_named_before_any_picture(command, pictures, tmp_path, arguments, message):
    arguments = [str(pictures / '0.png') if argument == 'PICTURE' else argument for argument in arguments]
    done = command('predict', *arguments, '--out', tmp_path / 'out')
    assert done.code == 2 and message in done.err, done.err
    assert not done.out and not (tmp_path / 'out').exists()


def test_nothing_done_is_2(command, pictures, tmp_path):
    done = command('predict', pictures / 'broken.jpg', '--out', tmp_path / 'out')
    assert done.code == 2 and 'broken.jpg is not a readable image' in done.err


def test_standard_output_holds_json_alone(pictures, tmp_path):
    """As a shell runs it, with all that libraries print when they are imported."""
    installed = Path(sys.executable).with_name('hyperbolic-seg')
    arguments = ['predict', pictures / '0.png', '--out', tmp_path / 'out', '--json']
    done = subprocess.run(list(map(str, [installed, *arguments])), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)['width'] == 80


def test_what_an_observer_would_say_and_a_series(command, tmp_path):
    for seed, hour in ((3, '0830'), (4, '1130')):
        dome = np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 44
        image = np.where(dome[..., None], np.random.default_rng(seed).integers(120, 220, (96, 96, 3)), 3)
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


def test_its_own_results_are_no_pictures(command, pictures):
    for _ in range(2):
        done = command('predict', pictures, '--out', pictures / 'predictions', '--prompts', 'clear sky, cloud')
        assert done.code == 1 and '3 of 4 pictures written' in done.err


def test_what_cannot_be_made_of_all_pictures_undoes_nothing(command, pictures, tmp_path):
    """Names without times make no series; masks and the video are there all the same."""
    camera = tmp_path / 'camera.yaml'
    camera.write_text('center: [32, 32]\nradius: 30\ntime_format: "%Y%m%d"\n')
    wanted = ['--series', tmp_path / 'day.csv', '--video', tmp_path / 'day.mp4']
    done = command('predict', pictures / '2.png', '--camera', camera, '--out', tmp_path / 'out', *wanted)
    assert done.code == 1 and 'no picture says when it was taken' in done.err, done.err
    assert '1 of 1 pictures written' in done.err and (tmp_path / 'day.mp4').is_file()


def test_names_are_shown_as_they_are(command, pictures, tmp_path):
    odd = (pictures / '0.png').rename(pictures / 'sky[bold]north[x].png')
    done = command('predict', odd, '--prompts', 'clear sky, [/x] cloud', '--out', tmp_path / 'out')
    assert done.code == 0 and 'sky[bold]north[x].png' in done.out


def test_a_config_that_needs_no_training(command, pictures, tmp_path):
    refused = command('predict', pictures / '0.png', '--model', 'unet_cloud', '--out', tmp_path / 'out')
    assert refused.code == 2 and 'give its checkpoint by --weights, or --weights none' in refused.err
    options = ['--model', 'unet_cloud', '--weights', 'none', '--out', tmp_path / 'out']
    assert command('predict', pictures / '0.png', *options).code == 0


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
def test_no_name_speaks_to_the_terminal(pictures, tmp_path, options):
    odd = ['a\x1b[31m.png', 'b\nerror: all is lost.png', 'c\r\u202egnp.png', '=1+1\x07.png', ':smile:.png']
    for name in odd:
        shutil.copy(pictures / '0.png', pictures / name)
    (pictures / 'd\x9b31m\nerror: no.jpg').write_bytes(b'no picture')
    out, prompts = tmp_path / 'o\x1b[31m\nerror: ut', 'clear sky, cl\x1b[1moud'
    done = as_a_shell_sees_it('predict', pictures, '--out', out, '--prompts', prompts, *options)
    assert done.exit_code == 1 and r'd\x9b31m\nerror: no.jpg: ' in done.stderr, done.stderr
    assert not [line for line in done.stderr.splitlines() if line.lstrip().startswith('error')]
    if options:
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert {str(pictures / name) for name in odd} < {record['image'] for record in records}, 'as they are'
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
def test_no_error_speaks_to_the_terminal(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    done = as_a_shell_sees_it(*arguments)
    told = done.stderr.splitlines()
    assert done.exit_code == 2 and r'\x1b[31m' in done.stderr
    assert [line.startswith('error') for line in told].count(True) == 1, 'no other line passes for an error'


def test_no_vocabulary_speaks_to_the_terminal(tmp_path):
    file = tmp_path / 'v\x1b[31m.yaml'
    concept = r'{name: "a\e[31m\n[bold]", synonyms: ["s\a", ":smile:"], abbreviation: "A\u202e", color: [9, 9, 9]}'
    file.write_text(f'concepts: [{concept}, {{name: "b"}}]')
    done = as_a_shell_sees_it('vocab', file)
    assert done.exit_code == 0, done.stderr
    assert r'● 0 a\x1b[31m\n[bold] (A\u202e)' in done.stdout and r's\x07; :smile:' in done.stdout
    assert r'v\x1b[31m' in done.stdout and r'v\x1b[31m.yaml is valid' in done.stderr
    assert json.loads(as_a_shell_sees_it('vocab', file, '--json').stdout)[0]['name'] == 'a\x1b[31m\n[bold]'


def test_no_finding_of_doctor_speaks_to_the_terminal(monkeypatch):
    found = [doctor.Finding('[x]\x1b[31m', 'one\ntwo\x07', 'wrong', "pip install 'a[b]'\x9b")]
    monkeypatch.setattr(doctor, 'examine', lambda: iter(found))
    done = as_a_shell_sees_it('doctor')
    assert done.exit_code == 1 and r'[x]\x1b[31m' in done.stdout and r"'a[b]'\x9b" in done.stdout
    assert ' one ' in done.stdout and r' two\x07 ' in done.stdout, 'lines stay lines'


def test_lines_of_a_message_stay_lines_and_belong_to_it(capsys):
    tell('one\nerror: two\r\n[bold]three[/] :smile:')
    assert capsys.readouterr().err == 'one\n  error: two\\r\n  [bold]three[/] :smile:\n'
    with pytest.raises(typer.Exit):
        fail(ValueError('a\x1b\nb'))
    assert capsys.readouterr().err == 'error: a\\x1b\n  b\n'


def test_what_libraries_print_does_not_speak_to_the_terminal(capsys):
    with quiet():
        print('loads', 'a\x1b[31m\x07\tb')
    assert capsys.readouterr() == ('', 'loads a\\x1b[31m\\x07\tb\n')


def test_the_terminals_own_colours_are_all_that_it_obeys(capsys):
    """Where somebody watches, styles are control characters, and those of a name are still text."""
    Console(force_terminal=True, color_system='standard').print(plain('a\x1b[32m', 'red'))
    assert capsys.readouterr().out == '\x1b[31ma\\x1b[32m\x1b[0m\n'


@pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
def test_a_table_that_is_a_link_is_refused_before_any_picture(command, pictures, tmp_path):
    out, mine = tmp_path / 'out', tmp_path / 'mine'
    out.mkdir()
    mine.write_bytes(b'mine')
    (out / 'summary.csv').symlink_to(mine)
    done = command('predict', pictures, '--out', out)
    assert done.code == 2 and 'summary.csv is a link, and results are written through none: remove it' in done.err
    assert mine.read_bytes() == b'mine' and not (out / 'labels').exists()


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_a_fifo_is_refused_by_name_and_not_waited_for(command, pictures, tmp_path):
    os.mkfifo(pictures / 'fifo.jpg')
    done = command('predict', pictures, '--out', tmp_path / 'out', '--prompts', 'clear sky, cloud')
    assert done.code == 1 and '3 of 5 pictures written' in done.err and 'fifo.jpg is a FIFO' in done.err
