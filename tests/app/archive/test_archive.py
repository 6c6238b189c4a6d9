"""Results of an archive, whatever its source: each picture once, also after changes and failures."""

import csv
import json
import os
import shutil
import tarfile

import numpy as np
import pytest
import xarray as xr

from hyperbolic_seg.app.archive import archive, connected, list_pictures
from hyperbolic_seg.app.archive.plan import partitions
from hyperbolic_seg.app.selection import Selection
from tests.app.archive.cheap import CheapRecipe
from tests.app.archive.skies import encoded, fill, name, rows_of, serial


@pytest.fixture(scope='module')
def client():
    with connected('threads', 2) as found:
        yield found


@pytest.fixture
def source(tmp_path):
    return fill(tmp_path / 'source', 60)


def run(source, destination, client, *, recipe=None, size=8, **options):
    return archive(str(source), str(destination), recipe or CheapRecipe(), client, size=size, **options)


def without_time_of_change(rows):
    return [{key: value for key, value in row.items() if key != 'version'} for row in rows]


def test_every_picture_has_the_row_of_a_serial_run(client, source, tmp_path):
    (source / 'broken.png').write_bytes(b'no picture')
    summary = run(source, tmp_path / 'out', client)
    assert (summary.pictures, summary.done, summary.predicted, summary.refused) == (61, 61, 61, 1)
    assert summary.partitions > 5 and not summary.failures
    rows = rows_of(tmp_path / 'out')
    expected = serial(source, CheapRecipe())
    refused = expected[-1]
    assert refused['image'] == 'broken.png' and str(source) in refused['refusal']
    assert rows[-1]['refusal'] == 'broken.png is no readable image', 'the name at the source, and of no other file'
    assert rows[:-1] == expected[:-1]
    with (tmp_path / 'out' / 'refusals.csv').open() as file:
        assert list(csv.DictReader(file)) == [dict(image='broken.png', reason='broken.png is no readable image')]
    assert json.loads((tmp_path / 'out' / '_SUCCESS').read_text())['pictures'] == 61


def test_a_second_run_predicts_nothing_and_a_larger_source_only_what_is_new(client, source, tmp_path):
    out = tmp_path / 'out'
    run(source, out, client)
    before = {path.name: path.stat().st_mtime_ns for path in (out / 'records').iterdir()}
    assert run(source, out, client).predicted == 0
    (source / '0000' / '20240621T220001.png').write_bytes(encoded(1000))
    summary = run(source, out, client)
    assert 1 <= summary.predicted < 40, 'its partition and at most some after it'
    after = {path.name: path.stat().st_mtime_ns for path in (out / 'records').iterdir()}
    kept = before.keys() & after.keys()
    assert kept and all(before[each] == after[each] for each in kept)
    assert rows_of(out) == serial(source, CheapRecipe()), 'and no partition of before is left'


def test_a_picture_that_is_written_again_is_predicted_again(client, source, tmp_path):
    out = tmp_path / 'out'
    run(source, out, client)
    changed = next(source.rglob(name(5)))
    changed.write_bytes(encoded(777))
    os.utime(changed, (1, 1))
    assert run(source, out, client).predicted > 0
    assert rows_of(out) == serial(source, CheapRecipe())


def test_a_folder_has_the_results_of_one_model(client, source, tmp_path):
    run(source, tmp_path / 'out', client)
    with pytest.raises(ValueError, match='has results of another model.*give another folder'):
        run(source, tmp_path / 'out', client, recipe=CheapRecipe(level=3))
    assert rows_of(tmp_path / 'out') == serial(source, CheapRecipe())


