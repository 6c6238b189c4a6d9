"""Time series of days, made while a journal grows and processes are killed."""

import csv
import json
import multiprocessing
import os
import signal
import threading
import time
from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest
import xarray

from hyperbolic_seg.app.outputs.base import Output
from hyperbolic_seg.app.outputs.daily import DailySeries
from hyperbolic_seg.app.watching import Journal
from hyperbolic_seg.sky.camera import SkyCamera

CAMERA = SkyCamera(center=(32.0, 32.0), radius=30.0, latitude=59.94, longitude=10.72, station='Blindern')
PALETTE = {'clear sky': (60, 120, 220), 'cloud': (240, 240, 240)}
NEVER = 3600.0
EVENING = datetime(2026, 11, 27, 23, 30, tzinfo=timezone.utc)
needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')


def image(out, number, *, names=('clear sky', 'cloud'), name=None, cloudy=True, seconds=600, **others):
    """Write labels; return a record of an image taken some seconds after the one before."""
    name = name or f'{number}.jpg'
    file = out / 'labels' / f'{name}.png'
    file.parent.mkdir(parents=True, exist_ok=True)
    labels = np.full((64, 64), int(cloudy), np.uint8)
    assert cv2.imwrite(str(file), labels)
    each = dict(fraction=0.5, low=0.25, high=0.75, oktas=4)
    taken = dict(image=f'/camera/{name}', time=(EVENING + timedelta(seconds=seconds * number)).isoformat(), sun=None)
    covers = dict(cloud=each, cover=dict.fromkeys(names, each), fractions=dict.fromkeys(names, 0.5))
    record = taken | covers | dict(files=dict(labels=str(file)), quality='ok', quality_reasons=[])
    return name, [number, 1], record | others


def rows(out, day):
    with (out / 'series' / f'{day}.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def images_of(out, day):
    return [row['image'].rpartition('/')[2] for row in rows(out, day)]


def columns(out, day):
    lines = (out / 'series' / f'{day}-meridian.jsonl').read_text().splitlines()
    return {line['name']: line['south_to_north'] for line in map(json.loads, lines)}


def day_after(out, count, *, begin=0, camera=CAMERA):
    """Hand images to the series, and close it."""
    with Journal(out) as journal:
        series: Output = DailySeries(journal, camera, palette=PALETTE, every=NEVER)
        for number in range(begin, begin + count):
            series.add(journal.add(*image(out, number)))
        series.close()


def test_each_day_in_utc_has_its_files(tmp_path):
    day_after(tmp_path, 5)
    made = sorted(path.name for path in (tmp_path / 'series').iterdir() if path.name[0] != '.')
    endings = ('-keogram.png', '-meridian.jsonl', '.csv', '.csv-metadata.json', '.nc', '.png')
    assert made == [f'2026-11-{day}{ending}' for day in (27, 28) for ending in endings]
    assert images_of(tmp_path, '2026-11-27') == ['0.jpg', '1.jpg', '2.jpg']
    assert images_of(tmp_path, '2026-11-28') == ['3.jpg', '4.jpg']
    with xarray.open_dataset(tmp_path / 'series' / '2026-11-28.nc') as found:
        assert found.image.values.tolist() == ['/camera/3.jpg', '/camera/4.jpg'] and found.cloud.values[1] == 0.5
        assert found.station.item() == 'Blindern'
    assert columns(tmp_path, '2026-11-28')['3.jpg'] == [['cloud', 161]]
    for ending in ('.png', '-keogram.png'):
        assert cv2.imread(str(tmp_path / 'series' / f'2026-11-27{ending}')).std() > 5


def test_lines_of_version_0_1_are_taken(tmp_path):
    lines = []
    for number in range(2):
        name, version, record = image(tmp_path, number)
        lines.append(json.dumps(record | dict(picture=name, version=version)))
    (tmp_path / 'journal.jsonl').write_text('\n'.join(lines) + '\n')
    day_after(tmp_path, 1, begin=2)
    assert images_of(tmp_path, '2026-11-27') == ['0.jpg', '1.jpg', '2.jpg']
    assert sorted(columns(tmp_path, '2026-11-27')) == ['0.jpg', '1.jpg', '2.jpg']
    assert (tmp_path / 'series' / '2026-11-27.nc').exists()


def test_a_row_is_there_after_each_image_and_no_line_twice(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        for number in range(3):
            series.add(journal.add(*image(tmp_path, number)))
            assert images_of(tmp_path, '2026-11-27') == [f'{n}.jpg' for n in range(number + 1)]
        series.add(dict(name='x.jpg', error='will be tried again: the share is lost'))
        series.add(dict(name='y.jpg', skipped='a FIFO'))
        series.add(journal.add('broken.jpg', [1, 1], dict(image='broken.jpg', error='no image')))
        series.add(journal.add(*image(tmp_path, 9, name='untimed.jpg', time=None)))
        series.add(journal.add(*image(tmp_path, 1.5, name='late.jpg', names=('clear sky', 'fog'))))
        assert images_of(tmp_path, '2026-11-27') == ['0.jpg', '1.jpg', 'late.jpg', '2.jpg'], 'a class has come'
        series.close()
    assert [row['fog oktas'] for row in rows(tmp_path, '2026-11-27')] == ['', '', '4', '']
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'series').iterdir()}
    day_after(tmp_path, 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'series').iterdir()} == before, 'nothing is new'


