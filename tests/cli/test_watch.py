"""hyperbolic-seg watch."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hyperbolic_seg.apis import batch


def start(pictures, out):
    installed = Path(sys.executable).with_name('hyperbolic-seg')
    options = ['--interval', '0.1', '--settle', '0.1', '--prompts', 'clear sky, cloud', '--json']
    command = [installed, 'watch', pictures, '--out', out, *options]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_started_again_and_stopped(pictures, tmp_path):
    """As a service would be; one picture arrives while nobody watches."""
    out = tmp_path / 'out'
    first = start(pictures, out)
    assert json.loads(first.stdout.readline())['picture']
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    shutil.copy(pictures / '0.png', pictures / 'late.png')
    second = start(pictures, out)
    told = []
    while len((out / 'journal.jsonl').read_text().splitlines()) < 5:
        told.append(json.loads(second.stdout.readline()))
    os.kill(second.pid, signal.SIGTERM)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0 and 'stopped' in said, said
    found = [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]
    assert sorted(record['picture'] for record in found) == ['0.png', '1.png', '2.png', 'broken.jpg', 'late.png']
    assert [record['picture'] for record in found if 'error' in record] == ['broken.jpg']
    for record in found:
        if 'error' not in record:
            assert sum(record['fractions'].values()) == pytest.approx(1)
            assert (out / 'labels' / f'{record["picture"]}.png').is_file()


def test_once_and_what_is_wrong(command, pictures, tmp_path):
    out = tmp_path / 'out'
    done = command('watch', pictures, '--out', out, '--once', '--settle', 0, '--interval', 0.1)
    assert done.code == 0 and 'nothing new' in done.err and 'broken.jpg: refused' in done.err
    again = command('watch', pictures, '--out', out, '--once')
    assert '4 pictures are done already' in again.err and 'broken' not in again.err
    inside = command('watch', pictures, '--out', pictures / 'out')
    assert inside.code == 2 and 'results would be taken for pictures' in inside.err
    assert command('watch', tmp_path / 'none').code == 2


def test_what_is_to_be_tried_again_is_told_by_the_exit_code(command, pictures, tmp_path, monkeypatch):
    real = batch.predict_file

    def full_for_a_moment(inferencer, path, *arguments, **options):
        if path.endswith('0.png'):
            raise OSError('No space left on device')
        return real(inferencer, path, *arguments, **options)

    monkeypatch.setattr(batch, 'predict_file', full_for_a_moment)
    options = ['--out', tmp_path / 'out', '--once', '--settle', 0, '--interval', 0.1]
    done = command('watch', pictures, *options)
    assert done.code == 1 and '0.png: refused: will be tried again: No space left' in done.err
    monkeypatch.setattr(batch, 'predict_file', real)
    done = command('watch', pictures, *options)
    assert done.code == 0 and '3 pictures are done already' in done.err


def test_a_journal_that_cannot_be_written_ends_it_with_a_word(command, pictures, tmp_path):
    """The journal comes to the largest size that a file may have, with a part of a line."""
    journal = tmp_path / 'out' / 'journal.jsonl'
    journal.parent.mkdir()
    journal.write_text(json.dumps(dict(picture='old.png', version=[1, 2], note='x' * 2_000_000)) + '\n')
    before, options = journal.read_bytes(), ['--out', journal.parent, '--once', '--settle', 0, '--interval', 0.1]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        done = command('watch', pictures, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.code == 1 and 'journal.jsonl takes no more' in done.err and 'done again at the next start' in done.err
    assert len(journal.read_bytes()) == len(before) + 20
    done = command('watch', pictures, *options)
    assert done.code == 0 and '1 pictures are done already' in done.err
    lines = journal.read_text().splitlines()
    assert journal.read_bytes().startswith(before) and len(lines) == 5 and all(map(json.loads, lines))
