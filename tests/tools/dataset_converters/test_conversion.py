"""The functions that the converters share."""

import itertools
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPTS = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters'


sys.path.insert(0, str(SCRIPTS))
import errors  # noqa: E402
import images  # noqa: E402
import layout  # noqa: E402
import splits as splitting  # noqa: E402

sys.path.remove(str(SCRIPTS))

groups = st.dictionaries(st.text('abcdef', min_size=1, max_size=4), st.integers(1, 60), min_size=1, max_size=8)
fractions = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45])


def sizes_of_splits(sizes, splits):
    counts: Counter[str] = Counter()
    for name, split in splits.items():
        counts[split] += sizes[name]
    return counts


@settings(max_examples=25)
@given(groups, fractions, fractions, st.integers(0, 5))
def test_every_group_gets_one_split_and_no_wanted_split_is_empty(sizes, val, test, seed):
    splits = splitting.split_groups(sizes, val_fraction=val, test_fraction=test, seed=seed)
    assert splits.keys() == sizes.keys()
    wanted = ['train'] + ['val'] * (val > 0) + ['test'] * (test > 0)
    assert set(splits.values()) == set(wanted[: len(sizes)])


@settings(max_examples=25)
@given(groups, st.sampled_from([0.1, 0.2, 0.5, 0.8]), st.integers(0, 3))
def test_fraction_is_met_as_closely_as_groups_allow(sizes, val, seed):
    splits = splitting.split_groups(sizes, val_fraction=val, seed=seed)
    target = val * sum(sizes.values())
    names = list(sizes)
    others = range(1, len(names))
    choices = itertools.chain.from_iterable(itertools.combinations(names, n) for n in others)
    best = min((abs(sum(sizes[n] for n in c) - target) for c in choices), default=None)
    if best is not None:
        assert abs(sizes_of_splits(sizes, splits)['val'] - target) == pytest.approx(best)


@settings(max_examples=25)
@given(groups, st.randoms())
def test_split_does_not_depend_on_the_order_of_the_groups(sizes, random):
    items = list(sizes.items())
    random.shuffle(items)
    split = splitting.split_groups
    assert split(dict(items), test_fraction=0.1) == split(sizes, test_fraction=0.1)


def test_seed_changes_the_split():
    sizes = dict.fromkeys(map(str, range(30)), 1)
    first, again, other = (splitting.split_groups(sizes, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@settings(max_examples=25)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=8), st.sampled_from([0.1, 0.2]))
def test_each_stratum_gives_its_part(counts, test):
    strata = {f'{s}-{i}': str(s) for s, count in enumerate(counts) for i in range(count)}
    sizes = dict.fromkeys(strata, 1)
    splits = splitting.split_groups(sizes, val_fraction=0.2, test_fraction=test, strata=strata)
    for split, part in (('val', 0.2), ('test', test)):
        assert sizes_of_splits(sizes, splits)[split] == max(1, round(part * len(sizes)))
        for s, count in enumerate(counts):
            chosen = sum(strata[n] == str(s) and splits[n] == split for n in sizes)
            assert abs(chosen - part * count) < 1
    for s in range(len(counts)):
        assert any(strata[n] == str(s) and splits[n] == 'train' for n in sizes)


def test_strata_of_one_image_still_fill_the_splits():
    sizes = dict.fromkeys('abcdefghijk', 1)
    splits = splitting.split_groups(sizes, strata={name: name for name in sizes})
    assert Counter(splits.values()) == {'train': 9, 'val': 2}


def test_a_set_of_real_size_is_split_as_asked():
    strata = {f'{i}': str(i % 11) for i in range(2543)}
    sizes = {name: 1 + (int(name) % 100 == 0) for name in strata}
    for known in (strata, None):
        splits = splitting.split_groups(sizes, test_fraction=0.1, strata=known)
        assert sizes_of_splits(sizes, splits)['val'] == round(0.2 * sum(sizes.values()))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), max_size=10), st.floats(0, 60), st.integers(0, 3))
def test_closest_subset_leaves_what_it_must(sizes, target, leave):
    chosen = splitting.closest_subset(sizes, target, leave)
    assert len(chosen) == len(set(chosen)) <= max(0, len(sizes) - leave)
    assert bool(chosen) == (len(sizes) > leave)


@pytest.mark.parametrize('shape', [(40, 60), (60, 40, 3), (7, 90)])
@pytest.mark.parametrize('size', [20, 131])
def test_rescale_keeps_the_aspect_ratio(shape, size):
    image = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), shape)
    scaled = images.rescale(image, size, is_mask=True)
    assert max(scaled.shape[:2]) == size
    exact = min(shape[:2]) * size / max(shape[:2])
    assert abs(min(scaled.shape[:2]) - exact) <= 0.5
    assert scaled.shape[2:] == shape[2:]
    assert set(np.unique(scaled)) <= {0, 1, 255}
    assert images.rescale(image, None) is image


def test_masks_stay_in_place_under_rescaled_images():
    image = np.zeros((60, 90), np.uint8)
    image[21:39, 30:60] = 255
    mask = images.rescale(image, 30, is_mask=True)
    assert np.array_equal(mask, images.rescale(image, 30))


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_an_image_cut_short_is_refused(suffix):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = cv2.imencode(suffix, image)[1].tobytes()
    assert images.decode(content, cv2.IMREAD_COLOR, 'name').shape == image.shape
    for part in (content[:-40], content[:60], content[:4], b''):
        with pytest.raises(errors.Refused, match='name is not a readable image'):
            images.decode(part, cv2.IMREAD_COLOR, 'name')


def test_gray_masks_may_have_color_channels_but_no_color(tmp_path):
    gray = np.zeros((4, 5), np.uint8)
    gray[1:3] = 255
    path = tmp_path / 'mask.png'
    for channels in (3, 4):
        cv2.imwrite(str(path), np.repeat(gray[..., None], channels, axis=2))
        assert np.array_equal(images.read_exact(path, {0: 0, 255: 1}), gray // 255)
    colored = np.zeros((4, 5, 3), np.uint8)
    colored[..., 2] = 255
    cv2.imwrite(str(path), colored)
    with pytest.raises(errors.Refused, match='colored'):
        images.read_exact(path, {0: 0, 255: 1})


@pytest.mark.parametrize(
    'text, message',
    [
        ('Number,Time\n1,2\n', 'should have columns Number and Date, found: Number, Time'),
        ('', 'should have columns'),
        ('Number,Date\n1,20200101\n01,20200102\n', 'image 01 two different capture days'),
    ],
)
def test_a_table_without_days_is_an_error(tmp_path, text, message):
    table = tmp_path / 'metadata.csv'
    table.write_text(text)
    with pytest.raises(errors.UsageError, match=message):
        layout.capture_days(table)


def test_days_are_found_by_number(tmp_path):
    table = tmp_path / 'metadata.txt'
    table.write_text('Number \t Date \t ISO \n1 \t 20160110 \t 100 \n2 \t unknown \t 100\n\n3\n')
    day_of = layout.capture_days(table)
    assert day_of('001') == '20160110'
    for stem in ('002', '003', '004', 'x'):
        with pytest.raises(errors.Refused, match='no capture day'):
            day_of(stem)
