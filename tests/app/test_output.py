"""Files that are complete or absent."""

import os

import pytest

from hyperbolic_seg.app.output import whole_file


def test_a_file_appears_after_its_block(tmp_path):
    with whole_file(tmp_path / 'new' / 'day.csv') as part:
        assert part.suffix == '.csv'
        part.write_text('whole')
        assert not (tmp_path / 'new' / 'day.csv').exists()
    assert (tmp_path / 'new' / 'day.csv').read_text() == 'whole'
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['day.csv']


def test_an_error_leaves_the_older_file(tmp_path):
    (tmp_path / 'day.csv').write_text('older')
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / 'day.csv') as part:
        part.write_text('half')
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('day.csv', 'older')]


@pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / 'day.csv').symlink_to('mine')
    with whole_file(tmp_path / 'day.csv') as part:
        part.write_text('whole')
    assert (tmp_path / 'mine').read_text() == 'mine' and (tmp_path / 'day.csv').read_text() == 'whole'
