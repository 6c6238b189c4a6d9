"""The benchmark of open vocabularies says what is missing, and fills its table with what it finds."""

import runpy


def test_missing_sets_are_named_with_what_writes_them(tool, tmp_path):
    (tmp_path / 'weights.pth').touch()
    command = ('benchmarks/open_vocabulary', '--model', 'catseg_vitb16_384', '--checkpoint', tmp_path / 'weights.pth')
    roots = [f'test_dataloader.dataset.data_root={tmp_path}/none']
    done = tool(*command, '--sets', 'ade150', 'pc459', '--cfg-options', *roots)
    assert done.returncode == 1
    assert f'A-150 is not here: expected {tmp_path}/none/images/validation, {tmp_path}/none/annotations' in done.stderr
    assert 'PC-459 is not here' in done.stderr and 'pascal_context459.py' in done.stderr
    assert '| A-150 | 31.8 |  |' in done.stdout and '| PC-459 | 19.0 |  |' in done.stdout


def test_a_missing_checkpoint_is_refused(tool, tmp_path):
    done = tool('benchmarks/open_vocabulary', '--model', 'catseg_vitb16_384', '--checkpoint', tmp_path / 'none.pth')
    assert done.returncode == 2 and f'no checkpoint {tmp_path}/none.pth' in done.stderr


def test_the_table_has_what_was_found_beside_what_was_published(repository):
    table = runpy.run_path(str(repository / 'tools/benchmarks/open_vocabulary.py'))['table']
    rows = table('hyperclip_vitb16_384', dict(voc20=94.87)).splitlines()
    assert '| PAS-20 | 94.9 | 94.9 |' in rows and '| A-847 | 11.9 |  |' in rows
    assert '| PAS-20 |  | 1.0 |' in table('hyperclip_vitl14_336', dict(voc20=1.0))
