"""Embeddings on disk: what is stored, what is dropped, and all that may lie there instead of a database."""

import hashlib
import multiprocessing
import os
import pickle
import resource
import signal
import socket
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hyperbolic_seg.text.cache import MAX_TEXTS, EmbeddingCache, default_cache_dir

FORK = multiprocessing.get_context('fork')
DIMS = 8


def vector_of(text, dims=DIMS):
    return np.random.default_rng(list(text.encode())).standard_normal(dims).astype(np.float32)


def vectors_of(texts, dims=DIMS):
    return {text: vector_of(text, dims) for text in texts}


def check(found, dims=DIMS):
    """Whatever is found is right."""
    for text, vector in found.items():
        np.testing.assert_array_equal(vector, vector_of(text, dims))
    return set(found)


def texts_of(*places):
    return [f'text {place}' for place in range(*places)]


def change(path, *statements):
    database = sqlite3.connect(path)
    with database:
        for statement in statements:
            database.execute(*([statement] if isinstance(statement, str) else statement))
    database.close()


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / 'cache', 'encoder', timeout=0.5)


def in_children(*jobs):
    """Run jobs in processes at once; every one must end well, without a warning."""

    def guarded(job):
        warnings.simplefilter('error')
        job()

    children = [FORK.Process(target=guarded, args=(job,)) for job in jobs]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * len(children)


def test_it_gives_back_what_was_stored(tmp_path):
    texts = texts_of(1200)
    cache = EmbeddingCache(tmp_path / 'a folder?of #1%20é' / 'cache', 'encoder')
    assert cache.get(texts) == {} and not cache.folder.exists()
    cache.put(vectors_of(texts))
    assert check(cache.get([*texts, 'another', 'text 3'])) == set(texts)
    assert EmbeddingCache(cache.folder, 'another').get(texts) == {}
    assert [path.name for path in cache.folder.iterdir()] == ['encoder.sqlite']
    cache.put({'text 3': np.zeros(DIMS, np.float32)})
    assert not cache.get(['text 3'])['text 3'].any()
    cache.put({})
    assert cache.get([]) == {}


def test_impossible_limits_and_shapes_are_refused(tmp_path, cache):
    with pytest.raises(ValueError, match='max_texts=0: expected at least 1'):
        EmbeddingCache(tmp_path, 'encoder', max_texts=0)
    with pytest.raises(ValueError, match=r'shapes \[\(4,\), \(5,\)\]: expected a single length'):
        cache.put({'a': np.ones(5), 'b': np.ones(4)})


def test_the_size_of_the_file_is_bounded(tmp_path):
    cache = EmbeddingCache(tmp_path, 'encoder', max_texts=500)
    texts = texts_of(6000)
    for start in range(0, len(texts), 60):
        cache.put(vectors_of(texts[start : start + 60], 384))
    assert cache.path.stat().st_size < 1.5 * 500 * 4 * 384
    assert check(cache.get(texts), 384) == set(texts[-500:])
    cache.put(vectors_of(texts[:2000], 384))  # more at once than there is room for
    assert check(cache.get(texts), 384) == set(texts[1500:2000])
    assert cache.path.stat().st_size < 2.5 * 500 * 4 * 384


def test_the_bound_of_old_holds_a_training_of_the_sky_many_times_over():
    from hyperbolic_seg.text import OpenCLIPTextEncoder, Taxonomy

    phrases = sum(len(node.phrases) for node in Taxonomy.load('sky').nodes)
    assert 5 * phrases * len(OpenCLIPTextEncoder().templates) < MAX_TEXTS


def test_recently_used_texts_are_kept(tmp_path):
    cache = EmbeddingCache(tmp_path, 'encoder', max_texts=100)
    cache.put(vectors_of(texts_of(50)))
    for start in range(50, 600, 10):
        cache.put(vectors_of(texts_of(start, start + 10)))
        assert check(cache.get(['text 7', 'text 8'])) == {'text 7', 'text 8'}
    assert not cache.get(['text 9'])


