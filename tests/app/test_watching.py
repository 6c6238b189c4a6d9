"""A folder that a camera fills, while processes are killed."""

import json
import multiprocessing
import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest

from hyperbolic_seg.app.watching import Journal, watch
from hyperbolic_seg.files import write_whole

QUICK = dict(interval=0.02, settle=0.05)

needs_fifos = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
needs_sockets = pytest.mark.skipif(not hasattr(socket, 'AF_UNIX'), reason='this system has no sockets in folders')
needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')


def copying(folder):
    """Stands for a model: takes a while, then writes what it read as results are written."""

    def predict(file, name):
        content = Path(file).read_bytes()
        time.sleep(0.01)
        path = folder / f'{name}.out'
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        return dict(image=file, length=len(content))

    return predict


def run(source, out):
    with Journal(out) as journal:
        for _ in watch(source, journal, copying(out), **QUICK):
            pass


def lines(out):
    return [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]


def test_each_image_is_processed_once_across_kills(tmp_path):
    """Images arrive in pieces while the watcher is killed at any moment, and started again."""
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
    assert Counter(record['name'] for record in found) == dict.fromkeys(written, 1)
    assert all(record['length'] == len(written[record['name']]) for record in found)
    assert all((out / f'{name}.out').read_bytes() == content for name, content in written.items())
    assert not [*out.rglob('.*.part')], 'nothing unfinished is left'


def test_an_image_written_again_is_processed_again(tmp_path):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    source.mkdir()
    for content in (b'one', b'three', b'three'):
        (source / 'latest.png').write_bytes(content)
        os.utime(source / 'latest.png', ns=(0, len(content)))
        with Journal(out) as journal:
            list(watch(source, journal, copying(out), once=True, **QUICK))
    assert [record['length'] for record in lines(out)] == [3, 5]


def test_hidden_files_and_other_suffixes_are_ignored(tmp_path):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    for name in ('a.JPG', '.b.jpg', 'c.txt', 'd.jpg.part', '.hidden/e.png', 'deep/er/f.tif'):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b'x')
    with Journal(out) as journal:
        found = [record['name'] for record in watch(source, journal, copying(out), once=True, **QUICK)]
    assert sorted(found) == ['a.JPG', 'deep/er/f.tif']


def test_an_incomplete_line_of_the_journal_is_removed(tmp_path):
    whole = json.dumps(dict(name='a.jpg', version=[1, 2])) + '\n'
    (tmp_path / 'journal.jsonl').write_text(whole + '{"name": "b.jpg", "ver')
    with Journal(tmp_path) as journal:
        assert ('a.jpg', [1, 2]) in journal and len(journal) == 1
        journal.add('c.jpg', [3, 4], dict(image='c.jpg'))
    assert [record['name'] for record in lines(tmp_path)] == ['a.jpg', 'c.jpg']


def test_a_damaged_journal_and_a_second_watcher_are_refused(tmp_path):
    with Journal(tmp_path), pytest.raises(RuntimeError, match='another process watches into'):
        Journal(tmp_path)
    (tmp_path / 'journal.jsonl').write_text('{"name": 1}\nnonsense\n')
    with pytest.raises(ValueError, match=r'line 1 of .*journal.jsonl is damaged'):
        Journal(tmp_path)
    (tmp_path / 'journal.jsonl').unlink()
    Journal(tmp_path).close()


def test_watching_survives_a_folder_that_vanishes_and_ends_on_request(tmp_path):
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


def test_stop_interrupts_the_wait_between_two_scans(tmp_path):
    stop = Event()
    Timer(0.1, stop.set).start()
    with Journal(tmp_path / 'out') as journal:
        assert list(watch(tmp_path, journal, copying(tmp_path), stop=stop, interval=600, settle=0)) == []


def test_an_image_is_retried_after_a_fault_of_the_system(tmp_path):
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
            last = line['name']
            if len(journal) == 5:
                stop.set()
    assert sorted(record['name'] for record in lines(out)) == [f'{number}.png' for number in range(1, 6)]
    assert not any('error' in record for record in lines(out)) and last != '0.png'


