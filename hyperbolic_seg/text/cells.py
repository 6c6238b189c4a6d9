"""Cells: the leaves of a taxonomy, divided by the values of attributes, and who of a vocabulary owns them."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from hyperbolic_seg.text.phrases import normalize_phrases
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

if TYPE_CHECKING:
    from hyperbolic_seg.text.taxonomy import Taxonomy

Combination = tuple[str, ...]
"""A value of each attribute."""


class Expansion(NamedTuple):
    """The words that a vocabulary is made of; those of a concept stand together, in its order."""

    words: Vocabulary
    owners: list[int]
    """Position in the vocabulary of the concept of every word."""
    values: list[tuple[str, ...]]
    """Values of attributes that a word asks for; empty if it asks for none."""
    shares: list[float]
    """Share of a word that its concept gets: a half of what two concepts claim with the same right."""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Expansion:
        """Return a vocabulary by itself, in which every concept is one word."""
        count = len(vocabulary)
        return cls(vocabulary, list(range(count)), [()] * count, [1.0] * count)


@dataclass(frozen=True)
class _Claim:
    """What a concept of a vocabulary means: a set of leaves, and of combinations of values."""

    place: int
    leaves: frozenset[str]
    combinations: frozenset[Combination]
    depth: int
    by_itself: bool
    """It has words of its own, so that it is compared by them and not by those of leaves."""

    @property
    def rank(self) -> tuple[int, int]:
        """The smaller the more specific; of two of the same size the deeper node."""
        return len(self.leaves) * len(self.combinations), -self.depth


def expand(tree: Taxonomy, vocabulary: Vocabulary) -> Expansion:
    """Replace the concepts of a vocabulary by the leaves that they mean, or by leaves with values of attributes.

    A leaf goes to the most specific concept that means it: next to "car", "vehicle" stands for every other kind. A
    concept whose phrases match no node stays as it is.

    Args:
        tree: The taxonomy.
        vocabulary: The concepts.
    """
    used = [values for values in tree.nodes.attributes.values() if any(_some(c, values) for c in vocabulary)]
    combinations = list(itertools.product(*used))
    claims = [claim for place, c in enumerate(vocabulary) if (claim := _claim(tree, place, c, combinations))]
    owned: dict[int, list[tuple[Concept, tuple[str, ...], float]]] = defaultdict(list)
    for leaf in tree.leaves:
        for (place, share), cells in _owners(leaf, claims, combinations).items():
            owned[place] += [(leaf, values, share) for values in _asked(cells, used)]
    parts = [
        (place, _named(leaf, concept, values, share), values, share)
        for place, concept in enumerate(vocabulary)
        for leaf, values, share in owned.get(place, [(concept, (), 1.0)])
    ]
    owners, words, values, shares = map(list, zip(*parts, strict=True))
    return Expansion(Vocabulary(words), owners, values, shares)


def _claim(tree: Taxonomy, place: int, concept: Concept, combinations: Sequence[Combination]) -> _Claim | None:
    named = tree.nodes.nearest(replace(concept, ancestors=()))
    node = tree.node_of(concept)
    if concept.members or concept.values:
        node = tree.nodes.nearest(concept)
    if node is None and named is None:
        return None
    by_itself = node is None
    node = named if node is None else node
    assert node is not None
    above = set(concept.members or (tree.nodes[node].name,))
    leaves = frozenset(leaf.name for leaf in tree.leaves if above.intersection(leaf.lineage))
    asked = frozenset(c for c in combinations if all(not _differs(concept, value, tree) for value in c))
    return _Claim(place, leaves, asked, len(tree.nodes[node].ancestors), by_itself)


def _some(concept: Concept, values: Iterable[str]) -> bool:
    return not set(values).isdisjoint(concept.values)


def _differs(concept: Concept, value: str, tree: Taxonomy) -> bool:
    """Return whether a concept asks for other values of the attribute of a value."""
    values = next(values for values in tree.nodes.attributes.values() if value in values)
    return _some(concept, values) and value not in concept.values


def _owners(
    leaf: Concept, claims: Sequence[_Claim], combinations: Sequence[Combination]
) -> dict[tuple[int, float], list[Combination]]:
    """Return the combinations of values with which a leaf goes to a concept, by the concept and its share."""
    owners: dict[tuple[int, float], list[Combination]] = defaultdict(list)
    for combination in combinations:
        those = [claim for claim in claims if leaf.name in claim.leaves and combination in claim.combinations]
        best = [claim for claim in those if claim.rank == min(other.rank for other in those)]
        for claim in best:
            if not claim.by_itself:
                owners[claim.place, 1 / len(best)].append(combination)
    return owners


def _asked(cells: Sequence[Combination], used: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the values that cells ask for: once if they are all combinations of some values, else for each cell."""
    found = [[value for value in values if any(value in cell for cell in cells)] for values in used]
    if math.prod(map(len, found)) != len(cells):
        return list(cells)
    return [tuple(v for some, values in zip(found, used, strict=True) if len(some) < len(values) for v in some)]


def _named(leaf: Concept, concept: Concept, values: tuple[str, ...], share: float) -> Concept:
    """Return a leaf under a name that no other word of the vocabulary has."""
    if not values and share == 1:
        same = normalize_phrases(concept.phrases) == normalize_phrases(leaf.phrases)
        return concept if same and not concept.members else leaf
    name = ', '.join((leaf.name, *values))
    return replace(leaf, name=name if share == 1 else f'{name} of {concept.name}', prompt=leaf.prompt or leaf.name)