def test_what_failed_is_named_and_done_by_the_next_run(client, source, tmp_path, monkeypatch):
    from hyperbolic_seg.app.archive.sources import Source

    read = Source.read

    def lost(self, picture):
        if picture.key.endswith(name(20)):
            raise OSError('the share is gone')
        return read(self, picture)

    monkeypatch.setattr(Source, 'read', lost)
    summary = run(source, tmp_path / 'out', client)
    (failure,) = summary.failures
    assert 'the share is gone' in failure.reason and failure.what.startswith('pictures from 0000/')
    assert 0 < summary.done < 60 and not (tmp_path / 'out' / '_SUCCESS').exists()
    monkeypatch.undo()
    again = run(source, tmp_path / 'out', client)
    assert again.predicted == 60 - summary.done and not again.failures
    assert rows_of(tmp_path / 'out') == serial(source, CheapRecipe())


def test_after_ten_failures_nothing_more_is_tried(client, source, tmp_path, monkeypatch):
    from hyperbolic_seg.app.archive.sources import Source

    def lost(self, picture):
        raise OSError('the share is gone')

    monkeypatch.setattr(Source, 'read', lost)
    summary = run(source, tmp_path / 'out', client, size=1)
    assert summary.done == 0 and len(summary.failures) == 11
    assert summary.failures[-1].what == '50 more'


def test_a_damaged_file_of_results_is_refused(client, source, tmp_path):
    run(source, tmp_path / 'out', client)
    victim = min((tmp_path / 'out' / 'records').iterdir())
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f'{victim.name} is damaged: remove it'):
        run(source, tmp_path / 'out', client)
    victim.unlink()
    run(source, tmp_path / 'out', client)
    assert rows_of(tmp_path / 'out') == serial(source, CheapRecipe())


def test_files_of_other_pictures_are_refused(client, source, tmp_path):
    run(source, tmp_path / 'out', client)
    one, other = sorted((tmp_path / 'out' / 'records').iterdir())[:2]
    shutil.copy(one, other)
    with pytest.raises(RuntimeError, match='has other pictures than planned'):
        run(source, tmp_path / 'out', client)


def test_shards_have_the_pictures_of_the_folder(client, source, tmp_path):
    (tmp_path / 'shards').mkdir()
    for number, folder in enumerate(sorted(source.iterdir())):
        with tarfile.open(tmp_path / 'shards' / f'{number}.tar', 'w') as shard:
            shard.add(folder, arcname='.')
    (tmp_path / 'shards' / '2.tar').write_bytes((tmp_path / 'shards' / '0.tar').read_bytes())
    with tarfile.open(tmp_path / 'shards' / '1.tar', 'a') as shard:  # the first picture of it again, and one outside
        again = min((source / '0001').iterdir())
        shard.add(again, arcname=again.name)
        shard.add(again, arcname='../outside.png')
    summary = run(tmp_path / 'shards', tmp_path / 'out', client)
    assert (summary.pictures, summary.refused) == (60 + 50 + 1, 1)
    rows = rows_of(tmp_path / 'out')
    assert len({row['image'] for row in rows}) == len(rows) == 111
    by_name = {row['image'].rpartition('/')[2]: row for row in serial(source, CheapRecipe())}
    for row in rows:
        shard, _, member = row['image'].rpartition('/')
        if row['refusal'] is not None:
            assert row['image'] == '1.tar/../outside.png' and 'without ".."' in row['refusal']
        else:
            assert shard in ('0.tar', '1.tar', '2.tar')
            assert row['fractions'] == by_name[member]['fractions'] and row['time'] == by_name[member]['time']


def test_a_compressed_shard_and_an_empty_source_are_refused(tmp_path):
    with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz'):
        pass
    with pytest.raises(ValueError, match=r'a\.tar\.gz is compressed.*unpack it'):
        list_pictures(str(tmp_path), Selection())
    (tmp_path / 'a.tar.gz').rename(tmp_path / 'a.tar')
    with pytest.raises(ValueError, match=r'a\.tar is no readable tar file'):
        list_pictures(str(tmp_path), Selection())
    (tmp_path / 'a.tar').unlink()
    with pytest.raises(FileNotFoundError, match='no picture in'):
        list_pictures(str(tmp_path), Selection())
    with pytest.raises(FileNotFoundError, match='no folder or shard'):
        list_pictures(str(tmp_path / 'none'), Selection())


