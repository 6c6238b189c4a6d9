"""The command that writes images to a folder, end to end."""

import csv
import importlib.util
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import render_sky

ROOT = Path(__file__).parents[3]
TOOL = ROOT / 'tools' / 'make_sky.py'


@pytest.fixture(scope='module')
def make_sky():
    spec = importlib.util.spec_from_file_location('make_sky', TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(make_sky, tmp_path):
    out = tmp_path / 'sky'
    assert make_sky.main([str(out), '--num-images', '10', '--size', '48', '64', '--seed', '5']) == 0
    return out


def read_rows(out):
    with (out / 'scenes.csv').open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def test_files_hold_what_the_renderer_gives_for_their_seeds(make_sky, made):
    names = sorted(path.name for path in made.iterdir())
    assert names == ['attributes', 'images', 'masks', 'parameters.json', 'scenes.csv', 'splits']
    rows = read_rows(made)
    assert [row['stem'] for row in rows] == [f'{i:06d}' for i in range(10)]
    for row in rows:
        rendered = render_sky(int(row['seed']), (48, 64))
        image = make_sky.read_png(made / 'images' / f'{row["stem"]}.png')
        mask, attributes = (make_sky.read_png(made / name / f'{row["stem"]}.png') for name in ('masks', 'attributes'))
        np.testing.assert_array_equal(image, rendered.image)
        np.testing.assert_array_equal(mask, rendered.labels)
        np.testing.assert_array_equal(attributes, rendered.attributes)
        assert row['camera'] == rendered.scene.camera.kind
        assert 0 <= float(row['cloud_fraction']) <= 1
    assert int(rows[0]['seed']) == 5


def test_splits_are_a_partition(made):
    train = (made / 'splits' / 'train.txt').read_text().split()
    val = (made / 'splits' / 'val.txt').read_text().split()
    assert len(val) == 2
    assert sorted(train + val) == [f'{i:06d}' for i in range(10)]


def test_resume_makes_only_what_is_missing(make_sky, made):
    rows = read_rows(made)
    kept, lost = made / 'images' / '000001.png', made / 'masks' / '000003.png'
    kept.write_bytes(kept.read_bytes() + b'mark')
    lost.unlink()
    arguments = [str(made), '--num-images', '12', '--size', '48', '64', '--seed', '5']
    assert make_sky.main(arguments) == 0
    assert kept.read_bytes().endswith(b'mark')
    assert lost.exists()
    assert read_rows(made)[:10] == rows
    assert len(read_rows(made)) == 12
    assert not list(made.rglob('*.tmp'))


def test_other_parameters_are_refused_unless_told_to_overwrite(make_sky, made, capsys):
    arguments = [str(made), '--num-images', '3', '--size', '40', '--seed', '5']
    before = (made / 'images' / '000000.png').read_bytes()
    assert make_sky.main(arguments) == 2
    error = capsys.readouterr().err
    assert 'size: [48, 64] there, [40, 40] now' in error
    assert 'another folder, or --overwrite' in error
    assert (made / 'images' / '000000.png').read_bytes() == before
    assert make_sky.main([*arguments, '--overwrite']) == 0
    assert make_sky.read_png(made / 'images' / '000000.png').shape == (40, 40, 3)
    assert len(list((made / 'images').iterdir())) == 3
    assert json.loads((made / 'parameters.json').read_text())['size'] == [40, 40]


def test_restrictions_summary_and_contact_sheet(make_sky, tmp_path, capsys):
    out, sheet = tmp_path / 'sky', tmp_path / 'overview' / 'sheet.png'
    arguments = [str(out), '--num-images', '4', '--size', '32', '--camera', 'fisheye']
    arguments += ['--time', 'night', '--genera', 'cirrus', 'cumulus', '--contact-sheet', str(sheet)]
    assert make_sky.main(arguments) == 0
    for row in read_rows(out):
        assert (row['camera'], row['time'], row['genera']) == ('fisheye', 'night', 'cirrus+cumulus')
    assert 'cumulus         4' in capsys.readouterr().out
    assert make_sky.read_png(sheet).shape == (64, 8 * 32, 3)


def test_no_genera_gives_clear_skies(make_sky, tmp_path):
    assert make_sky.main([str(tmp_path), '--num-images', '2', '--size', '32', '--genera']) == 0
    assert [row['genera'] for row in read_rows(tmp_path)] == ['', '']
    assert [float(row['cloud_fraction']) for row in read_rows(tmp_path)] == [0, 0]


def test_bad_arguments_are_named(make_sky, tmp_path, capsys):
    assert make_sky.main([str(tmp_path), '--genera', 'nimbus']) == 2
    assert "got 'nimbus'" in capsys.readouterr().err
    assert make_sky.main([str(tmp_path / 'small'), '--size', '8']) == 2
    assert 'size must be' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make_sky.main([str(tmp_path), '--val-fraction', '1.5'])


def test_workers_make_the_same_images(made, tmp_path, monkeypatch):
    out = tmp_path / 'parallel'
    arguments = ['--num-images', '10', '--size', '48', '64', '--seed', '5', '--workers', '2']
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(out), *arguments])
    with pytest.raises(SystemExit) as left:  # as the main module, which workers look for
        runpy.run_path(str(TOOL), run_name='__main__')
    assert left.value.code == 0
    assert (out / 'scenes.csv').read_bytes() == (made / 'scenes.csv').read_bytes()
    for image in (made / 'images').iterdir():
        assert (out / 'images' / image.name).read_bytes() == image.read_bytes()
