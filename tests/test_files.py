"""Files of strangers: their kinds, their links and their names."""

import os
import socket
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.files import (
    images_in,
    open_own,
    open_regular,
    own_path,
    printable,
    read_regular,
    remove_parts,
    table_cell,
    whole_file,
    write_whole,
)

needs_fifos = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
needs_sockets = pytest.mark.skipif(not hasattr(socket, 'AF_UNIX'), reason='this system has no sockets in folders')
needs_links = pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
ANY = st.text(st.characters(codec=None), max_size=20)


@needs_fifos
def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.jpg')
    with pytest.raises(ValueError, match=r'a\.jpg is a FIFO: expected a regular file'):
        open_regular(tmp_path / 'a.jpg')
    with pytest.raises(ValueError, match='a FIFO'):
        read_regular(tmp_path / 'a.jpg', max_bytes=10)


@needs_sockets
def test_a_socket_a_device_and_a_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind('a.jpg')
        with pytest.raises(ValueError, match=r'a\.jpg is a socket'):
            open_regular('a.jpg')
    with pytest.raises(ValueError, match='is a device'):
        open_regular(os.devnull)
    with pytest.raises(ValueError, match='is a folder'):
        open_regular(tmp_path)


def test_regular_files_are_read_up_to_a_size(tmp_path):
    (tmp_path / 'a').write_bytes(b'12345')
    assert read_regular(tmp_path / 'a', max_bytes=5) == b'12345'
    with pytest.raises(ValueError, match='more than 4 bytes'):
        read_regular(tmp_path / 'a', max_bytes=4)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / 'none', max_bytes=4)


def test_a_whole_file_appears_after_its_block(tmp_path):
    with whole_file(tmp_path / 'day.csv') as part:
        assert part.suffix == '.csv' and not part.exists()
        part.write_text('whole')
        assert not (tmp_path / 'day.csv').exists()
    assert (tmp_path / 'day.csv').read_text() == 'whole'
    assert os.listdir(tmp_path) == ['day.csv']


def test_an_error_leaves_the_older_file(tmp_path):
    (tmp_path / 'day.csv').write_text('older')
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / 'day.csv') as part:
        part.write_text('half')
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('day.csv', 'older')]


def test_a_folder_in_its_place_and_a_missing_one_are_errors(tmp_path):
    (tmp_path / 'a.png').mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / 'a.png', b'in the place of a folder')
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / 'none' / 'a.png', b'x')
    assert os.listdir(tmp_path) == ['a.png'], 'nothing else is left'


@needs_links
def test_what_is_written_as_a_whole_goes_through_no_link(tmp_path):
    (tmp_path / 'mine').write_bytes(b'mine')
    (tmp_path / 'a.png').symlink_to('mine')
    (tmp_path / 'a.png.part').symlink_to('mine')
    write_whole(tmp_path / 'a.png', b'new')
    assert (tmp_path / 'a.png').read_bytes() == b'new' and not (tmp_path / 'a.png').is_symlink()
    assert (tmp_path / 'mine').read_bytes() == b'mine'
    assert sorted(os.listdir(tmp_path)) == ['a.png', 'a.png.part', 'mine'], 'nothing else is left'


def test_a_part_of_an_image_is_taken_for_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'replace', lambda part, path: images_in(path.parent))
    with pytest.raises(FileNotFoundError, match='no image in'):
        write_whole(tmp_path / 'a.png', b'x')