def test_a_reading_of_what_is_used_often_writes_nothing(cache):
    texts = texts_of(300)
    for start in range(0, 300, 100):
        cache.put(vectors_of(texts[start : start + 100]))
    before = cache.path.read_bytes()
    for part in (texts, texts[:1], texts[100:]):
        cache.get(part)
    assert cache.path.read_bytes() == before


def test_reading_does_not_wait_for_a_locked_database(tmp_path):
    cache = EmbeddingCache(tmp_path, 'encoder', max_texts=8, timeout=20)
    cache.put(vectors_of(texts_of(8)))
    database = sqlite3.connect(cache.path, isolation_level=None)
    database.execute('BEGIN IMMEDIATE')
    start = time.monotonic()
    assert check(cache.get(texts_of(8))) == set(texts_of(8))
    assert time.monotonic() - start < 10
    database.close()


def test_processes_that_write_at_once_lose_nothing(cache):
    """Eight processes that write and read the same and their own texts at once lose nothing."""
    cache = EmbeddingCache(cache.folder, 'encoder', timeout=30)

    def job(number):
        for step in range(15):
            cache.put(vectors_of([f'shared {step}', f'own {number} {step}', *texts_of(step, step + 20)]))
            assert f'own {number} {step}' in check(cache.get([f'own {number} {step}', *texts_of(40)]))

    in_children(*(lambda number=number: job(number) for number in range(8)))
    everything = [f'own {number} {step}' for number in range(8) for step in range(15)]
    everything += [f'shared {step}' for step in range(15)]
    assert check(cache.get(everything)) == set(everything)


def test_a_killed_process_leaves_it_whole(cache):
    cache = EmbeddingCache(cache.folder, 'encoder', max_texts=300, timeout=10)

    def write():
        place = os.getpid() * 1000
        while True:
            cache.put(vectors_of(texts_of(place, place + 40)))
            place += 40

    cache.put(vectors_of(['first']))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for attempt in range(25):
            child = FORK.Process(target=write)
            child.start()
            time.sleep(0.02 + 0.003 * attempt)
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            start = child.pid * 1000
            check(cache.get(texts_of(start, start + 4000)))
            cache.put(vectors_of(['last']))
            assert check(cache.get(['last'])) == {'last'}


def test_a_process_may_fork_while_threads_use_it(cache):
    end = threading.Event()
    problems = []

    def use():
        own = EmbeddingCache(cache.folder, 'encoder', timeout=30)
        place = 0
        try:
            while not end.is_set():
                own.put(vectors_of(texts_of(place, place + 10)))
                assert len(check(own.get(texts_of(place, place + 10)))) == 10
                place += 10
        except Exception as error:
            problems.append(error)

    def child():
        own = EmbeddingCache(cache.folder, 'encoder', timeout=30)
        own.put(vectors_of([f'child {os.getpid()}']))
        assert check(own.get([f'child {os.getpid()}']))

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_children(child, child)
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert not problems


def test_no_file_is_left_open_and_it_can_be_pickled(cache):
    cache.put(vectors_of(texts_of(5)))
    assert check(pickle.loads(pickle.dumps(cache)).get(texts_of(5))) == set(texts_of(5))
    folder = Path('/proc/self/fd')
    if not folder.is_dir():
        pytest.skip('open files are not listed here')
    open_files = [os.readlink(entry) for entry in folder.iterdir() if entry.is_symlink()]
    assert not [name for name in open_files if name.startswith(str(cache.folder))]


def test_a_folder_that_cannot_be_written_to_is_one_warning(tmp_path):
    (tmp_path / 'file').write_text('')
    cache = EmbeddingCache(tmp_path / 'file' / 'cache', 'encoder')
    assert cache.get(['a']) == {}
    with pytest.warns(UserWarning, match='embeddings cannot be cached in') as said:
        cache.put(vectors_of(['a']))
        cache.put(vectors_of(['b']))
        assert cache.get(['a']) == {}
    assert len(said) == 1


