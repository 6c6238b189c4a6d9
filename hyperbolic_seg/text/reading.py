"""Reading of phrases: which concepts a phrase in other words means, by all that people say for them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

WIDTH, RIDGE = 0.5, 0.2
"""Width of the kernel in units of the cosine, and ridge. Of the sky's own phrases, each left out in turn, the
regression gives 0.76 to their node, and a Nadaraya-Watson mean with a temperature of 0.03 gives 0.66."""


class PhraseReader:
    r"""Kernel ridge regression from the embedding of a phrase to the concept that it means.

    With the kernel :math:`k(s, t) = \exp((\langle s, t\rangle - 1) / h)` of unit embeddings and targets :math:`Y`, one
    for the concept of a phrase, the scores of phrases :math:`t` are :math:`k(t, T)\,(k(T, T) + \lambda I)^{-1}\,Y`.
    Phrases are encoded without templates. A phrase of several concepts is shared equally among them.

    Args:
        vocabulary: The concepts, with their phrases and wordings.
        encoder: The text encoder.
        width: h.
        ridge: :math:`\lambda`, positive.
    """

    def __init__(
        self, vocabulary: Vocabulary, encoder: OpenCLIPTextEncoder, *, width: float = WIDTH, ridge: float = RIDGE
    ) -> None:
        self.encoder, self.width = encoder, width
        said = [dict.fromkeys((*concept.phrases, *concept.wordings)) for concept in vocabulary]
        rows = {phrase: row for row, phrase in enumerate(dict.fromkeys(phrase for each in said for phrase in each))}
        self._known = encoder.encode(list(rows)).double()
        targets = self._known.new_zeros(len(rows), len(vocabulary))
        for concept, each in enumerate(said):
            targets[[rows[phrase] for phrase in each], concept] = 1
        kernel = self._kernel(self._known)
        kernel.diagonal().add_(ridge)
        self._weights = torch.linalg.solve(kernel, F.normalize(targets, p=1, dim=1))

    def scores(self, concepts: Sequence[Concept]) -> Tensor:
        """Return a score for every concept of the vocabulary, about 1 where it is meant and else 0, (K, C) float32."""
        found: Tensor = self._kernel(plain_embeddings(concepts, self.encoder).double()) @ self._weights
        return found.float()

    def _kernel(self, embeddings: Tensor) -> Tensor:
        kernel: Tensor = ((embeddings @ self._known.t() - 1) / self.width).exp()
        return kernel


def plain_embeddings(concepts: Sequence[Concept], encoder: OpenCLIPTextEncoder) -> Tensor:
    """Return the unit mean over the phrases of every concept, without templates, (K, D)."""
    parts = encoder.encode([phrase for concept in concepts for phrase in concept.phrases])
    means = [part.mean(0) for part in parts.split([len(concept.phrases) for concept in concepts])]
    return F.normalize(torch.stack(means), dim=-1)
