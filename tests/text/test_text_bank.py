"""Words that a text bank holds: those of checkpoints for good, others while there is room."""

import copy
import pickle
import shutil
import sys

import pytest
import torch

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import OpenCLIPTextEncoder, Taxonomy, minilm
from hyperbolic_seg.text.text_bank import TextBank
from hyperbolic_seg.text.trained_text_bank import TrainedTextBank
from tests.tiny_clip import save_model

WORDS = ['a red barn', 'wet grass', 'two dogs', 'a fence']
TEMPLATES = ('{}', 'a photo of {}')


@pytest.fixture
def folder(tmp_path):
    return save_model(tmp_path / f'clip-{tmp_path.name}')


def encoder_of(folder, **options):
    cache = str(folder.parent / 'cache')
    return OpenCLIPTextEncoder(f'local-dir:{folder}', templates=TEMPLATES, cache_dir=cache, **options)


def bank(folder, words=WORDS, **options):
    return TextBank(encoder_of(folder), words, embed_dims=32, **options)


def lose(folder):
    """Take away the encoder, and what it once made."""
    shutil.rmtree(folder)
    shutil.rmtree(folder.parent / 'cache')


def without_a_tower(bank):
    """A copy, whose encoder has nothing loaded."""
    return pickle.loads(pickle.dumps(bank))


def ask_many(bank, count=120):
    for number in range(count):
        bank.set_vocabulary([f'thing {number}', f'stuff {number}', f'matter {number}'])
        bank()


@pytest.mark.parametrize('copied', [without_a_tower, copy.deepcopy])
@pytest.mark.parametrize('own', [WORDS, ['wet grass', 'a tree']], ids=['its own', 'others'])
def test_words_of_a_checkpoint_are_never_forgotten(folder, own, copied):
    trained = bank(folder)
    expected = trained().clone()
    loaded = bank(folder, own, remembered=5)
    loaded.load_state_dict(trained.state_dict())
    ask_many(loaded)
    loaded = copied(loaded)
    lose(folder)
    loaded.set_vocabulary([*WORDS[::-1]])
    torch.testing.assert_close(loaded(), expected.flip(0))
    loaded.set_vocabulary(['WET  grass', 'a Fence'])
    torch.testing.assert_close(loaded(), expected[[1, 3]])
    loaded.set_vocabulary(['something else', 'a fence'])
    with pytest.raises((RuntimeError, OSError)):
        loaded()
    loaded.set_vocabulary(WORDS)
    torch.testing.assert_close(loaded(), expected)


def test_embeddings_of_a_checkpoint_without_phrases_are_kept(folder):
    trained = bank(folder)
    state = {name: value for name, value in trained.state_dict().items() if not name.endswith('_extra_state')}
    expected, loaded = trained().clone(), bank(folder, remembered=5)
    loaded.load_state_dict(state | dict(embeddings=expected, encoder_id=trained.encoder_id), strict=False)
    ask_many(loaded, 10)
    loaded = without_a_tower(loaded)
    lose(folder)
    loaded.set_vocabulary(WORDS)
    torch.testing.assert_close(loaded(), expected)


@pytest.mark.parametrize('loaded', [False, True])
def test_memory_of_former_vocabularies_is_bounded(folder, loaded):
    own = bank(folder, remembered=50)
    own()
    if loaded:
        own.load_state_dict(copy.deepcopy(own.state_dict()))
    ask_many(own, 30)
    size = len(pickle.dumps(own))
    ask_many(own, 200)
    assert len(pickle.dumps(own)) < size + 1000  # longer numbers in the words
    own.set_vocabulary([f'word {number}' for number in range(1000)])
    own()
    own.set_vocabulary(WORDS)
    own()
    assert len(pickle.dumps(own)) < size + 1000, 'rows keep the tensor that they were a part of'


def test_recent_words_need_no_encoder(folder):
    own = bank(folder, remembered=8)
    expected = own().clone()
    ask_many(own, 2)
    own.set_vocabulary(WORDS)
    own()
    ask_many(own, 1)  # what is left at hand: these words, those before them, and the own ones
    own = without_a_tower(own)
    lose(folder)
    own.set_vocabulary(WORDS)
    torch.testing.assert_close(own(), expected)
    own.set_vocabulary(['thing 1', 'stuff 1'])
    with pytest.raises((RuntimeError, OSError)):
        own()


def test_a_vocabulary_larger_than_the_memory_is_encoded_correctly(folder):
    words = [f'word {number}' for number in range(30)]
    for by_template in (False, True):
        small, large = (bank(folder, by_template=by_template, remembered=count) for count in (1, 1000))
        for asked in (words, WORDS, words[::-1], words[5:]):
            for own in (small, large):
                own.set_vocabulary(asked)
            torch.testing.assert_close(small(), large(), rtol=0, atol=1e-6)