def test_a_read_only_cache_can_be_read():
    def job():
        if os.getuid() == 0:  # who may write everywhere
            os.setgroups([])
            os.setuid(65534)
        reading = EmbeddingCache(folder, 'encoder', max_texts=8)
        assert check(reading.get(texts_of(30))) == set(texts_of(10, 30))
        with pytest.warns(UserWarning, match='embeddings cannot be cached in') as said:
            reading.put(vectors_of(['new']))
            reading.put(vectors_of(['newer']))
        assert len(said) == 1

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / 'cache'
        cache = EmbeddingCache(folder, 'encoder', max_texts=20)
        cache.put(vectors_of(texts_of(30)))
        for path, mode in ((name, 0o755), (cache.path, 0o444), (folder, 0o555)):
            os.chmod(path, mode)
        in_children(job)
        os.chmod(folder, 0o755)


def test_a_full_disk_is_one_warning(cache):
    cache.put(vectors_of(texts_of(100)))

    def job():
        size = cache.path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with pytest.warns(UserWarning, match='embeddings cannot be cached in') as said:
            cache.put(vectors_of(texts_of(100, 3000)))
            cache.put(vectors_of(['another']))
        assert len(said) == 1
        again = EmbeddingCache(cache.folder, 'encoder')
        assert check(again.get(texts_of(200))) == set(texts_of(100))

    in_children(job)
    assert check(cache.get(texts_of(200))) == set(texts_of(100))


@pytest.mark.parametrize('lock', ['IMMEDIATE', 'EXCLUSIVE'])
def test_a_busy_database_is_waited_for_in_bounds(cache, lock):
    cache.put(vectors_of(texts_of(5)))
    database = sqlite3.connect(cache.path, isolation_level=None)
    database.execute(f'BEGIN {lock}')
    start = time.monotonic()
    with pytest.warns(UserWarning, match='embeddings cannot be cached in.*locked') as said:
        found = cache.get(texts_of(5))
        for place in range(20):
            cache.put(vectors_of([f'new {place}']))
    assert len(said) == 1
    assert check(found) == (set(texts_of(5)) if lock == 'IMMEDIATE' else set())
    assert time.monotonic() - start < 5
    database.execute('ROLLBACK')
    database.close()
    assert check(EmbeddingCache(cache.folder, 'encoder').get(texts_of(5))) == set(texts_of(5))


def with_vector(changed):
    """Put something else in the place of a vector, with a checksum that is right."""

    def damage(path):
        database = sqlite3.connect(path)
        key, content = database.execute('SELECT key, vector FROM texts WHERE rowid = 3').fetchone()
        database.close()
        content = changed(np.frombuffer(content, '<f4').copy()).tobytes()
        values = (hashlib.sha256(key + content).digest(), content)
        change(path, ('UPDATE texts SET checksum = ?, vector = ? WHERE rowid = 3', values))

    return damage


def third_is(value):
    return with_vector(lambda vector: np.where(np.arange(DIMS) == 2, np.float32(value), vector))


ROWS = {
    'checksum': 'UPDATE texts SET checksum = zeroblob(32) WHERE rowid = 3',
    'content': 'UPDATE texts SET vector = zeroblob(32) WHERE rowid = 3',
    'of another text': 'UPDATE texts SET (checksum, vector) = '
    '(SELECT checksum, vector FROM texts WHERE rowid = 4) WHERE rowid = 3',
    'short': 'UPDATE texts SET vector = substr(vector, 1, 31) WHERE rowid = 3',
    'nothing': "UPDATE texts SET vector = x'' WHERE rowid = 3",
    'huge': 'UPDATE texts SET vector = zeroblob(50000000) WHERE rowid = 3',
    'words': "UPDATE texts SET vector = 'eight by four letters are thirty' WHERE rowid = 3",
    'a number': 'UPDATE texts SET vector = 17 WHERE rowid = 3',
    'use': "UPDATE texts SET used = 'yesterday' WHERE rowid = 3",
    'longer': with_vector(lambda vector: np.append(vector, np.float32(1))),
    'shorter': with_vector(lambda vector: vector[:-1]),
    'not a number': third_is(np.nan),
    'infinite': third_is(-np.inf),
}


