"""Sets of concepts as labels: "clear sky or cloud, not told which"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

FIRST_SET = 126
"""Id of the first label set of a vocabulary; those after it count down, so that new concepts move none of them."""


class LabelSet(NamedTuple):
    """A label that means one of several concepts."""

    id: int
    """Value in label files."""
    members: tuple[str, ...]
    """Names of the concepts; what is below one of them is in the set too."""

    @property
    def name(self) -> str:
        """The members, such as ``'clear sky or cloud'``."""
        return ' or '.join(self.members)

    def holds(self, concept: Concept) -> bool:
        """Return whether a concept is a member or below one."""
        return not set(self.members).isdisjoint(concept.lineage)

    def overlaps(self, concept: Concept, vocabulary: Vocabulary) -> bool:
        """Return whether a concept of a vocabulary is in the set, or above a member."""
        members = (vocabulary[vocabulary.index_of(name)] for name in self.members)
        return self.holds(concept) or any(concept.name in member.ancestors for member in members)


def numbered_sets(sets: Sequence[Sequence[str]], vocabulary: Vocabulary) -> tuple[LabelSet, ...]:
    """Return the label sets of a vocabulary, in the order of their ids, from :data:`FIRST_SET` down.

    Args:
        sets: Names of the members of each.
        vocabulary: Their concepts, whose ids are their positions.

    Raises:
        ValueError: A member is not in the vocabulary or below another one, a set has fewer than two or is there twice,
            or there are too many.
    """
    numbered: list[LabelSet] = []
    for number, names in enumerate(sets):
        members = [vocabulary[vocabulary.index_of(name)] for name in names]
        label_set = LabelSet(FIRST_SET - number, tuple(member.name for member in members))
        if len(set(label_set.members)) < max(2, len(members)):
            raise ValueError(f'the label set {list(names)}: expected at least two concepts, each once')
        for member in members:
            if not set(label_set.members).isdisjoint(member.ancestors):
                raise ValueError(f'the label set {label_set.name!r}: {member.name!r} lies below another member')
        if any(set(other.members) == set(label_set.members) for other in numbered):
            raise ValueError(f'the label set {label_set.name!r} is there twice')
        numbered.append(label_set)
    if numbered and len(vocabulary) > numbered[-1].id:
        raise ValueError(
            f'{len(vocabulary)} concepts and {len(numbered)} label sets: expected at most {FIRST_SET + 1} together'
        )
    return tuple(numbered)
