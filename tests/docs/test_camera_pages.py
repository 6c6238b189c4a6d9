"""Pages for owners of sky cameras: the tests that they name exist, and their examples run."""

import ast
import re

import pytest

from hyperbolic_seg.sky.camera.series import Series

OWN = ('tests/sky/camera/**/test_*.py', 'tests/app/outputs/test_*.py', 'tests/images/test_*.py')


def functions(path):
    return {node.name for node in ast.parse(path.read_text(encoding='utf-8')).body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def named(repository):
    """The tests that the table names: pairs of a file and a function."""
    text = (repository / 'docs' / 'sky_camera_tests.md').read_text(encoding='utf-8')
    return re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', text)


def test_every_test_that_is_named_exists(repository, named):
    existing = {file: functions(repository / file) for file, _ in named}
    missing = [f'{file}::{name}' for file, name in named if name not in existing[file]]
    assert named and not missing


def test_every_row_names_a_test(repository):
    rows = (repository / 'docs' / 'sky_camera_tests.md').read_text(encoding='utf-8').splitlines()
    rows = [row for row in rows if row.startswith('| ') and not row.startswith('| **')]
    assert len(rows) > 1 and all('::test_' in row for row in rows[1:])


def test_no_test_file_of_sky_cameras_is_left_out(repository, named):
    files = {path.relative_to(repository).as_posix() for pattern in OWN for path in repository.glob(pattern)}
    assert files and not files - {file for file, _ in named}


def test_the_snippet_of_the_forecaster_runs_on_a_series(repository, tmp_path, monkeypatch, capsys):
    page = (repository / 'docs' / 'solar_forecaster.md').read_text(encoding='utf-8')
    [snippet] = re.findall(r'```python\n(.*?)```', page, re.S)
    Series([record(0, 0.25, 'ok'), record(1, 0.5, 'doubtful'), record(2, 0.75, 'ok')]).write_netcdf(tmp_path / 'day.nc')
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, 'solar_forecaster.md', 'exec'), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['region_cloud', 'region_cloud_low', 'region_cloud_high']
    rows = [line.split()[-3:] for line in lines[2:]]
    assert rows == [['0.25', '0.15', '0.35'], ['NaN'] * 3, ['0.75', '0.65', '0.85']]


def record(hour, fraction, quality):
    """Return a record whose region ``near sun`` has a cover, and whose whole sky has another."""
    near = dict(fraction=fraction, low=fraction - 0.1, high=fraction + 0.1, oktas=4)
    whole = dict(fraction=0.9, low=0.9, high=0.9, oktas=7)
    return dict(
        image=f'{hour}.png',
        time=f'2024-06-20T{hour:02}:00:00+00:00',
        sun=dict(elevation=30.0, azimuth=90.0, phase='day'),
        moon=None,
        place=dict(latitude=59.94, longitude=10.72, altitude=0.0),
        cloud=whole,
        cover={'cloud': whole},
        regions={'near sun': near, 'zenith': whole},
        quality=quality,
        quality_reasons=[],
    )
