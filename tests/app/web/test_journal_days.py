"""The index of a journal finds what stands in it, however it grows."""

import json
import os
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.app.watching import Journal
from hyperbolic_seg.app.web.journal_days import JournalDays, NotRead

MOMENTS = st.datetimes(datetime(2024, 6, 20), datetime(2024, 6, 23)).map(lambda time: time.isoformat() + '+02:00')


def add(folder, *records):
    with Journal(folder) as journal:
        for number, record in enumerate(records):
            journal.add(f'{len(journal)}-{number}.jpg', [1, 2], record)


def records(days, day):
    return [record for _, record in days.records(day)]


def opened(folder, **options):
    days = JournalDays(folder, **options)
    days.refresh()
    return days


@settings(max_examples=40)
@given(st.lists(st.one_of(MOMENTS, st.none()), max_size=30), st.integers(0, 200))
def test_each_day_has_its_records_in_order(tmp_path_factory, times, padding):
    """Times out of order, lines of several sizes, and lines without a time."""
    folder = tmp_path_factory.mktemp('out')
    lines = [dict(time=time, name=f'{n}.jpg', filler='x' * padding * n) for n, time in enumerate(times)]
    (folder / 'journal.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    days = opened(folder)
    timed = [line for line in lines if line['time']]
    assert days.days == sorted({line['time'][:10] for line in timed})
    for day in days.days:
        expected = [line for line in timed if line['time'][:10] == day]
        assert records(days, day) == expected and days.count(day) == len(expected)
    assert days.last == (lines[-1] if lines else None) and records(days, '2024-01-01') == []


def test_far_jumps_between_days_are_found(tmp_path):
    """More jumps than ranges are kept, each longer than what is read in one."""
    lines = [dict(time=f'2024-06-{20 + n % 2}T{n % 24:02}:00:00+00:00', n=n, filler='x' * 70_000) for n in range(200)]
    add(tmp_path, *lines)
    days = opened(tmp_path)
    for parity, day in enumerate(('2024-06-20', '2024-06-21')):
        assert sorted(record['n'] for record in records(days, day)) == list(range(parity, 200, 2))


def test_what_is_appended_is_found_and_an_incomplete_line_waits(tmp_path):
    days = opened(tmp_path)
    assert days.days == [] and days.last is None and not list(tmp_path.iterdir()), 'nothing is written'
    add(tmp_path, dict(time='2024-06-20T12:00:00+00:00', n=1))
    days.refresh()
    assert [record['n'] for record in records(days, '2024-06-20')] == [1]
    with (tmp_path / 'journal.jsonl').open('a') as journal:
        journal.write('{"time": "2024-06-20T13:00:00+00:00", "name": "b.jpg", "n"')
        journal.flush()
        days.refresh()
        assert days.count('2024-06-20') == 1
        journal.write(': 2}\n')
        journal.flush()
        days.refresh()
        assert [record['n'] for record in records(days, '2024-06-20')] == [1, 2]
    (tmp_path / 'journal.jsonl').unlink()
    add(tmp_path, dict(time='2024-06-21T12:00:00+00:00', n=3))
    days.refresh()
    assert days.days == ['2024-06-21'], 'another journal is read anew'


@pytest.mark.parametrize(
    'line', ['{', '[]', '1', '[' * 100_000, '{"time": 3}', '{"time": "noon"}', '{"time": "2024-06-20T12:00:00"}',
             'x' * (2**21), '\xff', '']
)  # fmt: skip
def test_lines_that_are_no_records_are_left_out(tmp_path, line):
    good = json.dumps(dict(time='2024-06-20T12:00:00+00:00', name='a.jpg'))
    (tmp_path / 'journal.jsonl').write_bytes(f'{good}\n{line}\n{good.replace("a.jpg", "b.jpg")}\n'.encode('latin-1'))
    days = opened(tmp_path)
    assert days.days == ['2024-06-20']
    assert [record['name'] for record in records(days, '2024-06-20')] == ['a.jpg', 'b.jpg']


def test_a_long_journal_is_read_in_parts(tmp_path):
    start = datetime(2024, 6, 20, tzinfo=timezone.utc)
    add(tmp_path, *(dict(time=(start + timedelta(minutes=10 * n)).isoformat()) for n in range(50)))
    days, calls = JournalDays(tmp_path, seconds=0), 0
    while True:
        calls += 1
        try:
            days.refresh()
        except NotRead as error:
            assert '% are done' in str(error)
        else:
            break
    assert calls > 10 and days.count('2024-06-20') == 50
    with pytest.raises(ValueError, match='bytes: expected at most 100'):
        records(opened(tmp_path, day_bytes=100), '2024-06-20')


def test_links_and_fifos_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='expected the --out of hyperbolic-seg watch'):
        JournalDays(tmp_path / 'none')
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.write_text('{"time": "2024-06-20T12:00:00+00:00"}\n')
    for name, make in (('link', lambda path: path.symlink_to(elsewhere)), ('fifo', os.mkfifo)):
        (tmp_path / name).mkdir()
        make(tmp_path / name / 'journal.jsonl')
        with pytest.raises(OSError, match='is a link|is a FIFO'):
            opened(tmp_path / name)
