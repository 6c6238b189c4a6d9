"""``hyperbolic-seg archive`` as a shell runs it."""

import json

import pyarrow.parquet as pq
import pytest

PROMPTS = ('--prompts', 'clear sky, cloud')


def test_a_folder_is_predicted_once(command, images, tmp_path):
    out = tmp_path / 'out'
    done = command('archive', images, out, *PROMPTS, '--partition', 2, '--json')
    assert done.code == 1, done.err
    summary = json.loads(done.out)
    assert (summary['pictures'], summary['done'], summary['refused'], summary['failures']) == (4, 4, 1, [])
    assert f'refused: 1 images, each with the reason in {out}/refusals.csv' in done.err
    assert '4 of 4 images written to' in done.err
    found = [
        json.loads(text) for path in (out / 'records').iterdir() for text in pq.read_table(path)['record'].to_pylist()
    ]
    records = {record['image']: record for record in found}
    alone = command('predict', images, '--out', tmp_path / 'masks', *PROMPTS, '--no-maps', '--json')
    for line in map(json.loads, alone.out.splitlines()):
        name = line['image'].rpartition('/')[2]
        assert records[name] == line | dict(image=name) or 'error' in line
    assert records['broken.jpg'].keys() == {'image', 'error'} and str(images) not in records['broken.jpg']['error']
    again = command('archive', images, out, *PROMPTS, '--partition', 2)
    assert 'partitions are done already' in again.err and '0 of them now' in again.err
    other = command('archive', images, out, '--prompts', 'clear sky, cirrus')
    assert other.code == 2 and 'give another folder' in other.err


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--labels'], '--labels needs --camera'),
        (['--scheduler', 'none.json'], 'none.json'),
        (['--threshold', '0.2'], '--threshold 0.2: expected more than 0.5'),
        (['--model', 'none'], 'none'),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(command, images, tmp_path, arguments, said):
    done = command('archive', images, tmp_path / 'out', *arguments)
    assert done.code == 2 and said in done.err
    assert not (tmp_path / 'out').exists()
