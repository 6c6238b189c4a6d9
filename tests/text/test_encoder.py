import copy
import hashlib
import json
import os
import pickle
import shutil
import sqlite3
import sys
import warnings
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from hyperbolic_seg.text import OpenCLIPTextEncoder, Vocabulary, minilm
from hyperbolic_seg.text.cache import EmbeddingCache

TINY = dict(
    embed_dim=32,
    vision_cfg=dict(image_size=32, layers=1, width=32, head_width=16, patch_size=16),
    text_cfg=dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=1),
)


@pytest.fixture(scope='module')
def tiny_clip(tmp_path_factory):
    """A small open_clip model in a folder, as open_clip itself saves one for a hub."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('tiny_clip')
    model = open_clip.CLIP(**{k: v for k, v in TINY.items()})
    save_file(model.state_dict(), folder / 'open_clip_model.safetensors')
    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=TINY, preprocess_cfg={})))
    return folder, model.eval()


@pytest.fixture
def encoder(tiny_clip, tmp_path):
    return OpenCLIPTextEncoder(f'local-dir:{tiny_clip[0]}', cache_dir=str(tmp_path / 'cache'))


def test_it_averages_as_the_zero_shot_classifier_of_open_clip(tiny_clip, encoder):
    names = ['cumulus cloud', 'sky', 'tree']
    reference = open_clip.build_zero_shot_classifier(
        tiny_clip[1], open_clip.get_tokenizer('ViT-B-16'), names, list(encoder.templates)
    )
    torch.testing.assert_close(encoder.encode_vocabulary(Vocabulary.load(names)), reference.t())


def test_templates_are_found_by_the_name_imagenet(tiny_clip):
    encoder = OpenCLIPTextEncoder(f'local-dir:{tiny_clip[0]}', templates='imagenet')
    assert len(encoder.templates) == 80 and 'a bad photo of a {}.' in encoder.templates


def test_a_prompt_beyond_the_limit_of_tokens_is_reported_each_time(encoder):
    fits, cut, other = ' '.join(['cloud'] * 75), ' '.join(['cloud'] * 76), ' '.join(['cloud'] * 75 + ['tree'])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        encoder.encode(['sky', fits])  # 75 words and two marks
    for _ in range(2):  # the cache does not silence it
        with pytest.warns(UserWarning, match='more than the 77 tokens that the text tower reads') as found:
            first, second = encoder.encode([cut, other])
        assert {str(one.message).split(' has more')[0] for one in found} == {repr(cut), repr(other)}
    assert torch.equal(first, second), 'which is why it is said'


def test_a_prompt_beyond_the_limit_of_the_offline_tower_is_reported(tmp_path):
    encoder = OpenCLIPTextEncoder('offline', cache_dir=str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        encoder.encode([' '.join(['cloud'] * 62)])
    with pytest.warns(UserWarning, match='more than the 64 tokens'):
        encoder.encode([' '.join(['cloud'] * 63)])


def test_a_trained_tower_reports_what_it_does_not_read(tiny_clip):
    encoder = OpenCLIPTextEncoder(f'local-dir:{tiny_clip[0]}', trainable=('attn',))
    tower = encoder.build_tower()
    tower.init_weights()
    with pytest.warns(UserWarning, match='more than the 77 tokens'):
        tower(['cloud ' * 100])


def test_embeddings_are_computed_and_cached_in_full_precision_under_autocast(encoder):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = encoder.encode(['cumulus'])
    encoder.cache_dir += '_other'
    torch.testing.assert_close(found, encoder.encode(['cumulus']), rtol=0, atol=1e-6)


def test_a_string_as_trainable_is_refused():
    with pytest.raises(TypeError, match=r"trainable='attn': expected a list of patterns, such as \('attn',\)"):
        OpenCLIPTextEncoder(trainable='attn')


def test_synonyms_are_averaged(encoder):
    both = encoder.encode_vocabulary(Vocabulary.from_prompts(['gray; dark gray', 'blue']))[0]
    texts = [template.format(word) for word in ('gray', 'dark gray') for template in encoder.templates]
    torch.testing.assert_close(both, torch.nn.functional.normalize(encoder.encode(texts).mean(0), dim=-1))


def test_a_named_model_loads_local_weights(tiny_clip, encoder, tmp_path, monkeypatch):
    folder, _ = tiny_clip
    (tmp_path / 'tiny-test-clip.json').write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / 'tiny-test-clip.json')
    weights = tmp_path / 'weights.safetensors'
    shutil.copy(folder / 'open_clip_model.safetensors', weights)
    named = OpenCLIPTextEncoder('tiny-test-clip', str(weights), cache_dir=str(tmp_path / 'cache'))
    torch.testing.assert_close(named.encode(['cirrus']), encoder.encode(['cirrus']))
    assert named.fingerprint() != encoder.fingerprint()


def test_other_weights_have_another_fingerprint(tiny_clip, tmp_path, encoder):
    folder = tmp_path / 'other'
    shutil.copytree(tiny_clip[0], folder)
    state = copy.deepcopy(tiny_clip[1]).state_dict()
    state['ln_final.bias'] += 1
    save_file(state, folder / 'open_clip_model.safetensors')
    other = OpenCLIPTextEncoder(f'local-dir:{folder}', cache_dir=str(tmp_path / 'cache'))
    assert not torch.allclose(other.encode(['cloud']), encoder.encode(['cloud']))


def test_nothing_is_loaded_before_it_is_needed_nor_when_the_cache_has_all(tmp_path, monkeypatch):
    cache = str(tmp_path / 'cache')
    first = OpenCLIPTextEncoder(cache_dir=cache)
    assert first._loaded is None
    expected = first.encode(['cumulus', 'cirrus'])
    monkeypatch.setattr('hyperbolic_seg.text.encoder.build_offline_tower', lambda: pytest.fail('the tower was built'))
    torch.testing.assert_close(OpenCLIPTextEncoder(cache_dir=cache).encode(['cirrus', 'cumulus']), expected.flip(0))


def test_random_numbers_are_the_same_whether_or_not_texts_are_cached(encoder):
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        encoder.encode(['sky'])
        drawn.append(torch.rand(3))
    torch.manual_seed(0)
    assert torch.equal(drawn[0], torch.rand(3)) and torch.equal(drawn[0], drawn[1])


def spoil(path):
    """Put what is not a number into the first embedding, with a checksum that is right."""
    database = sqlite3.connect(path)
    key, content = database.execute('SELECT key, vector FROM texts WHERE rowid = 1').fetchone()
    content = np.full(len(content) // 4, np.nan, '<f4').tobytes()
    with database:
        values = (hashlib.sha256(key + content).digest(), content)
        database.execute('UPDATE texts SET checksum = ?, vector = ? WHERE rowid = 1', values)
    database.close()


@pytest.mark.parametrize(
    'damage, message',
    [
        (spoil, '1 embeddings in .* are damaged'),
        (lambda path: path.write_bytes(path.read_bytes()[:10_000]), 'is damaged .*: a new one takes its place'),
        (lambda path: path.write_bytes(b'nothing that is known'), 'is damaged .*: a new one takes its place'),
    ],
)
def test_damaged_entries_of_the_cache_are_encoded_again(encoder, damage, message):
    expected = encoder.encode(['nimbostratus', 'cirrus'])
    damage(EmbeddingCache(encoder.cache_dir, encoder.fingerprint()).path)
    with pytest.warns(UserWarning, match=message) as said:
        torch.testing.assert_close(encoder.encode(['nimbostratus', 'cirrus']), expected)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        torch.testing.assert_close(encoder.encode(['cirrus']), expected[1:])


def test_cached_embeddings_of_another_length_are_not_of_this_encoder(encoder):
    expected = encoder.encode(['nimbostratus', 'cirrus'])
    cache = EmbeddingCache(encoder.cache_dir, encoder.fingerprint())
    cache.path.unlink()
    cache.put({'cirrus': np.ones(31, np.float32)})
    with pytest.warns(UserWarning, match='its embeddings have 31 dimensions, expected 32'):
        torch.testing.assert_close(encoder.encode(['nimbostratus', 'cirrus']), expected)
    assert set(cache.get(['nimbostratus', 'cirrus'])) == {'nimbostratus', 'cirrus'}


def test_a_cache_that_cannot_be_used_is_one_warning(encoder):
    words = [f'word {number}' for number in range(200)]  # several batches
    expected = encoder.encode(words)
    path = EmbeddingCache(encoder.cache_dir, encoder.fingerprint()).path
    path.unlink()
    os.mkfifo(path)
    with pytest.warns(
        UserWarning, match='embeddings cannot be cached in .* is a FIFO: expected a regular file'
    ) as said:
        torch.testing.assert_close(encoder.encode(words), expected)
    assert len(said) == 1


def test_the_cache_is_one_file_of_any_number_of_texts(encoder):
    encoder.encode([f'word {number}' for number in range(200)])
    encoder.encode(['word 3', 'cirrus', 'word 3'])
    assert [path.name for path in Path(encoder.cache_dir).rglob('*')] == [f'{encoder.fingerprint()}.sqlite']
    twin = pickle.loads(pickle.dumps(encoder))
    torch.testing.assert_close(twin.encode(['cirrus']), encoder.encode(['cirrus']))


def test_the_offline_tower_embeds_similar_words_nearby():
    words = ['a dog', 'a puppy', 'thin ice clouds']
    embedded = OpenCLIPTextEncoder().encode(words)
    assert embedded.shape == (3, 384)
    similarity = embedded @ embedded.t()
    torch.testing.assert_close(similarity.diagonal(), torch.ones(3))
    assert similarity[0, 1] > 0.5 > similarity[0, 2]


def test_wrong_offline_weights_are_refused(monkeypatch):
    monkeypatch.setattr(minilm, 'SHA256', '0' * 64)
    with pytest.raises(RuntimeError, match='is not the official all-MiniLM-L6-v2'):
        OpenCLIPTextEncoder().encode(['cloud'])


def test_a_missing_offline_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, minilm.PACKAGE, None)
    monkeypatch.setattr(minilm, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'hyperbolic-seg\[offline\]'):
        OpenCLIPTextEncoder().encode(['words that no cache holds'])


def test_cached_texts_of_the_offline_tower_need_no_package(monkeypatch, tmp_path):
    encoder = OpenCLIPTextEncoder(cache_dir=str(tmp_path))
    embedded = encoder.encode(['cloud', 'sky'])
    monkeypatch.setitem(sys.modules, minilm.PACKAGE, None)
    monkeypatch.setattr(minilm, 'find_spec', lambda name: None)
    elsewhere = OpenCLIPTextEncoder(cache_dir=str(tmp_path))
    assert elsewhere.fingerprint() == encoder.fingerprint()
    torch.testing.assert_close(elsewhere.encode(['sky', 'cloud']), embedded.flip(0), rtol=0, atol=0)
    with pytest.raises(ModuleNotFoundError, match=r'hyperbolic-seg\[offline\]'):
        elsewhere.encode(['sky', 'a third one'])


def test_without_network_a_missing_tag_names_what_can_be_done():
    with pytest.raises(RuntimeError, match="checkpoint file on this machine.*model='offline'"):
        OpenCLIPTextEncoder('ViT-B-16', 'openai').encode(['cloud'])


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(RuntimeError, match="'no_such_tag' is neither a file nor a pretrained tag.*laion2b_s34b_b88k"):
        OpenCLIPTextEncoder('ViT-B-16', 'no_such_tag').encode(['cloud'])


@pytest.mark.parametrize('tag, quick', [('openai', True), ('laion2b_s34b_b79k', False)])
def test_a_tag_brings_its_activation_along(tag, quick, monkeypatch, tmp_path, tiny_clip):
    """The weights of a tag are replaced by a small model's; which activation is asked for is what counts."""
    asked = {}

    def create(model, pretrained, **kwargs):
        asked.update(kwargs)
        return copy.deepcopy(tiny_clip[1])

    monkeypatch.setattr(open_clip, 'create_model', create)
    weights = tiny_clip[0] / 'open_clip_model.safetensors'
    monkeypatch.setattr(open_clip, 'download_pretrained', lambda config: str(weights))
    OpenCLIPTextEncoder('ViT-B-32', tag, cache_dir=str(tmp_path)).encode(['cloud'])
    assert asked['force_quick_gelu'] is quick
    same = OpenCLIPTextEncoder('ViT-B-32', str(weights), quick_gelu=quick)
    assert same.fingerprint() == OpenCLIPTextEncoder('ViT-B-32', tag).fingerprint()


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(model='ViT-B-16'), 'needs a pretrained tag or a checkpoint file'),
        (dict(model='offline', pretrained='openai'), 'has its own weights'),
        (dict(templates=['a cloud']), 'exactly once'),
        (dict(templates=[]), 'at least one template'),
        (dict(templates='coco'), "expected format strings in a list, or 'imagenet'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        OpenCLIPTextEncoder(**settings)