def test_smoothing_does_not_depend_on_the_size_of_the_memory(folder):
    options = dict(taxonomy_bank=[*WORDS, 'a tree; a bush'], prompt_smoothing=dict(weight=2.0))
    small, large = (bank(folder, remembered=count, **options) for count in (1, 1000))
    for asked in (WORDS, ['a hedge', 'two dogs', 'a barn'], ['a barn', 'a tree; a bush'], ['a hedge', 'a barn']):
        for own in (small, large):
            own.set_vocabulary(asked)
        torch.testing.assert_close(small(), large(), rtol=0, atol=1e-6)
    torch.testing.assert_close(small.taxonomy_bank.phrases()[0], large.taxonomy_bank.phrases()[0])


def test_a_later_checkpoint_does_not_reach_into_what_is_known(folder):
    own = bank(folder, ['a hedge', 'a barn'])
    expected = own().clone()
    state = copy.deepcopy(own.state_dict())
    own.set_vocabulary(WORDS)
    own()
    own.set_vocabulary(['a hedge', 'a barn'])
    own.load_state_dict(state | dict(embeddings=torch.zeros_like(expected)))  # of a bank that had not encoded
    torch.testing.assert_close(own(), expected)


@pytest.mark.parametrize('trained', [False, True])
def test_checkpoints_with_the_former_name_of_the_taxonomy_bank_load(folder, trained):
    def build(words=WORDS):
        if trained:
            encoder = encoder_of(folder, trainable=('',))
            return TrainedTextBank(encoder, words, embed_dims=32, taxonomy_bank=['a tree', 'a bush'])
        return bank(folder, words, taxonomy_bank=['a tree', 'a bush'])

    saved = torch.nn.ModuleDict(dict(text=build()))
    saved['text'].init_weights()
    saved['text'].encode()
    state = saved.state_dict()
    older = {name.replace('taxonomy_bank', 'lexicon'): value for name, value in state.items()}
    assert 'text.lexicon.embeddings' in older and older.keys() != state.keys()
    loaded = torch.nn.ModuleDict(dict(text=build()))
    loaded.load_state_dict(older)  # strict: nothing is missing, nothing left over
    torch.testing.assert_close(loaded.state_dict(), state)


def test_remembered_of_zero_is_refused(folder):
    with pytest.raises(ValueError, match='remembered=0: expected at least 1'):
        bank(folder, remembered=0)


def test_a_bank_that_is_trained_keeps_no_words(folder):
    own, other = (
        TrainedTextBank(encoder_of(folder, trainable=('',)), words, embed_dims=32)
        for words in (WORDS, [f'word {number}' for number in range(100)])
    )
    for each in (own, other):
        each.init_weights()
    own.eval()
    size = len(pickle.dumps(own))
    for number in range(20):
        own.set_vocabulary([f'thing {number}', 'stuff', 'matter', f'{number} words'])
        own()
    own.load_state_dict(other.eval().state_dict())
    own.set_vocabulary(WORDS)
    own()
    assert len(pickle.dumps(own)) < size + 1000


@pytest.mark.parametrize('name', ['hyperclip-unet-sky', 'hyperclip-unet-cloud'])
def test_a_released_model_comes_back_to_its_own_words_without_an_encoder(name, monkeypatch, tmp_path):
    head = HyperSegInferencer(name, device='cpu').model.decode_head
    own, expected = head.vocabulary, head.text_embeddings().clone()
    monkeypatch.setenv('HYPERBOLIC_SEG_CACHE', str(tmp_path / 'empty'))
    monkeypatch.setitem(sys.modules, minilm.PACKAGE, None)  # as where it is not installed
    monkeypatch.setattr(minilm, 'find_spec', lambda name: None)
    nodes = Taxonomy.load('sky_v1' if name == 'hyperclip-unet-sky' else 'sky').nodes
    known = [phrase for node in nodes for phrase in node.phrases[:3] if nodes.find(phrase) is not None]
    alone = {concept.name: concept.lineage for concept in nodes}
    asked = 0
    for first in range(len(known)):
        for second in range(first + 1, len(known), 4):
            one, other = (nodes[nodes.find(known[place])] for place in (first, second))
            if one.name in alone[other.name] or other.name in alone[one.name]:
                continue
            head.set_vocabulary([known[first], known[second]])
            assert head.text_embeddings().isfinite().all()
            asked += 1
    assert asked > 200
    head.set_vocabulary(['cumulus', f'marshmallows of {name}'])
    with pytest.raises(ModuleNotFoundError, match=r'hyperbolic-seg\[offline\]'):
        head.text_embeddings()
    head.set_vocabulary(own)
    torch.testing.assert_close(head.text_embeddings(), expected)
