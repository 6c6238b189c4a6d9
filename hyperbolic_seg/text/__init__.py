"""Words: vocabularies, text encoders on open_clip, cached embeddings, banks of them, and the radius tuner."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
    from hyperbolic_seg.text.taxonomy import PICTURE, Taxonomy
    from hyperbolic_seg.text.text_bank import TextBank
    from hyperbolic_seg.text.tower import TextTower
    from hyperbolic_seg.text.trained_text_bank import TrainedTextBank
    from hyperbolic_seg.text.tuner import RadiusTuner
    from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

__all__ = [
    'PICTURE',
    'Concept',
    'OpenCLIPTextEncoder',
    'RadiusTuner',
    'Taxonomy',
    'TextBank',
    'TextTower',
    'TrainedTextBank',
    'Vocabulary',
]
__getattr__ = attach(
    __name__,
    dict(
        PICTURE='taxonomy',
        Concept='vocabulary',
        OpenCLIPTextEncoder='encoder',
        RadiusTuner='tuner',
        Taxonomy='taxonomy',
        TextBank='text_bank',
        TextTower='tower',
        TrainedTextBank='trained_text_bank',
        Vocabulary='vocabulary',
    ),
)
