"""Familiarity of words: which prompts are far from everything that a taxonomy names."""

from functools import cached_property
from typing import NamedTuple

from torch import Tensor

from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.minilm import OFFLINE
from hyperbolic_seg.text.phrases import normalize_phrase
from hyperbolic_seg.text.reading import plain_embeddings
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

LEAST_SIMILARITY = 0.33
"""Cosine with the nearest known concept below which the offline tower takes a word for unknown."""
MOST_BEHIND = 0.05
"""How much nearer than to the nearest known concept a known word may be to a thing of everyday life, in cosine."""
THINGS = 'coco_stuff'
"""Vocabulary of things of everyday life."""
_NEAREST = 3
_SAME = 0.5  # cosine from which a thing of everyday life is a known concept itself, such as "clouds"


class Stranger(NamedTuple):
    """A concept that is far from all known ones."""

    name: str
    similarity: float
    """Cosine with the nearest known concept."""
    nearest: tuple[str, ...]
    """Names of the nearest known concepts, the nearest first."""

    @property
    def note(self) -> str:
        """A note for the user."""
        nearest = ', '.join(self.nearest)
        return f'{self.name!r} is not known here; nearest known: {nearest}. What is found by it is a guess'


class Familiarity:
    """Compares words with known concepts by a text encoder.

    A word is unknown if it is not similar to any known concept, or much less than to a thing of everyday life, unless
    it is a wording of a known one. The embedding of a concept is the mean over its phrases, without templates. Single
    phrases would not do: "elephant" is near "elephant hide, folded and grey". The limits were measured for the taxonomy
    of the sky and the offline tower (``tools/benchmarks/unknown_words.py``); about words of other towers nothing is
    said.

    Args:
        known: The known concepts, such as the nodes of a taxonomy. A root, which is above all others, is not compared.
        encoder: The text encoder.
        least: Similarity below which a word is unknown.
        behind: How much less similar to a known concept than to a thing a known word may be.
    """

    def __init__(
        self,
        known: Vocabulary,
        encoder: OpenCLIPTextEncoder,
        *,
        least: float = LEAST_SIMILARITY,
        behind: float = MOST_BEHIND,
    ) -> None:
        self.known, self.encoder, self.least, self.behind = known, encoder, least, behind
        self.compared = Vocabulary(concept for concept in known if concept.ancestors or not _is_above(concept, known))

    @property
    def measured(self) -> bool:
        """True if the limits were measured for the encoder."""
        return self.encoder.model == OFFLINE and not self.encoder.trained

    def concept_of(self, concept: Concept) -> Concept | None:
        """Return the known concept that has the name or a phrase of a concept as a word, in any language."""
        places = map(self.known.find, (concept.name, *concept.phrases))
        found = next((place for place in places if place is not None), None)
        return None if found is None else self.known[found]

    def strangers(self, vocabulary: Vocabulary) -> list[Stranger]:
        """Return the concepts that have no word of a known one and are far from all; empty for other towers.

        Raises:
            ImportError: A word has to be encoded, and the encoder is not installed.
        """
        others = [concept for concept in vocabulary if self.concept_of(concept) is None]
        if not others or not self.measured:
            return []
        return [found for found, unknown in self.compare(Vocabulary(others)) if unknown]

    def compare(self, vocabulary: Vocabulary) -> list[tuple[Stranger, bool]]:
        """Return what is nearest to every concept, and whether that is too far for a known word."""
        words = plain_embeddings(vocabulary, self.encoder)
        near, things = words @ self._known.t(), words @ self._things.t()
        far = (near.amax(1) < self.least) | (things.amax(1) - near.amax(1) > self.behind)
        return [
            (self._nearest(concept, row), bool(unknown) and normalize_phrase(concept.name) not in self._wordings)
            for concept, row, unknown in zip(vocabulary, near, far, strict=True)
        ]

    @cached_property
    def _wordings(self) -> frozenset[str]:
        return frozenset(normalize_phrase(wording) for concept in self.known for wording in concept.wordings)

    @cached_property
    def _known(self) -> Tensor:
        return plain_embeddings(self.compared, self.encoder)

    @cached_property
    def _things(self) -> Tensor:
        things = plain_embeddings(Vocabulary.load(THINGS), self.encoder)
        return things[(things @ self._known.t()).amax(1) < _SAME]

    def _nearest(self, concept: Concept, similarities: Tensor) -> Stranger:
        order = similarities.argsort(descending=True)[:_NEAREST].tolist()
        return Stranger(concept.name, float(similarities.max()), tuple(self.compared[place].name for place in order))


def _is_above(concept: Concept, known: Vocabulary) -> bool:
    return any(concept.name in other.ancestors for other in known)
