"""Worker processes that are killed: no picture is lost, and none is there twice."""

import os
import random
import signal
import time
from collections import Counter

import pytest

from hyperbolic_seg.app.archive import archive, connected
from tests.app.archive.cheap import CheapRecipe
from tests.app.archive.skies import fill, rows_of, serial


def pids(client):
    """Those of the workers that answer; one may have died that the scheduler still lists."""
    return [pid for pid in client.run(os.getpid, on_error='return').values() if isinstance(pid, int)]


def predicted_by(log):
    """How often each picture was predicted, by the notes of all processes, and how many processes there were."""
    names = Counter()
    for path in log.iterdir():
        names.update(path.read_text().split())
    return names, len(list(log.iterdir()))


def run_with_kills(source, tmp_path, *, size, every, seed=0):
    """Predict with two processes, and kill one of them at random after some of the partitions."""
    chance, killed, finished = random.Random(seed), [], [0]
    (tmp_path / 'log').mkdir()
    recipe = CheapRecipe(seconds=0.002, log=str(tmp_path / 'log'))
    with connected('processes', 2) as client:

        def kill(progress):
            finished[0] += 1
            if finished[0] % every == 1 and progress.pictures < progress.total and len(alive := pids(client)) == 2:
                killed.append(chance.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

        summary = archive(str(source), str(tmp_path / 'out'), recipe, client, size=size, on_progress=kill)
    return summary, killed, recipe


@pytest.mark.skipif(os.name == 'nt', reason='there is no SIGKILL on Windows')
def test_the_death_of_a_worker_loses_nothing(tmp_path):
    source = fill(tmp_path / 'source', 60)
    summary, killed, _ = run_with_kills(source, tmp_path, size=4, every=100)
    assert len(killed) == 1 and not summary.failures
    assert rows_of(tmp_path / 'out') == serial(source, CheapRecipe())
    names, processes = predicted_by(tmp_path / 'log')
    assert processes >= 2 and len(names) == 60, 'other processes did what the dead one had begun'
    assert not list((tmp_path / 'out').rglob('*.part')), 'and nothing unfinished is left'


def test_twenty_thousand_pictures_and_workers_that_die_at_random(tmp_path):
    source = fill(tmp_path / 'source', 20_000, per_folder=480)
    began = time.monotonic()
    summary, killed, recipe = run_with_kills(source, tmp_path, size=64, every=24)
    print(f'{summary.rate:.0f} pictures per second, {time.monotonic() - began:.0f} s, {len(killed)} workers killed')
    assert len(killed) >= 10 and not summary.failures
    assert (summary.pictures, summary.done, summary.refused) == (20_000, 20_000, 0)
    rows = rows_of(tmp_path / 'out')
    assert len({row['image'] for row in rows}) == len(rows) == 20_000
    names, processes = predicted_by(tmp_path / 'log')
    print(f'{sum(names.values())} predictions by {processes} processes')
    assert processes > 10 and len(names) == 20_000
    assert rows == serial(source, CheapRecipe())
    with connected('threads', 1) as client:
        assert archive(str(source), str(tmp_path / 'out'), recipe, client, size=64).predicted == 0


def test_a_picture_that_kills_its_worker_fails_alone(tmp_path):
    """Listed for the nightly workflow: the process starts four times."""
    source = fill(tmp_path / 'source', 12)
    (source / 'poison.png').write_bytes((source / '0000' / min(os.listdir(source / '0000'))).read_bytes())
    with connected('processes', 1) as client:
        summary = archive(str(source), str(tmp_path / 'out'), CheapRecipe(), client, size=1)
    (failure,) = summary.failures
    assert failure.what == 'pictures from poison.png on' and 'worker' in failure.reason.lower()
    assert summary.done == 12 and not (tmp_path / 'out' / '_SUCCESS').exists()
