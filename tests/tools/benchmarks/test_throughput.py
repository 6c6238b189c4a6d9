"""Whole commands that the benchmark of throughput runs, and how it tells what it measured."""

import math
import sys
from pathlib import Path

import cv2
import pytest
import torch

from hyperbolic_seg.sky.renderer import render_sky


@pytest.fixture
def throughput(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in [name for name in sys.modules if name.partition('.')[0] in ('throughput', 'whole_commands')]:
        sys.modules.pop(name)
    import throughput

    return throughput


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    files = [folder / f'{seed}.png' for seed in range(2)]
    for seed, file in enumerate(files):
        cv2.imwrite(str(file), render_sky(seed, 96).image[:, : 96 - 16 * seed])
    return [str(file) for file in files]


@pytest.mark.parametrize('arguments', [['--pictures', '0'], ['--rounds', '0'], ['--processes', '1', '0']])
def test_arguments_are_checked(throughput, monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, 'argv', ['throughput.py', *arguments])
    with pytest.raises(SystemExit):
        throughput.parse_args()
    assert 'expected at least one picture, one round and one process' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['predict', 'MMSegInferencer'])
def test_a_command_writes_labels_and_an_overlay_of_each_picture(throughput, one_thread, pictures, tmp_path, name):
    from whole_commands.measures import loaded, take_turns

    runner = loaded(name, 'hyperclip-unet-cloud', pictures[0])
    runner.run_whole(pictures, tmp_path)
    for folder in ('labels', 'overlays'):
        found = sorted(file for file in (tmp_path / folder).rglob('*') if file.suffix in ('.png', '.jpg'))
        assert len(found) == 2
        sizes = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED).shape[:2] for file in found]
        assert folder == 'overlays' or sizes == [(96, 96), (96, 80)]
    encoder = runner.inferencer.model.backbone
    assert type(encoder).__name__ == 'TimmUNet' and sum(each.numel() for each in encoder.parameters()) > 3e6
    turns = take_turns(name, 'hyperclip-unet-cloud', pictures[:1], pictures[0], rounds=2)
    assert {kind: len(seconds) for kind, seconds in turns.items()} == dict(whole=2, model=2)


def test_a_picture_that_is_not_predicted_stops_the_command(throughput, one_thread, pictures, tmp_path):
    from whole_commands.runners import Predict

    (tmp_path / 'bad.jpg').write_bytes(b'no picture')
    with pytest.raises(RuntimeError, match='bad.jpg was not predicted'):
        Predict('hyperclip-unet-cloud').run_whole([str(tmp_path / 'bad.jpg')], tmp_path / 'out')


def test_every_stage_is_timed(throughput, one_thread, pictures):
    from whole_commands.measures import time_stages

    found = time_stages('hyperclip-unet-cloud', pictures, pictures[0], rounds=1)
    assert tuple(found) == throughput.STAGES and all(math.isfinite(seconds) for seconds in found.values())
    assert len(throughput.stage_cells(found)) == 1 + len(found)


def test_processes_that_fail_are_told(throughput):
    assert throughput.together(2, ['--rounds', '0']) is None and throughput.alone(['--rounds', '0']) is None
    assert throughput.rate_cells(None, 3) == ['failed', 'failed'] and throughput.turn_cells(None) == ['failed'] * 3
    assert set(throughput.stage_cells(None)) == {'failed'}


def test_cells_are_of_the_slowest_process_and_of_medians(throughput, capsys):
    ran = [dict(wall=2.0, cpu=1.9, peak=700.4), dict(wall=4.0, cpu=2.0, peak=812.6)]
    assert throughput.rate_cells(ran, 10) == ['5', '813'], '20 pictures in 4 seconds'
    turns = dict(whole=[0.15, 0.12, 0.13], model=[0.1, 0.1, 0.125])
    assert throughput.turn_cells(turns) == ['0.130', '0.100', '1.30 (1.04 to 1.50)']
    assert throughput.stage_cells(dict(decode=0.0021, forward=0.0459)) == ['48', '2.1', '45.9']
    throughput.print_table(['a', 'b'], [['1', '2'], ['3', '4']])
    assert capsys.readouterr().out == '| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n'


def test_copies_are_made_once_and_fewer_of_large_pictures(throughput, monkeypatch, tmp_path):
    for size in (0.25, 24):
        (tmp_path / f'{size:g}').mkdir()
        (tmp_path / f'{size:g}' / f'timed{throughput.STEM}').write_bytes(b'picture')
    small, large = (throughput.pictures_of(tmp_path, size, 32) for size in (0.25, 24))
    assert (len(small), len(large)) == (32, 4) and len(throughput.pictures_of(tmp_path, 24, 2)) == 2
    assert all(Path(file).read_bytes() == b'picture' for file in (*small, *large))