def test_hidden_names_links_and_keograms_are_left_out(tmp_path):
    (tmp_path / '.part').mkdir()
    for path in ('.part/a.png', '.b.png', 'keogram.png', 'c.png', 'd.txt'):
        (tmp_path / path).write_bytes(encoded(0))
    (tmp_path / 'e.png').symlink_to(tmp_path / 'c.png')
    (tmp_path / 'loop').symlink_to(tmp_path)
    found = list_pictures(str(tmp_path), Selection())
    assert [picture.key for picture in found.pictures] == ['c.png']
    assert any('1 by *keogram*' in note for note in found.notes)
    assert '2 links are not followed: name what they lead to' in found.notes
    both = list_pictures(str(tmp_path), Selection(include=('keogram*',)))
    assert [picture.key for picture in both.pictures] == ['c.png', 'keogram.png']


def test_partitions_have_each_picture_once_and_most_of_them_outlive_a_new_one(source):
    pictures = list_pictures(str(source), Selection()).pictures
    cut = list(partitions(pictures, 'x', size=6, ordered=False))
    assert [picture for each in cut for picture in each.pictures] == pictures
    assert all(3 <= len(each.pictures) <= 12 for each in cut[:-1])
    assert len({each.address for each in cut}) == len(cut)
    fewer = list(partitions(pictures[1:], 'x', size=6, ordered=False))
    assert len({each.address for each in cut} & {each.address for each in fewer}) >= len(cut) - 3
    assert not {each.address for each in cut} & {
        each.address for each in partitions(pictures, 'y', size=6, ordered=False)
    }
    with pytest.raises(ValueError, match='expected at least 1'):
        list(partitions(pictures, 'x', size=0, ordered=False))


def test_labels_open_as_one_data_set(client, source, tmp_path):
    (source / 'untimed.png').write_bytes(encoded(99))
    summary = run(source, tmp_path / 'out', client, with_labels=True)
    assert summary.days == 2 and not summary.failures
    with xr.open_mfdataset(str(tmp_path / 'out' / 'labels' / '*.zarr'), engine='zarr') as found:
        assert found.labels.shape == (60, 32, 32) and found.labels.dtype == np.uint8
        assert found.labels.encoding['chunks'] == (1, 32, 32)
        assert found.labels.attrs['flag_meanings'] == 'dark bright'
        assert (np.diff(found.time) > np.timedelta64(0)).all()
        shares = {row['image']: dict(row['fractions'])['bright'] for row in rows_of(tmp_path / 'out')}
        means = dict(zip(found.image.values, found.labels.mean(('y', 'x')).values, strict=True))
    assert means == pytest.approx({image: shares[image] for image in means}) and len(means) == 60
    stores = {path.name: path.stat().st_ino for path in (tmp_path / 'out' / 'labels').iterdir()}
    run(source, tmp_path / 'out', client, with_labels=True)
    assert stores == {path.name: path.stat().st_ino for path in (tmp_path / 'out' / 'labels').iterdir()}


def test_labels_of_one_time_or_of_two_sizes_are_refused(client, tmp_path):
    source = tmp_path / 'source'
    for folder, day, side in (('a', 21, 32), ('b', 21, 32), ('a', 22, 32), ('a', 23, 32)):
        path = source / folder / f'202406{day}T120000.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(day, side))
    (source / 'a' / '20240623T130000.png').write_bytes(encoded(1, 48))
    summary = run(source, tmp_path / 'out', client, with_labels=True)
    reasons = {failure.what: failure.reason for failure in summary.failures}
    assert 'a/20240621T120000.png and b/20240621T120000.png have the same time' in reasons['labels of 2024-06-21']
    assert 'has labels of (48, 48) pixels' in reasons['labels of 2024-06-23']
    assert summary.done == summary.pictures == 5 and len(reasons) == 2
    assert [path.name for path in (tmp_path / 'out' / 'labels').iterdir()] == ['2024-06-22.zarr']