KILLED = """
import os, signal, sys
from hyperbolic_seg.files import whole_file
with whole_file(sys.argv[1]) as part:
    part.write_text('half')
    os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_links
def test_what_killed_processes_have_left_is_removed_and_nothing_else(tmp_path):
    results = tmp_path / 'results'
    (results / 'labels' / 'night').mkdir(parents=True)
    (results / 'labels' / '.mine').mkdir()
    (results / 'a.part').mkdir()
    other = tmp_path / '.other.part'
    other.mkdir()
    (other / 'mine').write_text('mine')
    (results / '.link.part').symlink_to(other)
    before = sorted(results.rglob('*'))
    for target in (results / 'day.csv', results / 'labels' / 'night' / 'a.png'):
        assert subprocess.run([sys.executable, '-c', KILLED, target]).returncode < 0
    assert len(sorted(results.rglob('*'))) == len(before) + 4, 'two folders with a file each'
    remove_parts(results)
    assert sorted(results.rglob('*')) == before and (other / 'mine').read_text() == 'mine'


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no modes')
def test_whole_files_have_the_mode_of_others_and_parts_are_private(tmp_path):
    (tmp_path / 'other').write_bytes(b'x')
    with whole_file(tmp_path / 'a') as part:
        part.write_bytes(b'x')
        assert stat.S_IMODE(part.parent.stat().st_mode) == 0o700
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'other').stat().st_mode


@pytest.mark.parametrize('name', ['../a', 'night/../../a', '..', '/etc/a', 'a/..'])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match='leads out of the folder'):
        own_path(tmp_path, 'labels', name)


def test_names_that_stay_below_the_folder_are_accepted(tmp_path):
    for name in ('...png', '..a', 'night/a', './a', 'sky [x].png', '-'):
        assert own_path(tmp_path, 'labels', name) == tmp_path / 'labels' / name


@needs_links
def test_a_link_below_the_folder_is_named(tmp_path):
    outside, out = tmp_path / 'outside', tmp_path / 'chosen'
    (outside / 'real').mkdir(parents=True)
    out.symlink_to(outside)  # which is for its owner to choose
    assert own_path(out, 'real', 'a.png') == out / 'real' / 'a.png'
    (outside / 'labels').symlink_to('real')
    (outside / 'real' / 'a.png').symlink_to('nowhere')
    for names, link in ((('labels', 'night/a.png'), 'labels'), (('real', 'a.png'), 'a.png')):
        with pytest.raises(OSError, match=rf'{link} is a link, and results are written through none: remove it'):
            own_path(out, *names)


@needs_fifos
def test_fifos_and_folders_are_not_written_to(tmp_path):
    os.mkfifo(tmp_path / 'a.csv')
    (tmp_path / 'b.csv').mkdir()
    for open_it in (lambda name: own_path(tmp_path, name), lambda name: open_own(tmp_path / name)):
        with pytest.raises(OSError, match=r'a\.csv is a FIFO, in the place of a file of results: remove it'):
            open_it('a.csv')
        with pytest.raises(OSError, match=r'b\.csv'):
            open_it('b.csv')


@needs_links
def test_an_own_file_is_opened_through_no_link_even_if_it_came_late(tmp_path):
    (tmp_path / 'mine').write_bytes(b'mine')
    (tmp_path / 'a.csv').symlink_to('mine')
    for append in (False, True):
        with pytest.raises(OSError):
            open_own(tmp_path / 'a.csv', append=append)
    assert (tmp_path / 'mine').read_bytes() == b'mine'


def test_an_own_file_is_emptied_or_appended_to(tmp_path):
    for append, expected in ((True, b'x'), (True, b'xx'), (False, b'x')):
        with os.fdopen(open_own(tmp_path / 'a', append=append), 'a+b') as file:
            file.write(b'x')
        assert (tmp_path / 'a').read_bytes() == expected
    assert not stat.S_IMODE((tmp_path / 'a').stat().st_mode) & 0o111, 'it is no program'


@given(ANY)
def test_nothing_printable_speaks_to_a_terminal(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {'Cc', 'Cf', 'Cs', 'Zl', 'Zp'}
    shown.encode()
    if text.isascii() and text.isprintable():
        assert shown == text


@given(ANY, st.sampled_from(["'", './']))
def test_cells_hold_no_control_character_and_no_formula(text, lead):
    cell = table_cell(text, lead=lead)
    assert not {unicodedata.category(c) for c in cell} & {'Cc', 'Cf', 'Zl', 'Zp'}
    assert not cell.startswith(tuple('=+-@＝＋－＠'))
    cell.encode('utf-8', 'surrogateescape')


@given(st.binary(max_size=20).filter(lambda name: not any(byte < 32 or byte == 127 for byte in name)))
def test_bytes_that_are_no_utf_8_are_kept_in_cells(name):
    text = name.decode('utf-8', 'surrogateescape')
    if not {unicodedata.category(c) for c in text} & {'Cc', 'Cf', 'Zl', 'Zp'}:
        assert table_cell(text).encode('utf-8', 'surrogateescape').endswith(name)


@needs_links
def test_a_path_with_a_lead_is_the_same_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('=1+1.jpg').write_bytes(b'x')
    assert Path(table_cell('=1+1.jpg', lead='./')).samefile('=1+1.jpg')