def test_a_refused_image_has_a_row_and_no_column(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        series.add(journal.add(*image(tmp_path, 0)))
        name, version, record = image(tmp_path, 1, cloud=None, cover={}, quality='refused', quality_reasons=['fog'])
        del record['files'], record['fractions']
        series.add(journal.add(name, version, record))
        series.close()
    first, second = rows(tmp_path, '2026-11-27')
    assert second['quality'] == 'refused' and second['all cloud fraction'] == '' and first['quality'] == 'ok'
    assert list(columns(tmp_path, '2026-11-27')) == ['0.jpg']


def test_a_camera_that_writes_under_one_name_keeps_its_columns(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        for number in (0, 1):
            series.add(journal.add(*image(tmp_path, number, name='latest.jpg', cloudy=number == 0)))
        series.close()
    lines = (tmp_path / 'series' / '2026-11-27-meridian.jsonl').read_text().splitlines()
    assert [json.loads(line)['south_to_north'][0][0] for line in lines] == ['cloud', 'clear sky']
    assert len(rows(tmp_path, '2026-11-27')) == 2


def run(out, begin, done):
    with Journal(out) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=0.01)
        for number in range(begin, begin + 200):
            line = journal.add(*image(out, number, seconds=1))
            done.value += 1
            series.add(line)


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='this system has no fork')
def test_killed_processes_lose_nothing_and_write_nothing_twice(tmp_path):
    """Killed at any moment; the last one is killed by nobody."""
    fork, random, begin = multiprocessing.get_context('fork'), np.random.default_rng(0), 0
    for _ in range(6):
        done = fork.Value('i', 0)
        process = fork.Process(target=run, args=(tmp_path, begin, done))
        process.start()
        wanted = int(random.integers(1, 12))
        while done.value < wanted and process.is_alive():
            time.sleep(0.002)
        time.sleep(float(random.uniform(0, 0.02)))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        begin += 200
    day_after(tmp_path, 0)
    found = [json.loads(line) for line in (tmp_path / 'journal.jsonl').read_text().splitlines()]
    assert len(found) >= 6
    for day in {line['time'][:10] for line in found}:
        names = [line['name'] for line in found if line['time'].startswith(day)]
        assert sorted(images_of(tmp_path, day)) == sorted(names)
        assert set(columns(tmp_path, day)) == set(names)


def test_a_table_that_lacks_the_end_is_written_again(tmp_path):
    day_after(tmp_path, 2)
    table = tmp_path / 'series' / '2026-11-27.csv'
    with Journal(tmp_path) as journal:
        journal.add(*image(tmp_path, 2))
    table.write_bytes(table.read_bytes()[:-20])
    day_after(tmp_path, 0)
    assert images_of(tmp_path, '2026-11-27') == ['0.jpg', '1.jpg', '2.jpg']
    assert list(columns(tmp_path, '2026-11-27')) == ['0.jpg', '1.jpg', '2.jpg']


def test_the_files_are_written_again_after_a_while(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=0.05)
        series.add(journal.add(*image(tmp_path, 0)))
        end = time.monotonic() + 60
        while not (tmp_path / 'series' / '2026-11-27-keogram.png').exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert (tmp_path / 'series' / '2026-11-27.nc').exists(), 'though no image has come since'
        series.close()
    assert not [thread for thread in threading.enumerate() if thread.daemon and 'write' in thread.name]


def test_memory_does_not_grow_with_images(tmp_path):
    import tracemalloc

    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        series.add(journal.add(*image(tmp_path, 0)))
        own = [tracemalloc.Filter(True, '*outputs*')]
        tracemalloc.start()
        for number in range(1, 200):
            series.add(journal.add(*image(tmp_path, number, name=f'{number % 7}.jpg', seconds=1)))
            if number == 50:
                before = sum(
                    each.size for each in tracemalloc.take_snapshot().filter_traces(own).statistics('filename')
                )
        after = sum(each.size for each in tracemalloc.take_snapshot().filter_traces(own).statistics('filename'))
        tracemalloc.stop()
        series.close()
    assert after - before < 150 * 24, 'less than the smallest object for each'


def test_what_fails_is_said_and_the_rest_is_written(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        series.add(journal.add(*image(tmp_path, 0)))
        series.add(journal.add(*image(tmp_path, 0, name='twin.jpg')))
        with pytest.raises(ValueError, match=r'0.jpg and /camera/twin.jpg have the same time'):
            series.close()
    assert len(rows(tmp_path, '2026-11-27')) == 2 and (tmp_path / 'series' / '2026-11-27-keogram.png').exists()
    day_after(tmp_path, 0)  # says it no more


def test_a_camera_without_a_dome_has_all_but_the_keogram(tmp_path):
    with Journal(tmp_path) as journal:
        series = DailySeries(journal, SkyCamera(), palette=PALETTE, every=NEVER)
        assert 'no keogram is drawn: a keogram needs center and radius' in series.note
        series.add(journal.add(*image(tmp_path, 0)))
        series.close()
    assert {path.suffix for path in (tmp_path / 'series').iterdir()} == {'.csv', '.json', '.nc', '.png'}


@needs_links
@pytest.mark.parametrize('name', ['', '2026-11-27.csv', '2026-11-27.nc', '2026-11-27-meridian.jsonl'])
def test_nothing_is_written_through_a_link(tmp_path, name):
    out, outside = tmp_path / 'out', tmp_path / 'outside'
    outside.mkdir()
    (out / 'series' if name else out).mkdir(parents=True)
    (out / 'series' / name).symlink_to(outside / name if name else outside)
    with Journal(out) as journal, pytest.raises(OSError, match='is a link, and results are written through none'):
        series = DailySeries(journal, CAMERA, palette=PALETTE, every=NEVER)
        try:
            series.add(journal.add(*image(out, 0)))
        finally:
            series.close()
    assert not list(outside.iterdir())
