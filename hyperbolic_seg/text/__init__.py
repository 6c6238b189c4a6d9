"""Words: vocabularies, taxonomies, text encoders on open_clip, banks of embeddings, and the radius tuner."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.files import sha256_of
    from hyperbolic_seg.text.branches import in_names_of, kinds, kinds_below
    from hyperbolic_seg.text.cache import EmbeddingCache, default_cache_dir
    from hyperbolic_seg.text.cells import Expansion
    from hyperbolic_seg.text.editions import in_edition, with_later_words
    from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
    from hyperbolic_seg.text.familiarity import LEAST_SIMILARITY, MOST_BEHIND, THINGS, Familiarity, Stranger
    from hyperbolic_seg.text.label_sets import LabelSet
    from hyperbolic_seg.text.minilm import OFFLINE
    from hyperbolic_seg.text.open_clip import build_open_clip, check_source, load_open_clip
    from hyperbolic_seg.text.phrases import normalize_phrase, normalize_phrases
    from hyperbolic_seg.text.reading import PhraseReader, plain_embeddings
    from hyperbolic_seg.text.taxonomy import WHOLE_IMAGE, Taxonomy
    from hyperbolic_seg.text.terms import Term
    from hyperbolic_seg.text.text_bank import TextBank, smooth_prompts
    from hyperbolic_seg.text.tower import TextTower
    from hyperbolic_seg.text.trained_text_bank import TrainedTextBank
    from hyperbolic_seg.text.tuner import RadiusTuner
    from hyperbolic_seg.text.vocabulary import Concept, Vocabulary, built_in_vocabularies, check_enough
    from hyperbolic_seg.text.yaml_files import read_yaml, shown

__all__ = [
    'LEAST_SIMILARITY',
    'MOST_BEHIND',
    'OFFLINE',
    'THINGS',
    'WHOLE_IMAGE',
    'Concept',
    'EmbeddingCache',
    'Expansion',
    'Familiarity',
    'LabelSet',
    'OpenCLIPTextEncoder',
    'PhraseReader',
    'RadiusTuner',
    'Stranger',
    'Taxonomy',
    'Term',
    'TextBank',
    'TextTower',
    'TrainedTextBank',
    'Vocabulary',
    'build_open_clip',
    'built_in_vocabularies',
    'check_enough',
    'check_source',
    'default_cache_dir',
    'in_edition',
    'in_names_of',
    'kinds',
    'kinds_below',
    'load_open_clip',
    'normalize_phrase',
    'normalize_phrases',
    'plain_embeddings',
    'read_yaml',
    'sha256_of',
    'shown',
    'smooth_prompts',
    'with_later_words',
]
__getattr__ = attach(
    __name__,
    dict(
        LEAST_SIMILARITY='familiarity',
        MOST_BEHIND='familiarity',
        OFFLINE='minilm',
        THINGS='familiarity',
        WHOLE_IMAGE='taxonomy',
        Concept='vocabulary',
        EmbeddingCache='cache',
        Expansion='cells',
        Familiarity='familiarity',
        LabelSet='label_sets',
        OpenCLIPTextEncoder='encoder',
        PhraseReader='reading',
        RadiusTuner='tuner',
        Stranger='familiarity',
        Taxonomy='taxonomy',
        Term='terms',
        TextBank='text_bank',
        TextTower='tower',
        TrainedTextBank='trained_text_bank',
        Vocabulary='vocabulary',
        build_open_clip='open_clip',
        built_in_vocabularies='vocabulary',
        check_enough='vocabulary',
        check_source='open_clip',
        default_cache_dir='cache',
        in_edition='editions',
        in_names_of='branches',
        kinds='branches',
        kinds_below='branches',
        load_open_clip='open_clip',
        normalize_phrase='phrases',
        normalize_phrases='phrases',
        plain_embeddings='reading',
        read_yaml='yaml_files',
        sha256_of='minilm',
        shown='yaml_files',
        smooth_prompts='text_bank',
        with_later_words='editions',
    ),
)
