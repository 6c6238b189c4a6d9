"""A watched folder in the REST interface, as the watcher writes it."""

import json
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hyperbolic_seg.app.watching import Journal
from hyperbolic_seg.app.web.journal_days import JournalDays
from hyperbolic_seg.app.web.watched import add_watched
from hyperbolic_seg.sky.camera import Cover, Observation, Place, Quality, View, as_record

COVER = Cover(0.6, 0.5, 0.75, 5)


def ago(**units):
    """Return a time before now."""
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(**units)


def record(time, *reasons, cover=COVER):
    """The record of an image, as the watcher writes it."""
    quality = Quality.of(*reasons)
    observation = None if quality.name == 'refused' else Observation({'cloud': cover}, cover)
    view = View(np.zeros((0, 0)), time, None, 'name', place=Place(59.123, 10.7))
    return dict(image='/srv/camera/a.jpg', width=8, height=8) | as_record(observation, view, quality)


def write(folder, *records):
    with Journal(folder) as journal:
        for each in records:
            name = f'{len(journal)}.jpg'
            journal.add(name, [8, int(ago(minutes=30).timestamp() * 1e9)], each)


@pytest.fixture
def client(tmp_path):
    app = FastAPI()
    add_watched(app, JournalDays(tmp_path))
    return TestClient(app, raise_server_exceptions=False)


def test_the_latest_image_and_its_age(client, tmp_path):
    empty = client.get('/api/watched').json()
    assert (empty['latest'], empty['age_seconds'], empty['days']) == (None, None, 0)
    write(tmp_path, record(ago(minutes=12)), record(ago(days=2)))
    answer = client.get('/api/watched').json()
    assert answer['latest']['name'] == '0.jpg', 'by its time, whatever came last'
    assert answer['latest']['cloud'] == COVER._asdict() and answer['latest']['quality'] == 'ok'
    assert 12 * 60 <= answer['age_seconds'] < 12 * 60 + 60 < answer['old_after_seconds']
    assert answer['age_from'] == 'time' and answer['days'] == 2 and answer['ahead'] == 0
    assert '/srv' not in str(answer) and '59.123' not in str(answer), 'no path, and no place'


def test_a_time_in_the_future_is_not_the_latest(client, tmp_path):
    write(tmp_path, *(record(ago(minutes=-minutes)) for minutes in (-5, 30, 60 * 24 * 40)))
    answer = client.get('/api/watched').json()
    assert answer['latest']['name'] == '0.jpg' and answer['ahead'] == 2


def test_an_image_that_could_not_be_read_is_named_without_its_path(client, tmp_path):
    error = '/srv/camera/a.jpg is not a readable image: it is empty'
    write(tmp_path, record(ago(hours=1)), dict(image='/srv/camera/a.jpg', error=error))
    answer = client.get('/api/watched').json()
    assert answer['error'] == '1.jpg is not a readable image: it is empty'
    assert answer['latest']['name'] == '0.jpg' and '/srv' not in str(answer)


def test_without_a_camera_the_age_is_that_of_the_file(client, tmp_path):
    write(tmp_path, dict(image='/srv/a.jpg', width=8, height=8, fractions=dict(cloud=1.0), quality='ok'))
    answer = client.get('/api/watched').json()
    assert answer['age_from'] == 'file' and answer['age_seconds'] == pytest.approx(30 * 60, abs=60)
    assert answer['latest']['fractions'] == dict(cloud=1.0) and answer['last_day'] is None


def test_a_day_with_gaps_and_doubts_and_the_days_beside_it(client, tmp_path):
    noon = datetime(2024, 6, 21, 12, tzinfo=timezone.utc)
    day = [record(noon), record(noon + timedelta(minutes=5), 'black'), record(noon + timedelta(minutes=10), 'blurred')]
    write(tmp_path, record(noon - timedelta(days=3)), *day, record(noon + timedelta(days=1)))
    answer = client.get('/api/watched/days/2024-06-21').json()
    assert (answer['previous'], answer['next'], answer['images']) == ('2024-06-18', '2024-06-22', 3)
    assert [point['quality'] for point in answer['points']] == ['ok', 'refused', 'doubtful']
    assert [point['cloud'] for point in answer['points']] == [COVER._asdict(), None, COVER._asdict()]
    assert answer['points'][1]['quality_reasons'] == ['black']
    assert [point['hour'] for point in answer['points']] == pytest.approx([12, 12 + 1 / 12, 12 + 1 / 6])
    ends = [client.get(f'/api/watched/days/2024-06-{day}').json() for day in (18, 22)]
    assert ends[0]['previous'] is None and ends[1]['next'] is None


