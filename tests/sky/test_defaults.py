"""Defaults of the sky, and the configs that have to name them."""

import pytest
from mmengine.config import Config

from hyperbolic_seg.sky import CLEAR_SKY, CLOUD, NOT_SKY, TAXONOMY, TEMPLATES, known_words, load_taxonomy
from hyperbolic_seg.text import Vocabulary
from tests.conftest import REPOSITORY

CONFIGS = sorted(REPOSITORY.glob('configs/**/[!_]*.py'))
OF_THE_SKY = {'sky', 'leaves', 'genera', 'binary'}


def encoder_of(file):
    """The text encoder of a config whose words are those of the sky, ``None`` for all others."""
    head = Config.fromfile(file).model.decode_head
    return head.get('text_encoder') if head.get('vocabulary') in OF_THE_SKY else None


def test_kinds_are_the_children_of_the_root():
    assert load_taxonomy().at_depth(1).names == (CLEAR_SKY, CLOUD, NOT_SKY)
    assert known_words() == Vocabulary.load(TAXONOMY)


@pytest.mark.parametrize(
    'file', [file for file in CONFIGS if '_base_' not in file.parts], ids=lambda file: file.relative_to(REPOSITORY).stem
)
def test_configs_of_the_sky_name_its_templates(file):
    encoder = encoder_of(file)
    if encoder is not None:
        assert tuple(encoder.templates) == TEMPLATES


def test_some_configs_are_of_the_sky():
    assert sum(encoder_of(file) is not None for file in CONFIGS if '_base_' not in file.parts) >= 6
