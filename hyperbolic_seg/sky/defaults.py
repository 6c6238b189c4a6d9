"""Defaults of the sky: its taxonomy, the kinds of pixels in it, its templates and its known words."""

from hyperbolic_seg.text import Taxonomy, Vocabulary

TAXONOMY = 'sky'
"""Name of the built-in taxonomy of the sky."""
CLEAR_SKY, CLOUD, NOT_SKY = 'clear sky', 'cloud', 'not sky'
"""Names of the kinds of pixels: the children of the root of the taxonomy."""
TEMPLATES = ('{}', 'a photo of {}', 'a photo of the sky with {}', '{} seen from the ground')
"""Templates of the models of the sky, as in ``configs/_base_/models/sky_templates.py``."""


def load_taxonomy() -> Taxonomy:
    """Return the built-in taxonomy of the sky."""
    return Taxonomy.load(TAXONOMY)


def known_words() -> Vocabulary:
    """Return the nodes of the taxonomy, which complete prompts such as ``'Cu'``.

    Example:
        >>> from hyperbolic_seg.text import Vocabulary
        >>> Vocabulary.from_prompts(['Cu'], known=known_words())[0].lineage
        ('cumulus', 'low cloud', 'cloud', 'everything')
    """
    return load_taxonomy().nodes