def test_a_day_is_that_of_the_clock_of_the_camera(client, tmp_path):
    """At half past one in the night in Oslo it is another day in UTC."""
    write(tmp_path, record(datetime.fromisoformat('2024-06-21T01:30:00+02:00')))
    assert client.get('/api/watched/days/2024-06-21').json()['points'][0]['hour'] == 1.5
    assert client.get('/api/watched/days/2024-06-20').status_code == 404


def test_of_several_images_in_a_minute_the_last_stands(client, tmp_path):
    begin = datetime(2024, 6, 21, tzinfo=timezone.utc)
    covers = [Cover(n / 10, 0.0, 1.0, n) for n in range(8)]
    write(tmp_path, *(record(begin + timedelta(seconds=20 * n), cover=cover) for n, cover in enumerate(covers)))
    answer = client.get('/api/watched/days/2024-06-21').json()
    assert answer['images'] == 8 and [point['cloud']['oktas'] for point in answer['points']] == [2, 5, 7]


def test_each_minute_of_a_day_has_its_place(client, tmp_path):
    begin = datetime(2024, 6, 21, tzinfo=timezone.utc)
    each = record(begin)
    lines = (each | dict(name=f'{n}', time=(begin + timedelta(minutes=n)).isoformat()) for n in range(1440))
    (tmp_path / 'journal.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    points = client.get('/api/watched/days/2024-06-21').json()['points']
    assert [round(point['hour'] * 60) for point in points] == list(range(1440))


def test_a_journal_that_is_being_read_says_when_to_come_back(tmp_path):
    write(tmp_path, *(record(ago(minutes=minutes)) for minutes in (3, 2, 1)))
    app = FastAPI()
    add_watched(app, JournalDays(tmp_path, seconds=0))
    client = TestClient(app)
    answers = [client.get('/api/watched') for _ in range(4)]
    assert answers[0].status_code == 503 and answers[0].headers['retry-after'] == '1'
    assert answers[0].json()['detail'].startswith('the journal is being read, 3')
    assert answers[-1].status_code == 200 and answers[-1].json()['latest']['name'] == '2.jpg'


@pytest.mark.parametrize('key', ['name', 'picture'])
def test_a_camera_may_write_all_images_under_one_name_and_version_0_1_called_it_picture(client, tmp_path, key):
    day = datetime(2024, 6, 21, tzinfo=timezone.utc)
    times = [day + timedelta(minutes=10 * number) for number in range(3)]
    lines = [json.dumps(record(time) | {key: 'sky.jpg', 'version': [8, 1]}) for time in times]
    (tmp_path / 'journal.jsonl').write_text('\n'.join(lines) + '\n')
    answer = client.get('/api/watched/days/2024-06-21').json()
    assert answer['images'] == 3 and [point['time'] for point in answer['points']] == [t.isoformat() for t in times]
    latest = client.get('/api/watched').json()['latest']
    assert latest['name'] == 'sky.jpg' and 'picture' not in latest


def test_of_an_image_that_was_written_again_the_last_counts(client, tmp_path):
    noon = datetime(2024, 6, 21, 12, tzinfo=timezone.utc)
    with Journal(tmp_path) as journal:
        for oktas, minutes in ((1, 5), (2, 10), (3, 5)):
            made = record(noon + timedelta(minutes=minutes), cover=Cover(oktas / 8, 0.0, 1.0, oktas))
            journal.add('a.jpg' if oktas != 2 else 'b.jpg', [oktas, 2], made)
    points = client.get('/api/watched/days/2024-06-21').json()['points']
    assert [point['cloud']['oktas'] for point in points] == [3, 2], 'by time'


@pytest.mark.parametrize(
    'day',
    ['2024-06-21', '..%2F..%2Fetc%2Fpasswd', '../../api/model', '2024-6-1', '٢٠٢٤-٠٦-٢١', '2024-06-21%0A', ' ' * 9],
)
def test_other_days_are_refused_and_nothing_is_written(client, tmp_path, day):
    found = client.get(f'/api/watched/days/{day}')
    assert found.status_code in (404, 422) and not list(tmp_path.iterdir())


def test_a_folder_that_vanishes_is_said_without_its_path(client, tmp_path):
    write(tmp_path, record(ago()))
    (tmp_path / 'journal.jsonl').unlink()
    (tmp_path / 'journal.jsonl').symlink_to('/etc/passwd')
    for path in ('/api/watched', '/api/watched/days/2024-06-21'):
        answer = client.get(path)
        assert answer.status_code == 503 and answer.json() == dict(detail='the watched folder cannot be read')
