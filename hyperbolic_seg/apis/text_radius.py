"""How far words lie from the origin before and after a training."""

from typing import Any

import torch

from hyperbolic_seg.geometry import radius
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead
from hyperbolic_seg.text import Vocabulary
from hyperbolic_seg.text.trained_text_bank import TrainedTextBank


@torch.no_grad()
def text_radius(head: OpenVocabularyHead, vocabulary: Any) -> dict[str, list[float]]:
    """Return the hyperbolic radius ``2 |v|`` of every concept, before and after what a head has trained.

    Of a text tower that is trained, the radii are of its embeddings as they come out, before they are made unit
    vectors, as in HyperCLIP's paper; the tower as it was is loaded for that. Else they are of unit vectors before, all
    at 2, and of those that the head's tuner makes of them after. Phrases and templates of a concept are averaged.

    Args:
        head: A trained head.
        vocabulary: What :meth:`Vocabulary.load` takes.

    Returns:
        ``dict(before=[...], after=[...])``, in the order of the vocabulary.

    Raises:
        RuntimeError: The weights of the text encoder cannot be had.
    """
    words, bank = Vocabulary.load(vocabulary), head.text
    encoder = bank.encoder
    texts = [[t.format(phrase) for phrase in concept.phrases for t in encoder.templates] for concept in words]
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