@pytest.mark.parametrize('damage', [pytest.param(damage, id=name) for name, damage in ROWS.items()])
def test_a_damaged_row_counts_as_none_with_a_warning(cache, damage):
    texts = texts_of(5)
    cache.put(vectors_of(texts))
    if callable(damage):
        damage(cache.path)
    else:
        change(cache.path, damage)
    if damage == ROWS['use']:  # a word is larger than every number: so is the counter
        with pytest.warns(UserWarning, match="its counter stands at 'yesterday'.*a new one takes its place"):
            assert cache.get(texts) == {}
    else:
        with pytest.warns(UserWarning, match='1 embeddings in .* are damaged and are computed again') as said:
            assert check(cache.get(texts)) == set(texts) - {'text 2'}
        assert len(said) == 1
    cache.put(vectors_of(texts))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert check(cache.get(texts)) == set(texts)


def of_another_program(path):
    path.unlink()
    change(path, 'CREATE TABLE bookmarks (address TEXT)', "INSERT INTO bookmarks VALUES ('home')")


def with_a_log_of_writes(path):
    database = sqlite3.connect(path)
    assert database.execute('PRAGMA journal_mode=WAL').fetchone() == ('wal',)
    database.close()


def with_letters_that_are_none(path):
    path.write_bytes(path.read_bytes().replace(b'texts_by_use', b'texts_by\xff\xfe\xfd\xfc'))


def with_a_schema_of_no_letters(path):
    path.write_bytes(path.read_bytes().replace(b'CREATE INDEX', b'CREATE \xc9\xff\xfeEX'))


DAMAGE = {
    'garbage': lambda path: path.write_bytes(os.urandom(40_000)),
    'a line': lambda path: path.write_text('no database'),
    'cut short': lambda path: path.write_bytes(path.read_bytes()[:20_000]),
    'cut to a page': lambda path: path.write_bytes(path.read_bytes()[: 2**14]),
    'cut within the first page': lambda path: path.write_bytes(path.read_bytes()[:700]),
    'pages of zeros': lambda path: path.write_bytes(path.read_bytes()[:200] + bytes(60_000)),
    'another program': of_another_program,
    'another table': lambda path: change(path, 'CREATE TABLE more (a)'),
    'another column': lambda path: change(path, 'ALTER TABLE texts ADD COLUMN more DEFAULT 1'),
    'without its index': lambda path: change(path, 'DROP INDEX texts_by_use'),
    'an index that computes': lambda path: change(path, 'CREATE INDEX more ON texts (abs(used))'),
    'a view': lambda path: change(
        path, 'ALTER TABLE texts RENAME TO others', 'CREATE VIEW texts AS SELECT * FROM others'
    ),
    'a trigger': lambda path: change(
        path, 'CREATE TRIGGER boom AFTER INSERT ON texts BEGIN DELETE FROM texts WHERE rowid != new.rowid; END'
    ),
    'a log of writes': with_a_log_of_writes,
    'letters that are none': with_letters_that_are_none,
    'a schema of no letters': with_a_schema_of_no_letters,
    'no dimensions': lambda path: change(path, 'PRAGMA user_version=0'),
    'negative dimensions': lambda path: change(path, 'PRAGMA user_version=-8'),
    'a counter at its end': lambda path: change(path, 'UPDATE texts SET used = 9223372036854775807 WHERE rowid = 1'),
    'a negative counter': lambda path: change(path, 'UPDATE texts SET used = -1'),
}
if sys.version_info >= (3, 11):  # before, SQLite's errors have no code: that one is a warning, and the file stays
    DAMAGE['a format of the future'] = lambda path: path.write_bytes(
        path.read_bytes()[:47] + b'\x09' + path.read_bytes()[48:]
    )


