"""A folder that a camera fills, while processes are killed."""

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest

from hyperbolic_seg.apis.watching import Journal, watch

QUICK = dict(interval=0.02, settle=0.05)


def copying(folder):
    """Stands for a model: takes a while, then writes what it read, whole or not at all."""

    def predict(file, name):
        content = Path(file).read_bytes()
        time.sleep(0.01)
        part = folder / f'{name}.part'
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, folder / f'{name}.out')
        return dict(image=file, length=len(content))

    return predict


def run(source, out):
    with Journal(out) as journal:
        for _ in watch(source, journal, copying(out), **QUICK):
            pass


def lines(out):
    return [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]


def test_nothing_is_lost_and_nothing_done_twice(tmp_path):
    """Pictures arrive in pieces while the watcher is killed at any moment, and started again."""
    source, out, random = tmp_path / 'camera', tmp_path / 'out', np.random.default_rng(0)
    (source / 'night').mkdir(parents=True)
    fork = multiprocessing.get_context('fork')
    written = {}
    for round_ in range(12):
        process = fork.Process(target=run, args=(source, out))
        process.start()
        for number in range(4):
            name = f'{"night/" if number % 2 else ""}{round_}_{number}.jpg'
            content = random.bytes(int(random.integers(100, 5000)))
            with (source / name).open('wb') as file:
                file.write(content[:50])
                file.flush()
                time.sleep(0.01)
                file.write(content[50:])
            written[name] = content
        time.sleep(float(random.uniform(0, 0.15)))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with Journal(out) as journal:
        list(watch(source, journal, copying(out), once=True, **QUICK))
    found = lines(out)
    assert Counter(record['picture'] for record in found) == dict.fromkeys(written, 1)
    assert all(record['length'] == len(written[record['picture']]) for record in found)
    assert all((out / f'{name}.out').read_bytes() == content for name, content in written.items())


def test_a_picture_written_again_is_another_one(tmp_path):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    source.mkdir()
    for content in (b'one', b'three', b'three'):
        (source / 'latest.png').write_bytes(content)
        os.utime(source / 'latest.png', ns=(0, len(content)))
        with Journal(out) as journal:
            list(watch(source, journal, copying(out), once=True, **QUICK))
    assert [record['length'] for record in lines(out)] == [3, 5]


def test_hidden_and_other_files_are_left_alone(tmp_path):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    for name in ('a.JPG', '.b.jpg', 'c.txt', 'd.jpg.part', '.hidden/e.png', 'deep/er/f.tif'):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b'x')
    with Journal(out) as journal:
        found = [record['picture'] for record in watch(source, journal, copying(out), once=True, **QUICK)]
    assert sorted(found) == ['a.JPG', 'deep/er/f.tif']


def test_what_a_killed_process_left_of_a_line_is_taken_away(tmp_path):
    whole = json.dumps(dict(picture='a.jpg', version=[1, 2])) + '\n'
    (tmp_path / 'journal.jsonl').write_text(whole + '{"picture": "b.jpg", "ver')
    with Journal(tmp_path) as journal:
        assert ('a.jpg', [1, 2]) in journal and len(journal) == 1
        journal.add('c.jpg', [3, 4], dict(image='c.jpg'))
    assert [record['picture'] for record in lines(tmp_path)] == ['a.jpg', 'c.jpg']


def test_a_damaged_journal_and_a_second_watcher_are_refused(tmp_path):
    with Journal(tmp_path), pytest.raises(RuntimeError, match='another process watches into'):
        Journal(tmp_path)
    (tmp_path / 'journal.jsonl').write_text('{"picture": 1}\nnonsense\n')
    with pytest.raises(ValueError, match=r'line 1 of .*journal.jsonl is damaged'):
        Journal(tmp_path)
    (tmp_path / 'journal.jsonl').unlink()
    Journal(tmp_path).close()


def test_it_ends_when_asked_and_waits_for_a_folder_that_vanished(tmp_path):
    source, out, stop = tmp_path / 'camera', tmp_path / 'out', Event()

    def arrive():
        source.mkdir()
        for number in range(3):
            (source / f'{number}.png').write_bytes(b'x')

    def predict(file, name):
        stop.set()
        return copying(out)(file, name)

    later = Timer(0.1, arrive)
    later.start()
    with Journal(out) as journal:
        assert len(list(watch(source, journal, predict, stop=stop, **QUICK))) == 1
    later.join()


def test_the_wait_between_two_looks_ends_at_once(tmp_path):
    stop = Event()
    Timer(0.1, stop.set).start()
    with Journal(tmp_path / 'out') as journal:
        assert list(watch(tmp_path, journal, copying(tmp_path), stop=stop, interval=600, settle=0)) == []


def test_what_is_no_fault_of_a_picture_is_tried_again(tmp_path):
    """A share that goes, a disk that is full, a device without memory; and one that never works holds up no other."""
    source, out, calls = tmp_path / 'camera', tmp_path / 'out', []
    source.mkdir()
    for number in range(6):
        (source / f'{number}.png').write_bytes(b'x')

    def predict(file, name):
        calls.append(name)
        if len(calls) <= 4 or name == '0.png':
            raise OSError('No space left on device')
        return copying(out)(file, name)

    def once():
        with Journal(out) as journal:
            return list(watch(source, journal, predict, once=True, settle=0, interval=0.01))

    first = once()
    assert len(first) == len(calls) == 3, 'it does not try on and on'
    assert all('will be tried again: No space left' in record['error'] for record in first)
    assert not lines(out)
    stop = Event()
    with Journal(out) as journal:
        for line in watch(source, journal, predict, stop=stop, settle=0, interval=0.01):
            last = line['picture']
            if len(journal) == 5:
                stop.set()
    assert sorted(record['picture'] for record in lines(out)) == [f'{number}.png' for number in range(1, 6)]
    assert not any('error' in record for record in lines(out)) and last != '0.png'


def test_a_name_that_is_no_utf_8(tmp_path):
    name = os.fsdecode(b'caf\xe9.png')
    (tmp_path / 'camera').mkdir()
    (tmp_path / 'camera' / name).write_bytes(b'x')
    for expected in (1, 0):
        with Journal(tmp_path / 'out') as journal:
            found = list(watch(tmp_path / 'camera', journal, copying(tmp_path / 'out'), once=True, **QUICK))
        assert len(found) == expected
