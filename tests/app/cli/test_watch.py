"""hyperbolic-seg watch."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hyperbolic_seg.app.cli.app import app
from hyperbolic_seg.app.cli.signals import ended_by_signals
from hyperbolic_seg.app.cli.watch import GRACE
from hyperbolic_seg.app.watching import Journal
from hyperbolic_seg.app.watching import watch as watch_folder
from tests import processes

AT_MOST = 5.0
"""Seconds from a signal to the end."""
needs_fifos = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')


OPTIONS = ('--interval', '0.1', '--settle', '0.1', '--prompts', 'clear sky, cloud', '--json')


def ended(process, *numbers):
    """Send signals to a process; return the seconds until its end, and what it output."""
    since = time.monotonic()
    for number in numbers or (signal.SIGTERM,):
        process.send_signal(number)
        time.sleep(0.05)
    process.wait(timeout=60)
    seconds = time.monotonic() - since
    return seconds, process.communicate()[1]


def test_a_killed_watcher_resumes_and_stops(images, tmp_path):
    """Like a service; one image arrives while no watcher runs."""
    out = tmp_path / 'out'
    command = ('hyperbolic_seg.app.cli.main', 'watch', images, '--out', out, *OPTIONS)
    first = processes.Program(*command, cwd=tmp_path)
    assert json.loads(first.wait_for('{')[0])['name']
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait().returncode == -signal.SIGKILL
    shutil.copy(images / '0.png', images / 'late.png')
    second = processes.Program(*command, cwd=tmp_path)
    while len((out / 'journal.jsonl').read_text().splitlines()) < 5:
        second.wait_for('{')
        time.sleep(0.05)
    since = time.monotonic()
    os.kill(second.pid, signal.SIGTERM)
    done = second.wait()
    assert done.returncode == 0 and 'stopped' in done.stderr and time.monotonic() - since < AT_MOST, done.stderr
    found = [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]
    assert sorted(record['name'] for record in found) == ['0.png', '1.png', '2.png', 'broken.jpg', 'late.png']
    assert [record['name'] for record in found if 'error' in record] == ['broken.jpg']
    for record in found:
        if 'error' not in record:
            assert sum(record['fractions'].values()) == pytest.approx(1)
            assert (out / 'labels' / f'{record["name"]}.png').is_file()


def test_once_ends_without_new_images_and_refuses_bad_folders(command, images, tmp_path):
    out = tmp_path / 'out'
    done = command('watch', images, '--out', out, '--once', '--settle', 0, '--interval', 0.1)
    assert done.code == 0 and 'no new images' in done.err and 'broken.jpg: refused' in done.err
    again = command('watch', images, '--out', out, '--once')
    assert '4 images are done already' in again.err and 'broken' not in again.err
    inside = command('watch', images, '--out', images / 'out')
    assert inside.code == 2 and 'results would be taken for images' in inside.err
    assert command('watch', tmp_path / 'none').code == 2


def test_exit_code_1_if_an_image_is_to_be_retried(command, images, tmp_path):
    obstacle = tmp_path / 'out' / 'labels' / '0.png.png'
    obstacle.mkdir(parents=True)
    options = ['--out', tmp_path / 'out', '--once', '--settle', 0, '--interval', 0.1]
    done = command('watch', images, *options)
    assert done.code == 1 and '0.png: refused: will be tried again: ' in done.err and 'is a folder' in done.err
    obstacle.rmdir()
    done = command('watch', images, *options)
    assert done.code == 0 and '3 images are done already' in done.err and obstacle.is_file()


def test_a_journal_that_cannot_be_written_ends_the_command(command, images, tmp_path):
    """The journal comes to the largest size that a file may have, with a part of a line."""
    journal = tmp_path / 'out' / 'journal.jsonl'
    journal.parent.mkdir()
    journal.write_text(json.dumps(dict(name='old.png', version=[1, 2], note='x' * 2_000_000)) + '\n')
    before, options = journal.read_bytes(), ['--out', journal.parent, '--once', '--settle', 0, '--interval', 0.1]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        done = command('watch', images, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.code == 1 and 'journal.jsonl takes no more' in done.err and 'processed at the next start' in done.err
    assert len(journal.read_bytes()) == len(before) + 20
    done = command('watch', images, *options)
    assert done.code == 0 and '1 images are done already' in done.err
    lines = journal.read_text().splitlines()
    assert journal.read_bytes().startswith(before) and len(lines) == 5 and all(map(json.loads, lines))


def catches(process, number):
    """Return whether a process has a handler of its own for a signal (proc(5), SigCgt)."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    mask = next(line for line in status.splitlines() if line.startswith('SigCgt:')).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_a_signal_during_the_start_ends_the_command(images, tmp_path):
    installed = Path(sys.executable).with_name('hyperbolic-seg')
    command = list(map(str, [installed, 'watch', images, '--out', tmp_path / 'out', *OPTIONS]))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not catches(process, signal.SIGTERM):  # from then on libraries and the model take seconds
        time.sleep(0.05)
    seconds, output = ended(process)
    assert process.returncode == 0 and output == 'stopped during the start\n' and seconds < AT_MOST, output