@pytest.mark.parametrize('damage', [pytest.param(damage, id=name) for name, damage in DAMAGE.items()])
@pytest.mark.parametrize('first', ['get', 'put'])
def test_a_file_that_is_no_database_of_ours_is_replaced(cache, damage, first):
    texts = texts_of(200)
    cache.put(vectors_of(texts, DIMS))
    damage(cache.path)
    with pytest.warns(UserWarning, match='encoder.sqlite is damaged .*: a new one takes its place') as said:
        if first == 'get':
            assert cache.get(texts) == {}
        else:
            cache.put(vectors_of(texts))
            assert check(cache.get(texts)) == set(texts)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cache.put(vectors_of(texts))
        assert check(cache.get(texts)) == set(texts)
    database = sqlite3.connect(cache.path)
    assert database.execute("SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone() == (
        0,
    )
    assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',)
    database.close()
    assert [path.name for path in cache.folder.iterdir()] == ['encoder.sqlite']


def test_table_names_are_escaped_in_warnings(cache):
    cache.put(vectors_of(['a']))
    change(cache.path, f'CREATE TABLE "\x1b[2J\n{"x" * 5000}" (a)')
    with pytest.warns(UserWarning, match='a new one takes its place') as said:
        cache.get(['a'])
    message = str(said[0].message)
    assert message.isprintable() and len(message) < 1000


def test_embeddings_of_another_length_are_of_another_encoder(cache):
    cache.put(vectors_of(texts_of(5), 6))
    with pytest.warns(UserWarning, match='its embeddings have 6 dimensions, expected 8'):
        cache.put(vectors_of(['a']))
    assert check(cache.get(['a', *texts_of(5)])) == {'a'}


def test_embeddings_that_are_not_finite_are_not_stored(cache):
    cache.put({'a': np.full(DIMS, np.nan, np.float32), **vectors_of(['b'])})
    assert check(cache.get(['a', 'b'])) == {'b'}
    cache.put({'a': np.full(DIMS, np.inf, np.float32)})
    assert not cache.get(['a'])


