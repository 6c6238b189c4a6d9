"""Hyperbolic radius of text embeddings before and after a training."""

from typing import Any

import torch

from hyperbolic_seg.geometry import radius
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead
from hyperbolic_seg.text import Vocabulary
from hyperbolic_seg.text.trained_text_bank import TrainedTextBank

__all__ = ['text_radius']


@torch.no_grad()
def text_radius(head: OpenVocabularyHead, vocabulary: Any) -> dict[str, list[float]]:
    """Return the hyperbolic radius ``2 |v|`` of every concept before and after the training of a head.

    With a trained text tower, the radii are those of its embeddings before normalization, as in HyperCLIP's paper; the
    tower is loaded as it was before the training, too. With a frozen tower, the embeddings before the training are unit
    vectors, all at radius 2, and those after are the output of the head's tuner. The radius of a concept is the mean
    over its phrases and templates.

    Args:
        head: A trained head.
        vocabulary: Argument of :meth:`~hyperbolic_seg.text.Vocabulary.load`; the taxonomy of the head completes a list
            of prompts.

    Returns:
        ``dict(before=[...], after=[...])``, in the order of the vocabulary.

    Raises:
        RuntimeError: The weights of the text encoder are not available.
    """
    known = None if head.taxonomy is None else head.taxonomy.nodes
    concepts, bank = Vocabulary.load(vocabulary, known=known), head.text
    encoder = bank.encoder
    texts = [[template.format(p) for p in concept.phrases for template in encoder.templates] for concept in concepts]
    flat, sizes = [text for of_concept in texts for text in of_concept], [len(of_concept) for of_concept in texts]
    if isinstance(bank, TrainedTextBank) and bank.tower is not None:
        start = encoder.build_tower()
        start.init_weights()
        both = [radius(tower(flat, normalize=False)) for tower in (start.to(bank.embeddings.device), bank.tower)]
    else:
        plain = encoder.encode(flat)
        tuned = plain if head.tuner is None else head.tuner(plain.to(bank.embeddings.device))
        both = [radius(plain), radius(tuned)]
    means = [[part.mean().item() for part in found.split(sizes)] for found in both]
    return dict(before=means[0], after=means[1])