BUSY = {
    'asleep': 'time.sleep(60)',
    'decoding': 'hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)',
    'waiting for a share': 'os.open(sys.argv[1], os.O_RDONLY)',
    'writing to a full pipe': 'print("x" * 10**7, flush=True)',
    'printing a status to a full pipe': 'print_status("x" * 10**7)',
}


def busy(folder, work, *, grace):
    """A process within the signals of watch, that does something in C."""
    program = f"""
import hashlib, os, sys, threading, time
from hyperbolic_seg.app.cli.console import print_status
from hyperbolic_seg.app.cli.signals import ended_by_signals
stop = threading.Event()
with ended_by_signals(stop, grace=0, message='never output'):
    with ended_by_signals(stop, grace={grace}, message='stopped: it took too long'):
        print('ready', flush=True)
        {work}
    print_status('left')
"""
    command = [sys.executable, '-c', program, str(folder / 'fifo')]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n', process.communicate()
    time.sleep(0.2)
    return process


@needs_fifos
@pytest.mark.parametrize('doing', BUSY)
def test_a_signal_ends_any_work_in_time(tmp_path, doing):
    os.mkfifo(tmp_path / 'fifo')
    process = busy(tmp_path, BUSY[doing], grace=GRACE)
    seconds, output = ended(process, signal.SIGTERM if doing != 'asleep' else signal.SIGINT)
    assert process.returncode == 0 and GRACE - 0.1 < seconds < AT_MOST
    assert 'stopped: it took too long' in output or 'status' in doing
    assert 'left' not in output and 'never output' not in output


def test_a_block_that_watches_the_event_ends_at_once(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = busy(tmp_path, 'stop.wait(60)', grace=60)
        seconds, output = ended(process, number)
        assert process.returncode == 0 and seconds < 2 and output == 'left\n'


def test_a_block_that_ends_in_time_is_waited_for(tmp_path):
    process = busy(tmp_path, 'time.sleep(1.5); assert stop.is_set()', grace=60)
    seconds, output = ended(process)
    assert process.returncode == 0 and seconds > 0.5 and output == 'left\n'


def test_a_second_signal_ends_the_process_at_once(tmp_path):
    process = busy(tmp_path, 'time.sleep(60)', grace=60)
    seconds, output = ended(process, signal.SIGTERM, signal.SIGTERM)
    assert process.returncode == 0 and seconds < 2 and output == 'stopped: it took too long\n'


def test_signal_handlers_are_restored():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before, threads = [signal.getsignal(number) for number in numbers], threading.active_count()
    left, right = socket.socketpair()
    right.setblocking(False)
    own = signal.set_wakeup_fd(right.fileno())
    try:
        with pytest.raises(ZeroDivisionError), ended_by_signals(threading.Event(), grace=1, message=''):
            assert [signal.getsignal(number) for number in numbers] != before
            raise ZeroDivisionError
        assert signal.set_wakeup_fd(right.fileno()) == right.fileno()
    finally:
        signal.set_wakeup_fd(own)
        left.close()
        right.close()
    assert [signal.getsignal(number) for number in numbers] == before and threading.active_count() == threads


def stuck(source, out):
    """A watcher that never ends its second image."""
    stop, done = threading.Event(), []

    def predict(file, name):
        done.append(name)
        time.sleep(0 if len(done) == 1 else 600)
        return dict(image=file)

    with ended_by_signals(stop, grace=1.0, message='stopped'), Journal(out) as journal:
        for _ in watch_folder(source, journal, predict, interval=0.02, settle=0, stop=stop):
            pass


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='this system has no fork')
def test_the_journal_is_complete_after_a_forced_end(tmp_path):
    source, out = tmp_path / 'camera', tmp_path / 'out'
    source.mkdir()
    for name in ('a.jpg', 'b.jpg'):
        (source / name).write_bytes(b'x')
        os.utime(source / name, ns=(0, ord(name[0])))
    process = multiprocessing.get_context('fork').Process(target=stuck, args=(source, out))
    process.start()
    while not (out / 'journal.jsonl').is_file() or not (out / 'journal.jsonl').read_bytes().endswith(b'\n'):
        time.sleep(0.02)
    time.sleep(0.2)
    since = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 0 and time.monotonic() - since < AT_MOST
    assert [json.loads(line)['name'] for line in (out / 'journal.jsonl').read_text().splitlines()] == ['a.jpg']
    with Journal(out) as journal:
        again = list(watch_folder(source, journal, lambda file, name: dict(image=file), once=True, settle=0))
    assert [line['name'] for line in again] == ['b.jpg']