def test_an_image_for_which_memory_lacks_is_recorded_by_the_first_run_that_ends(tmp_path):
    source, calls = tmp_path / 'camera', []
    source.mkdir()
    for name in ('huge.png', 'usual.png'):
        (source / name).write_bytes(b'x')

    def predict(file, name):
        calls.append(name)
        if name == 'huge.png':
            raise MemoryError('80 GB')
        return copying(tmp_path / 'out')(file, name)

    with Journal(tmp_path / 'out') as journal:
        found = list(watch(source, journal, predict, once=True, settle=0, interval=0.01))
    assert calls.count('huge.png') == 3 and calls.count('usual.png') == 1
    assert 'failed 3 times' in found[-1]['error'] and '80 GB' in found[-1]['error']
    assert sorted(line['name'] for line in lines(tmp_path / 'out')) == ['huge.png', 'usual.png']


def test_a_name_that_is_not_utf_8_is_processed(tmp_path):
    name = os.fsdecode(b'caf\xe9.png')
    (tmp_path / 'camera').mkdir()
    (tmp_path / 'camera' / name).write_bytes(b'x')
    for expected in (1, 0):
        with Journal(tmp_path / 'out') as journal:
            found = list(watch(tmp_path / 'camera', journal, copying(tmp_path / 'out'), once=True, **QUICK))
        assert len(found) == expected


def once(source, out):
    with Journal(out) as journal:
        return list(watch(source, journal, copying(out), once=True, **QUICK))


def skipped(found):
    return {line['name']: line['skipped'] for line in found if 'skipped' in line}


@needs_fifos
@needs_sockets
def test_files_that_are_not_regular_are_skipped_by_name(tmp_path, monkeypatch):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    (source / 'night').mkdir(parents=True)
    (source / 'a.jpg').write_bytes(b'x')
    os.mkfifo(source / 'night' / 'b.jpg')
    os.mkfifo(source / 'c.txt')
    monkeypatch.chdir(source)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind('d.png')
        found = once(source, out)
    assert skipped(found) == {
        'night/b.jpg': 'a FIFO: expected a regular file',
        'd.png': 'a socket: expected a regular file',
    }
    assert not any('error' in line for line in found), 'none is to be tried again'
    assert [line['name'] for line in lines(out)] == ['a.jpg']


@needs_links
def test_links_inside_the_folder_give_no_image_twice_and_others_are_skipped_by_name(tmp_path):
    source, out, secret = tmp_path / 'camera', tmp_path / 'out', tmp_path / 'secret'
    for folder in (source / 'deep', secret):
        folder.mkdir(parents=True)
    (secret / 'a.jpg').write_bytes(b'secret')
    (source / 'deep' / 'real.jpg').write_bytes(b'real')
    for name, target in {
        'latest.jpg': 'deep/real.jpg',
        'deep/up.jpg': '../latest.jpg',
        'out.jpg': '../secret/a.jpg',
        'absolute.jpg': secret / 'a.jpg',
        'through.jpg': 'by/a.jpg',
        'by': secret,
        'all': '/',
        'again': 'deep',
        'folder.jpg': 'deep',
        'device.jpg': os.devnull,
        'nothing.jpg': 'none.jpg',
        'itself.jpg': 'itself.jpg',
        'readme': '../secret/a.jpg',
        '.hidden': secret,
    }.items():
        (source / name).symlink_to(target)
    (tmp_path / 'linked').symlink_to('camera')
    for watched in (source, tmp_path / 'linked'):
        found = once(watched, out)
        reasons = {name: reason.split(':')[0].split(',')[0] for name, reason in skipped(found).items()}
        assert reasons == dict.fromkeys(
            ('out.jpg', 'absolute.jpg', 'through.jpg', 'device.jpg'), 'a link that leads out of the watched folder'
        ) | dict.fromkeys(('by', 'all', 'again', 'folder.jpg'), 'a link to a folder') | dict.fromkeys(
            ('nothing.jpg', 'itself.jpg'), 'a link that leads nowhere'
        )
    done = {line['name']: line['length'] for line in lines(out)}
    assert done == {'deep/real.jpg': 4}, 'a link does not give an image twice'


