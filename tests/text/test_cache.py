import numpy as np
import pytest

from hyperbolic_seg.text.cache import EmbeddingCache, default_cache_dir


def test_it_gives_back_what_was_stored(tmp_path):
    cache, vector = EmbeddingCache(tmp_path / 'deep' / 'cache'), np.arange(5, dtype=np.float32)
    assert cache.get('encoder', 'text') is None
    cache.put(vector, 'encoder', 'text')
    np.testing.assert_array_equal(cache.get('encoder', 'text'), vector)
    assert cache.get('encodert', 'ext') is None
    assert not list(tmp_path.rglob('*.part'))


@pytest.mark.parametrize(
    'damage', [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b'', lambda b: b[:32]]
)
def test_a_damaged_file_counts_as_none_with_a_warning(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    cache.put(np.ones(4, np.float32), 'key')
    path = cache.path('key')
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match='is damaged and is computed again'):
        assert cache.get('key') is None


def test_a_folder_that_cannot_be_written_to_is_a_warning(tmp_path):
    (tmp_path / 'file').write_text('')
    cache = EmbeddingCache(tmp_path / 'file' / 'cache')
    with pytest.warns(UserWarning, match='embeddings cannot be cached in'):
        cache.put(np.ones(4, np.float32), 'key')
    assert cache.get('key') is None


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv('HYPERBOLIC_SEG_CACHE', str(tmp_path / 'own'))
    assert default_cache_dir() == tmp_path / 'own'
    monkeypatch.delenv('HYPERBOLIC_SEG_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    assert default_cache_dir() == tmp_path / 'xdg' / 'hyperbolic_seg'