@needs_fifos
@needs_links
def test_skipped_files_are_reported_and_delay_nothing(command, images, tmp_path):
    (tmp_path / 'secret').mkdir()
    shutil.copy(images / '0.png', tmp_path / 'secret' / '0.png')
    os.mkfifo(images / 'fifo\x1b]0;x\x07.jpg')
    (images / 'out.png').symlink_to('../secret/0.png')
    (images / 'all').symlink_to('../secret')
    options = ['--out', tmp_path / 'out', '--once', '--settle', 0, '--interval', 0.05, '--json']
    done = command('watch', images, *options)
    assert done.code == 0, done.err
    for message in (
        r'fifo\x1b]0;x\x07.jpg: skipped: a FIFO',
        'out.png: skipped: a link that leads out',
        'all: skipped: a link to a folder',
    ):
        assert done.err.count(message) == 1
    found = [json.loads(line) for line in done.out.splitlines()]
    assert {line['name'] for line in found if 'skipped' in line} == {'fifo\x1b]0;x\x07.jpg', 'out.png', 'all'}
    journal = [json.loads(line) for line in (tmp_path / 'out' / 'journal.jsonl').read_text().splitlines()]
    assert sorted(line['name'] for line in journal) == ['0.png', '1.png', '2.png', 'broken.jpg']


@needs_fifos
@needs_links
def test_links_in_the_folder_of_results_are_refused(command, images, tmp_path):
    out, outside = tmp_path / 'out', tmp_path / 'outside'
    out.mkdir()
    outside.mkdir()
    options = ['--out', out, '--once', '--settle', 0, '--interval', 0.05]
    for name in ('journal.jsonl', '.journal.lock'):
        (out / name).symlink_to(outside / 'mine')
        done = command('watch', images, *options)
        assert done.code == 2 and f'{name} is a link, and results are written through none: remove it' in done.err
        (out / name).unlink()
        os.mkfifo(out / name)
        done = command('watch', images, *options)
        assert done.code == 2 and f'{name} is a FIFO' in done.err
        (out / name).unlink()
    (out / 'overlays').symlink_to(outside)
    done = command('watch', images, *options)
    assert done.code == 1 and 'overlays is a link, and results are written through none: remove it' in done.err
    assert not list(outside.iterdir())
    (out / 'overlays').unlink()
    done = command('watch', images, *options)
    assert done.code == 0 and len(list((out / 'overlays').iterdir())) == 3, 'they were tried again'


def test_control_characters_in_names_are_escaped(images, tmp_path):
    odd = ['a\x1b[31m.png', 'b\nerror: all is lost.png', 'c\r\u202egnp.png', 'd\x9b31m\x07.jpg']
    for name in odd[:3]:
        shutil.copy(images / '0.png', images / name)
    (images / odd[3]).write_bytes(b'no image')
    options = ['--out', tmp_path / 'o\x1b[31mut', '--once', '--settle', 0, '--interval', 0.05, '--json']
    done = CliRunner().invoke(app, [str(argument) for argument in ('watch', images, *options)])
    assert done.exit_code == 0
    for output in (done.stderr, done.stdout):
        assert not [c for c in output if not c.isprintable() and c != '\n']
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith(r'b\nerror: all is lost.png: ')]
    assert not [line for line in lines if line.startswith('error')]
    found = {json.loads(line)['name'] for line in done.stdout.splitlines()}
    assert set(odd) < found, 'programs get them as they are'
    journal = (tmp_path / 'o\x1b[31mut' / 'journal.jsonl').read_text()
    assert journal.replace('\n', '').isprintable() and len(journal.splitlines()) == 8