@needs_fifos
def test_a_skipped_file_is_reported_once_for_each_reason(tmp_path):
    source, stop, reported = tmp_path / 'camera', Event(), []
    source.mkdir()
    os.mkfifo(source / 'a.jpg')

    def change():
        (source / 'a.jpg').unlink()
        (source / 'a.jpg').symlink_to('/')

    Timer(0.2, change).start()
    Timer(0.5, stop.set).start()
    with Journal(tmp_path / 'out') as journal:
        reported = list(watch(source, journal, copying(tmp_path), stop=stop, **QUICK))
    assert [line['skipped'].split(':')[0] for line in reported] == [
        'a FIFO',
        'a link to a folder, which is not followed',
    ]


@needs_fifos
@needs_links
def test_a_file_replaced_after_the_scan_is_not_read(tmp_path):
    """A FIFO, a link that leads out, and a folder that has become one, all put there while another is predicted."""
    source, out, calls = tmp_path / 'camera', tmp_path / 'out', []
    (source / 'night').mkdir(parents=True)
    (tmp_path / 'secret').mkdir()
    (tmp_path / 'secret' / 'd.jpg').write_bytes(b'secret')
    for number, name in enumerate(('a.jpg', 'b.jpg', 'c.jpg', 'night/d.jpg')):
        (source / name).write_bytes(b'x')
        os.utime(source / name, ns=(0, number))

    def predict(file, name):
        calls.append(name)
        for other in ('b.jpg', 'c.jpg'):
            (source / other).unlink()
        os.mkfifo(source / 'b.jpg')
        (source / 'c.jpg').symlink_to('../secret/d.jpg')
        (source / 'night').rename(tmp_path / 'moved')
        (source / 'night').symlink_to('../secret')
        return copying(out)(file, name)

    with Journal(out) as journal:
        found = list(watch(source, journal, predict, once=True, **QUICK))
    assert calls == ['a.jpg'] and set(skipped(found)) == {'b.jpg', 'c.jpg', 'night'}
    assert [line['name'] for line in lines(out)] == ['a.jpg']


@needs_links
@pytest.mark.parametrize('name', ['journal.jsonl', '.journal.lock'])
def test_a_journal_that_is_a_link_is_refused(tmp_path, name):
    out, mine = tmp_path / 'out', tmp_path / 'mine'
    out.mkdir()
    mine.write_bytes(b'mine, without an end of its line')
    (out / name).symlink_to(mine)
    with pytest.raises(OSError, match=rf'{name} is a link, and results are written through none: remove it'):
        Journal(out)
    assert mine.read_bytes() == b'mine, without an end of its line'
    (out / name).unlink()
    Journal(out).close()


@needs_fifos
@pytest.mark.parametrize('name', ['journal.jsonl', '.journal.lock'])
def test_a_journal_that_is_a_fifo_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=rf'{name} is a FIFO, in the place of a file of results: remove it'):
        Journal(tmp_path)


def test_deeply_nested_folders_are_searched(tmp_path):
    """Deeper than Python calls functions, and than a path may be long."""
    source, here = tmp_path / 'camera', os.getcwd()
    source.mkdir()
    (source / 'a.jpg').write_bytes(b'x')
    try:
        os.chdir(source)
        for _ in range(2500):
            os.mkdir('d')
            os.chdir('d')
    finally:
        os.chdir(here)
    try:
        assert [line['name'] for line in once(source, tmp_path / 'out')] == ['a.jpg']
    finally:
        remove_deep(source)


def remove_deep(folder):
    """Remove folders named d within each other, which the cleaning of temporary folders cannot."""
    here, depth = os.getcwd(), 0
    try:
        os.chdir(folder)
        while os.path.isdir('d'):
            os.chdir('d')
            depth += 1
        for _ in range(depth):
            os.chdir('..')
            os.rmdir('d')
    finally:
        os.chdir(here)