@pytest.mark.parametrize('seed', range(60))
def test_bytes_that_have_changed_never_give_a_wrong_embedding(cache, seed):
    texts = texts_of(100)
    for start in range(0, 100, 25):
        cache.put(vectors_of(texts[start : start + 25], 64))
    random = np.random.default_rng(seed)
    content = np.frombuffer(cache.path.read_bytes(), np.uint8).copy()
    places = random.integers(0, 200 if seed % 3 == 0 else len(content), 1 + seed)
    content[places] = random.integers(0, 256, len(places))
    cache.path.write_bytes(content.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        check(cache.get(texts), 64)
        cache.put(vectors_of(texts, 64))
        check(EmbeddingCache(cache.folder, 'encoder').get(texts), 64)


def test_processes_that_replace_a_damaged_file_at_once_lose_nothing(cache):
    cache.folder.mkdir()
    cache.path.write_bytes(os.urandom(30_000))

    def job(number):
        warnings.simplefilter('ignore')
        own = EmbeddingCache(cache.folder, 'encoder', timeout=30)
        for step in range(5):
            own.put(vectors_of([f'{number} {step}']))
            assert check(own.get([f'{number} {step}']))

    in_children(*(lambda number=number: job(number) for number in range(6)))
    everything = [f'{number} {step}' for number in range(6) for step in range(5)]
    assert check(cache.get(everything)) == set(everything)


def link_to_a_database(path):
    other = EmbeddingCache(path.parent.parent / 'other', 'encoder')
    other.put(vectors_of(['of somebody else']))
    path.symlink_to(other.path)


def listen(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = {
    'a folder': lambda path: path.mkdir(),
    'a FIFO': os.mkfifo,
    'a socket': listen,
    'a symbolic link': link_to_a_database,
}


@pytest.mark.parametrize('suffix', ['', '-journal', '-wal', '-shm'])
@pytest.mark.parametrize('kind', list(SPECIAL))
def test_only_regular_files_are_opened(cache, kind, suffix):
    if suffix:
        cache.put(vectors_of(texts_of(5)))
    else:
        cache.folder.mkdir()
    beside = cache.path.with_name(cache.path.name + suffix)
    SPECIAL[kind](beside)
    with pytest.warns(UserWarning, match=f'{beside.name} is {kind}: expected a regular file') as said:
        assert cache.get(['a', 'of somebody else']) == {}
        cache.put(vectors_of(['a']))
    assert len(said) == 1
    if kind == 'a symbolic link':
        other = EmbeddingCache(cache.folder.parent / 'other', 'encoder')
        assert check(other.get(['a', 'of somebody else'])) == {'of somebody else'}


@pytest.mark.parametrize('suffix', ['-journal', '-wal'])
def test_garbage_in_journal_files_loses_no_text(cache, suffix):
    cache.put(vectors_of(texts_of(5)))
    cache.path.with_name(cache.path.name + suffix).write_bytes(os.urandom(50_000))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        check(cache.get(texts_of(5)))
        cache.put(vectors_of(texts_of(10)))
    assert check(EmbeddingCache(cache.folder, 'encoder').get(texts_of(10))) == set(texts_of(10))


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv('HYPERBOLIC_SEG_CACHE', str(tmp_path / 'own'))
    assert default_cache_dir() == tmp_path / 'own'


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems have other folders')
@pytest.mark.parametrize('own', [None, ''])
def test_the_folder_is_that_of_the_user_by_default(monkeypatch, tmp_path, own):
    monkeypatch.delenv('HYPERBOLIC_SEG_CACHE', raising=False)
    if own is not None:
        monkeypatch.setenv('HYPERBOLIC_SEG_CACHE', own)
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    assert default_cache_dir() == tmp_path / 'xdg' / 'hyperbolic_seg'
    for unset in (lambda: monkeypatch.setenv('XDG_CACHE_HOME', ''), lambda: monkeypatch.delenv('XDG_CACHE_HOME')):
        unset()
        assert default_cache_dir() == tmp_path / '.cache' / 'hyperbolic_seg'


def test_a_journal_that_names_another_file_deletes_nothing(tmp_path):
    """SQLite plays a hot journal back, and removes the super-journal that it names."""
    cache = EmbeddingCache(tmp_path / 'cache', 'e' * 64)
    cache.put({'a': np.ones(4, 'f4')})
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    name = str(victim).encode()
    header = bytes.fromhex('d9d505f920a163d7') + struct.pack('>iIIII', 0, 0, 1, 512, 4096)
    record = struct.pack('>I', 0x40000000 // 4096 + 1) + name + struct.pack('>II', len(name), sum(name))
    journal = cache.path.with_name(cache.path.name + '-journal')
    journal.write_bytes(header.ljust(512, b'\0') + record + bytes.fromhex('d9d505f920a163d7'))
    with pytest.warns(UserWarning, match='names another journal'):
        assert cache.get(['a']) == {}
    assert victim.read_text() == 'precious' and journal.is_file()


def test_a_trigger_behind_a_doubled_row_of_the_schema_is_damage(tmp_path):
    cache = EmbeddingCache(tmp_path, 'e' * 64)
    cache.put({'a': np.ones(4, 'f4')})
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as database:
        database.execute('PRAGMA writable_schema=ON')
        rows = database.execute('SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master').fetchall()
        database.execute('DELETE FROM sqlite_master')
        body = "UPDATE texts SET checksum = x'00' WHERE key <> new.key"
        trigger = ('trigger', 'x', 'texts', 0, f'CREATE TRIGGER x AFTER INSERT ON texts BEGIN {body}; END')
        internal = [row for row in rows if row[4] is None]
        added = [*rows, *internal, trigger]
        insert = 'INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?,?,?,?,?)'
        database.executemany(insert, added)
    with pytest.warns(UserWarning):
        cache.put({'b': np.ones(4, 'f4')})
        assert cache.get(['a']) == {}
