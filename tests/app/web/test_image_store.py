"""Images in memory: bounded for each client and in all, by their number and by their bytes."""

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hyperbolic_seg.app.web.image_store import ImageStore, StoredImage, clean_name


def image(size):
    """An image of so many bytes."""
    pixels = np.zeros((1, size // 3, 3), np.uint8)
    return StoredImage(pixels, pixels, 'a.png')


@given(st.lists(st.tuples(st.sampled_from('abc'), st.integers(1, 50).map(lambda n: 3 * n)), min_size=1, max_size=40))
def test_the_limits_hold_whatever_is_added(uploads):
    store = ImageStore(3, 5, bytes_per_client=200, bytes_in_all=400)
    added = []
    for client, size in uploads:
        name = store.add(client, image(size))
        added.append((client, name, size))
        kept = [(owner, size) for owner, name, size in added if store.get(name) is not None]
        assert store.get(name) is not None, 'the last one is kept'
        assert len(kept) <= 5 and sum(size for _, size in kept) <= 400
        for one in 'abc':
            sizes = [size for owner, size in kept if owner == one]
            assert len(sizes) <= 3 and (sum(sizes) <= 200 or len(sizes) == 1)


def test_the_client_with_the_most_bytes_loses_its_oldest():
    store = ImageStore(9, 99, bytes_per_client=300, bytes_in_all=450)
    quiet, (first, second) = store.add('a', image(90)), (store.add('b', image(150)) for _ in range(2))
    added = store.add('c', image(90))
    assert [store.get(name) is not None for name in (quiet, first, second, added)] == [True, False, True, True]


def test_an_image_above_the_limit_of_a_client_displaces_its_own_alone():
    store = ImageStore(9, 99, bytes_per_client=100, bytes_in_all=1000)
    other, own = store.add('a', image(90)), store.add('b', image(90))
    large = store.add('b', image(300))
    assert [store.get(name) is not None for name in (other, own, large)] == [True, False, True]


@given(st.text(max_size=60))
@example('C:\\sky\\a.jpg')
@example('/etc/passwd')
def test_names_lead_nowhere(given_name):
    name = clean_name(given_name)
    assert name and name[0] != '/' and not {unicodedata.category(one) for one in name} & {'Cc', 'Cf', 'Cs', 'Zl', 'Zp'}
    assert not {'..', '.', ''} & set(name.split('/'))


@pytest.mark.parametrize(
    'given_name, expected',
    [
        ('a.jpg', 'a.jpg'),
        ('2024/07/17/1130.jpg', '2024/07/17/1130.jpg'),
        ('../../etc/passwd', 'etc/passwd'),
        ('C:\\sky\\a.jpg', 'sky/a.jpg'),
        ('//a//./b.jpg', 'a/b.jpg'),
        ('', 'upload'),
        ('..', 'upload'),
        ('Frühling ☁.jpg', 'Frühling ☁.jpg'),
        ('a\n\x1b[31m.jpg', 'a\\n\\x1b[31m.jpg'),
    ],
)
def test_names_keep_what_is_harmless(given_name, expected):
    assert clean_name(given_name) == expected
