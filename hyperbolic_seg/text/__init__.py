"""Words: vocabularies, text encoders on open_clip, cached embeddings and the radius tuner."""

from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.taxonomy import PICTURE, Taxonomy
from hyperbolic_seg.text.tower import TextTower
from hyperbolic_seg.text.tuner import RadiusTuner
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

__all__ = ['PICTURE', 'Concept', 'OpenCLIPTextEncoder', 'RadiusTuner', 'Taxonomy', 'TextTower', 'Vocabulary']
