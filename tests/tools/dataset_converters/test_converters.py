"""The converters, run as a user runs them."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from hyperbolic_seg.text import Vocabulary
from tests import processes

NAMES = ('swimseg', 'swinseg', 'wsiseg', 'hyta', 'hrc_whu', 'ccsn')
GENERA = ('Ac', 'As', 'Cb', 'Cc', 'Ci', 'Cs', 'Ct', 'Cu', 'Ns', 'Sc', 'St')
RANDOM = np.random.default_rng(0)
# One thread, because starting many takes longer than the work.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
ENVIRONMENT |= {'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}


def convert(repository, name, source, out, *options, code=0):
    script = repository / 'tools' / 'dataset_converters' / f'{name}.py'
    done = processes.run(script, source, out, *options, cwd=repository)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def fingerprint(folder):
    """Content and time of every file."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def contents(folder):
    return {name: digest for name, (_, digest) in fingerprint(folder).items()}


def table(out):
    with (out / 'conversion.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def split(out, name):
    return (out / 'splits' / f'{name}.txt').read_text().split()


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def write(path, image):
    """Write in the format of the suffix, PNG if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix or '.png', image)[1].tobytes())


def image(height=20, width=30):
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


def mask(*values, height=20, width=30):
    """Stripes of the given values."""
    columns = np.arange(width) * len(values) // width
    return np.tile(np.array(values, np.uint8)[columns], (height, 1))


def make_swimseg(root, days=(4, 3, 2, 1)):
    lines = ['Number,Date,Time']
    for day, count in enumerate(days):
        for _ in range(count):
            number = len(lines)
            write(root / 'images' / f'{number:04d}.png', image())
            write(root / 'GTmaps' / f'{number:04d}_GT.png', mask(0, 255))
            lines.append(f'{number:04d},201301{day + 1:02d},120000')
    (root / 'metadata.csv').write_text('\r\n'.join(lines) + '\r\n', newline='')
    return root


def make_swinseg(root):
    lines = ['Number \t Date \t Time \t ISO ']
    for number in range(1, 7):
        write(root / 'images' / f'{number:03d}.jpg', image())
        write(root / 'GTmaps' / f'{number:03d}_GT.jpg', mask(3, 250, 127, 128, width=32)[:, :30])
        lines.append(f'{number} \t 2016010{number // 2} \t 012003 \t 100.0000 ')
    (root / 'metadata.txt').write_text('\n'.join(lines))
    return root


def make_wsiseg(root, count=40, suffix=''):
    for number in range(1, count + 1):
        write(root / 'whole sky images' / f'ASC_{number:03d}{suffix}', image())
        write(root / 'annotation' / f'ASC_{number:03d}{suffix}', mask(0, 100, 255))
    return root


def make_hyta(root):
    for number in range(1, 6):
        height, width = 16 + 8 * number, 64 - 8 * number
        write(root / 'images' / f'B{number}.jpg', image(height, width))
        blocks = mask(0, 255, height=height, width=width)
        write(root / '2GT' / f'B{number}_GT.jpg', blocks)
        levels = mask(0, 126, 255, height=height, width=width)
        write(root / '3GT' / f'B{number}_3GT.png', levels)
    return root


def make_hrc_whu(root):
    for number in range(6):
        write(root / f'urban_{number}.tif', image(18, 32))
        cloud = 255 if number % 2 else 1
        labels = mask(0, cloud, height=18, width=32)
        write(root / f'urban_{number}_ReferenceMask.tif', labels)
    return root


def make_ccsn(root, count=10):
    for genus in GENERA:
        for number in range(1, count + 1):
            write(root / genus / f'{genus}-N{number:03d}.jpg', image(20, 20))
    return root


MAKE = {name: globals()[f'make_{name}'] for name in NAMES}


@pytest.fixture(scope='session')
def originals(real_data):
    folder = real_data / 'original_layout'
    if not folder.is_dir():
        pytest.skip(f'{folder} with samples of the original layouts is not there')
    return folder


@pytest.fixture
def swimseg(tmp_path):
    return make_swimseg(tmp_path / 'SWIMSEG')


@pytest.mark.parametrize('name', ['swimseg', 'swinseg', 'wsiseg'])
def test_original_files_give_the_known_masks(repository, real_data, originals, tmp_path, name):
    source, out = originals / name.upper(), tmp_path / 'out'
    before = fingerprint(source)
    convert(repository, name, source, out)
    assert fingerprint(source) == before
    rows = table(out)
    assert rows
    assert {row['status'] for row in rows} == {'converted'}
    for row in rows:
        stem, original = row['stem'], source / row['source']
        assert np.array_equal(read(out / f'masks/{stem}.png'), read(real_data / name / f'masks/{stem}.png'))
        suffix = '.jpg' if name == 'swinseg' else '.png'
        assert (out / f'images/{stem}{suffix}').read_bytes() == original.read_bytes()
    assert split(out, 'val')
    assert split(out, 'train')


def test_original_ccsn_gets_the_label_of_its_folders(repository, originals, tmp_path):
    out = tmp_path / 'out'
    convert(repository, 'ccsn', originals / 'CCSN', out)
    ids = {concept.abbreviation: i for i, concept in enumerate(Vocabulary.load('sky'))}
    rows = table(out)
    assert len(rows) == len(GENERA)
    for row in rows:
        labels = read(out / f'masks/{row["stem"]}.png')
        assert np.unique(labels).tolist() == [ids[row['stem'][:2]]]
        assert labels.shape == read(out / f'images/{row["stem"]}.jpg').shape[:2]
    assert len(split(out, 'val')) == 2


@pytest.mark.parametrize('name', NAMES)
def test_a_second_run_writes_nothing_and_a_resumed_one_only_what_is_missing(repository, tmp_path, name):
    source, out = MAKE[name](tmp_path / 'source'), tmp_path / 'out'
    before = fingerprint(source)
    done = convert(repository, name, source, out, '--test-fraction', 0.2)
    assert '100%' in done.stderr, 'a progress bar'
    assert fingerprint(source) == before
    first = fingerprint(out)

    rows = table(out)
    assert all(row['status'] == 'converted' and not row['reason'] for row in rows)
    assert all((source / row['source']).is_file() for row in rows)
    stems = {name: split(out, name) for name in ('train', 'val', 'test')}
    assert sum(map(len, stems.values())) == len(rows)
    assert all(row['stem'] in stems[row['split']] for row in rows)
    assert {row['split'] for row in rows} == {'train', 'val', 'test'}
    assert len({path.suffix for path in (out / 'images').iterdir()}) == 1

    again = convert(repository, name, source, out, '--test-fraction', 0.2)
    assert 'files: 0 written' in again.stdout
    assert fingerprint(out) == first

    for path in [*sorted(out.glob('images/*'))[1:3], *sorted(out.glob('masks/*'))[2:4]]:
        path.unlink()
    (out / 'conversion.csv').unlink()
    (out / 'splits' / 'val.txt').unlink()
    for stray in (out / 'masks' / '.abc.part', out / '.def.part'):
        stray.mkdir()
        (stray / 'part').write_bytes(b'half')
    resumed = convert(repository, name, source, out, '--test-fraction', 0.2)
    assert 'files: 4 written' in resumed.stdout
    assert contents(out) == {name: digest for name, (_, digest) in first.items()}
    kept = sorted(out.glob('images/*'))[0].relative_to(out).as_posix()
    assert fingerprint(out)[kept] == first[kept]


def test_the_library_need_not_be_installed(repository, tmp_path):
    source, script = make_wsiseg(tmp_path / 'source'), repository / 'tools' / 'dataset_converters' / 'wsiseg.py'
    # Without 'site' an editable library is not found, and the other packages are by their folder.
    environment = ENVIRONMENT | {'PYTHONPATH': str(Path(np.__file__).parents[1])}
    bare = [sys.executable, '-S']
    missing = subprocess.run([*bare, '-c', 'import hyperbolic_seg'], env=environment, cwd=tmp_path, capture_output=True)
    if not missing.returncode:
        pytest.skip('the library is installed as a copy')
    run = [*bare, str(script), str(source), str(tmp_path / 'out')]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path / 'out')


def test_a_killed_run_is_continued(repository, tmp_path):
    source = make_wsiseg(tmp_path / 'source', count=200)
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    script = repository / 'tools' / 'dataset_converters' / 'wsiseg.py'
    run = subprocess.Popen([sys.executable, str(script), str(source), str(out)], stderr=subprocess.DEVNULL)
    while run.poll() is None and not (out / 'images' / 'ASC_020.png').exists():
        pass
    run.kill()
    run.wait()
    convert(repository, 'wsiseg', source, out)
    convert(repository, 'wsiseg', source, whole)
    assert contents(out) == contents(whole)


@pytest.mark.parametrize('name, val', [('swimseg', 0.2), ('swinseg', 0.4)])
def test_days_are_not_divided_between_splits(repository, tmp_path, name, val):
    source, out = MAKE[name](tmp_path / 'source'), tmp_path / 'out'
    convert(repository, name, source, out, '--val-fraction', val, '--test-fraction', 0.2)
    splits = defaultdict(set)
    for row in table(out):
        assert len(row['group']) == 8
        splits[row['group']].add(row['split'])
    assert len(splits) >= 4
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize('suffix', ['', '.png'])
def test_wsiseg_is_split_in_blocks(repository, tmp_path, suffix):
    source, out = make_wsiseg(tmp_path / 'source', 40, suffix), tmp_path / 'out'
    convert(repository, 'wsiseg', source, out, '--blocks', 10)
    rows = table(out)
    assert [row['group'] for row in rows[:5]] == ['0001-0004'] * 4 + ['0005-0008']
    assert len(split(out, 'val')) == 8
    for start in range(0, 40, 4):
        assert len({row['split'] for row in rows[start : start + 4]}) == 1
    labels = read(out / 'masks' / 'ASC_001.png')
    assert labels[0, ::10].tolist() == [255, 0, 1]


def test_hyta_masks_follow_the_chosen_ground_truth(repository, tmp_path):
    source = make_hyta(tmp_path / 'source')
    expected = {'cloud': [0, 1, 1], 'ignore': [0, 255, 1], 'sky': [0, 0, 1]}
    for thin, labels in expected.items():
        out = tmp_path / thin
        convert(repository, 'hyta', source, out, '--ground-truth', '3GT', '--thin-cloud', thin)
        row = read(out / 'masks' / 'B1.png')[0]
        assert row[[0, len(row) // 2, -1]].tolist() == labels
    convert(repository, 'hyta', source, tmp_path / 'two')
    for number in range(1, 6):
        labels = read(tmp_path / 'two' / 'masks' / f'B{number}.png')
        assert np.array_equal(labels, mask(0, 1, height=labels.shape[0], width=labels.shape[1]))
    done = convert(repository, 'hyta', source, tmp_path / 'sky', '--ground-truth', '3GT', code=2)
    assert 'thin_cloud: sky there, cloud now' in done.stderr


def test_hrc_whu_becomes_png_with_the_same_pixels(repository, tmp_path):
    source, out = make_hrc_whu(tmp_path / 'source'), tmp_path / 'out'
    write(source / 'snow_1.tif', image(18, 32))
    write(source / 'snow_1_ReferenceMask.tif', mask(0, 1, 255, height=18, width=32))
    done = convert(repository, 'hrc_whu', source, out, code=1)
    assert 'snow_1_ReferenceMask.tif has both 1 and 255' in done.stdout
    for number in range(6):
        assert np.array_equal(read(out / f'images/urban_{number}.png'), read(source / f'urban_{number}.tif'))
        assert np.array_equal(read(out / f'masks/urban_{number}.png'), mask(0, 1, height=18, width=32))


def test_ccsn_is_stratified_and_copies_stay_together(repository, tmp_path):
    source, out = make_ccsn(tmp_path / 'source'), tmp_path / 'out'
    for number in range(2, 8):
        shutil.copy(source / 'Cu' / 'Cu-N001.jpg', source / 'Cu' / f'Cu-N00{number}.jpg')
    write(source / 'Xy' / 'Xy-N001.jpg', image())
    done = convert(repository, 'ccsn', source, out, code=1)
    assert 'Xy is not one of the genera' in done.stdout
    rows = [row for row in table(out) if row['status'] == 'converted']
    for genus in set(GENERA) - {'Cu'}:
        assert sum(stem.startswith(genus) for stem in split(out, 'val')) == 2
    copies = [row for row in rows if row['group'] == 'Cu-N001']
    assert len(copies) == 7
    assert len({row['split'] for row in copies}) == 1


@pytest.mark.parametrize('name, size', [('swinseg', 25), ('wsiseg', 71), ('hyta', 25), ('hyta', 71)])
def test_size_limits_the_longer_side_and_keeps_the_labels(repository, tmp_path, name, size):
    source, out = MAKE[name](tmp_path / 'source'), tmp_path / 'out'
    convert(repository, name, source, out, '--size', size)
    for row in table(out):
        original = read(source / row['source'])
        image, labels = (
            read(out / f'images/{row["stem"]}.png'),
            read(out / f'masks/{row["stem"]}.png'),
        )
        assert max(image.shape) == size
        assert image.shape[:2] == labels.shape
        ratio = original.shape[0] / original.shape[1]
        assert abs(labels.shape[0] - ratio * labels.shape[1]) <= 0.5 * max(1, ratio)
        assert set(np.unique(labels)) <= {0, 1, 255}


def test_other_options_need_another_folder_or_overwrite(repository, tmp_path):
    source, out, fresh = make_swinseg(tmp_path / 'source'), tmp_path / 'out', tmp_path / 'fresh'
    convert(repository, 'swinseg', source, out)
    before = fingerprint(out)
    for options in (['--size', 10], ['--seed', 3], ['--val-fraction', 0.5]):
        done = convert(repository, 'swinseg', source, out, *options, code=2)
        assert '--overwrite' in done.stderr
        assert 'another OUT' in done.stderr
        assert fingerprint(out) == before
    assert 'val_fraction: 0.2 there, 0.5 now' in done.stderr
    (out / 'parameters.json').unlink()
    done = convert(repository, 'swinseg', source, out, '--size', 10, code=2)
    assert '001.jpg' in done.stderr
    convert(repository, 'swinseg', source, out, '--size', 10, '--overwrite')
    convert(repository, 'swinseg', source, fresh, '--size', 10)
    assert contents(out) == contents(fresh)


def test_a_finished_file_that_does_not_match_is_an_error(repository, swimseg, tmp_path):
    out = tmp_path / 'out'
    convert(repository, 'swimseg', swimseg, out)
    good = contents(out)
    other = cv2.imencode('.png', mask(0, 1, width=60))[1].tobytes()
    for file, damage in (
        ('images/0002.png', b''),
        ('masks/0002.png', b''),
        ('masks/0002.png', other),
    ):
        content = (out / file).read_bytes()
        (out / file).write_bytes(damage)
        done = convert(repository, 'swimseg', swimseg, out, code=2)
        assert file in done.stderr
        assert '--overwrite' in done.stderr
        (out / file).write_bytes(content)
    (out / 'masks/0002.png').write_bytes(other)
    done = convert(repository, 'swimseg', swimseg, out, '--overwrite')
    assert 'files: 1 written' in done.stdout
    assert contents(out) == good


def spoil(source):
    """Make one bad image of each kind; return the messages about them."""
    images, masks = source / 'images', source / 'GTmaps'
    (masks / '0001_GT.png').unlink()
    (images / '0002.png').write_bytes(b'not an image')
    write(masks / '0003_GT.png', mask(0, 255, height=21))
    write(masks / '0004_GT.png', mask(0, 7, 255))
    content = (images / '0005.png').read_bytes()
    (images / '0005.png').write_bytes(content[: len(content) // 2])
    (masks / '0006_GT.png').write_bytes(b'')
    (images / '0007.png').unlink()
    write(images / '0099.png', image())
    write(masks / '0099_GT.png', mask(0, 255))
    write(images / '0008.bmp', image())
    write(images / '0009.png', image().astype(np.uint16))
    return {
        '0001': 'there are no masks called 0001_GT',
        '0002': '0002.png is not a readable image',
        '0003': 'image and mask differ in size: 30x20 and 30x21',
        '0004': '0004_GT.png has unknown values 7, expected 0, 255',
        '0005': '0005.png is not a readable image, or cut short',
        '0006': '0006_GT.png is not a readable image',
        '0007': 'there is no image for this mask',
        '0099': 'metadata.csv gives no capture day',
        '0008': 'several images of this name',
        '0009': '0009.png holds uint16, expected 8 bits',
    }


def test_bad_images_are_refused_by_name(repository, tmp_path):
    source, out = make_swimseg(tmp_path / 'source', days=(5, 5, 5)), tmp_path / 'out'
    reasons = spoil(source)
    done = convert(repository, 'swimseg', source, out, code=1)
    rows = table(out)
    refused = {row['stem']: row['reason'] for row in rows if row['status'] == 'refused'}
    assert refused.keys() == reasons.keys()
    for stem, reason in reasons.items():
        assert reason in refused[stem]
        line = next(line for line in done.stdout.splitlines() if line.startswith(f'refused {stem} '))
        assert reason in line
    good = {row['stem'] for row in rows if row['status'] == 'converted'}
    assert good == {f'{n:04d}' for n in range(10, 16)}
    assert {path.stem for path in (out / 'images').iterdir()} == good
    assert set(split(out, 'train') + split(out, 'val')) == good
    assert '6 images converted, 11 refused' in done.stdout
    first = fingerprint(out)
    convert(repository, 'swimseg', source, out, code=1)
    assert fingerprint(out) == first


@pytest.mark.parametrize('name', NAMES)
def test_other_layouts_are_usage_errors(repository, tmp_path, name):
    source = tmp_path / 'source'
    write(source / 'photos' / 'a.png', image())
    done = convert(repository, name, source, tmp_path / 'out', code=2)
    assert 'expected: ' in done.stderr
    assert 'found: photos/' in done.stderr
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'options, message',
    [
        (['--size', '0'], '--size must be at least 1'),
        (['--val-fraction', '1'], '--val-fraction must be in [0, 1)'),
        (['--val-fraction', 'nan'], '--val-fraction must be in [0, 1)'),
        (['--val-fraction', '0.5', '--test-fraction', '0.5'], 'leave nothing to train on'),
        (['--blocks', '0'], 'must be a number from 1 on'),
    ],
)
def test_wrong_options_are_named(repository, tmp_path, options, message):
    assert message in convert(repository, 'wsiseg', tmp_path, tmp_path / 'out', *options, code=2).stderr


def test_source_is_never_written_to(repository, swimseg, tmp_path):
    before = fingerprint(swimseg)
    link = tmp_path / 'link'
    (tmp_path / 'sly').mkdir()
    (tmp_path / 'sly' / 'images').symlink_to(swimseg / 'images')
    link.symlink_to(swimseg)
    for out in (swimseg, swimseg / 'out', swimseg / 'images', link / 'out', tmp_path / 'sly'):
        assert 'give another OUT' in convert(repository, 'swimseg', swimseg, out, code=2).stderr
    inside = shutil.copytree(swimseg, tmp_path / 'whole' / 'images' / 'SWIMSEG')
    assert 'lies where OUT' in convert(repository, 'swimseg', inside, tmp_path / 'whole', code=2).stderr
    assert fingerprint(swimseg) == before


def test_wrong_sources_and_targets_are_named(repository, swimseg, tmp_path):
    file = swimseg / 'metadata.csv'
    assert 'does not exist' in convert(repository, 'swimseg', tmp_path / 'no', tmp_path / 'o', code=2).stderr
    assert 'neither a folder nor' in convert(repository, 'swimseg', file, tmp_path / 'o', code=2).stderr
    (tmp_path / 'file').write_text('')
    assert 'is a file' in convert(repository, 'swimseg', swimseg, tmp_path / 'file', code=2).stderr
    shutil.copytree(swimseg, tmp_path / 'two' / 'a')
    shutil.copytree(swimseg, tmp_path / 'two' / 'b')
    assert 'more than once' in convert(repository, 'swimseg', tmp_path / 'two', tmp_path / 'o', code=2).stderr


def test_zip_gives_what_the_folder_gives(repository, swimseg, tmp_path):
    archive = Path(shutil.make_archive(str(tmp_path / 'set'), 'zip', swimseg.parent, swimseg.name))
    convert(repository, 'swimseg', archive, tmp_path / 'from_zip')
    convert(repository, 'swimseg', swimseg, tmp_path / 'from_folder')
    assert contents(tmp_path / 'from_zip') == contents(tmp_path / 'from_folder')


@pytest.mark.parametrize('name', ['../escaped.png', '/tmp/escaped.png', 'a\\..\\..\\escaped.png'])
def test_zip_that_writes_elsewhere_is_refused(repository, swimseg, tmp_path, name):
    archive = tmp_path / 'bad.zip'
    with zipfile.ZipFile(archive, 'w') as content:
        content.writestr(name, b'')
    done = convert(repository, 'swimseg', archive, tmp_path / 'out', code=2)
    assert 'unsafe file name' in done.stderr


def test_parameters_are_stored_and_leftovers_are_reported(repository, swimseg, tmp_path):
    out = tmp_path / 'out'
    convert(repository, 'swimseg', swimseg, out)
    parameters = json.loads((out / 'parameters.json').read_text())
    assert parameters['data_set'] == 'SWIMSEG'
    assert not any(str(tmp_path) in str(value) for value in parameters.values())
    write(out / 'images' / 'mine.png', image())
    assert '1 files in OUT belong to none' in convert(repository, 'swimseg', swimseg, out).stderr
    shutil.copytree(swimseg, tmp_path / 'one')
    (tmp_path / 'one' / 'metadata.csv').write_text('Number,Date\n10,20130101\n')
    done = convert(repository, 'swimseg', tmp_path / 'one', tmp_path / 'out1', code=1)
    assert 'warning: val is empty' in done.stderr


def test_scripts_need_neither_torch_nor_more_of_the_library_than_its_files(repository):
    scripts = list((repository / 'tools' / 'dataset_converters').glob('*.py'))
    own = {path.stem for path in scripts}
    for path in scripts:
        lines = path.read_text().splitlines()
        imports = [line.split()[1] for line in lines if line.startswith(('import ', 'from '))]
        beyond = {'hyperbolic_seg.files'} if path.stem == 'writing' else set()  # which needs no package
        modules = {name.partition('.')[0] for name in set(imports) - beyond} - set(sys.stdlib_module_names)
        of_matlab = {'scipy'} if path.stem == 'pascal_context459' else set()  # its annotations are Matlab's files
        assert modules <= own | {'numpy', 'cv2', 'tqdm'} | of_matlab
