"""Kinds of concepts: the branches just below the root of their hierarchy."""

from collections.abc import Sequence

from hyperbolic_seg.text.taxonomy import Taxonomy
from hyperbolic_seg.text.vocabulary import Vocabulary


def kinds(vocabulary: Vocabulary, root: str | None = None) -> list[int]:
    """Number the kinds of a vocabulary's concepts, from 0 on in the order in which they first appear.

    The kind of a concept is its topmost ancestor, or the concept itself if it has none. A root that all concepts share
    tells nothing apart, so the node below it is taken: cirrus and cumulus are both of the kind "cloud".

    Args:
        vocabulary: The concepts.
        root: Name of the root, which makes no kind. By default it is the topmost ancestor of all concepts, if they
            share one.

    Returns:
        The number of its kind for every concept.
    """
    lineages = [concept.lineage for concept in vocabulary]
    if root is None and len({lineage[-1] for lineage in lineages}) == 1:
        root = lineages[0][-1]
    tops = [lineage[-2] if len(lineage) > 1 and lineage[-1] == root else lineage[-1] for lineage in lineages]
    numbers = {top: number for number, top in enumerate(dict.fromkeys(tops))}
    return [numbers[top] for top in tops]


def kinds_below(names: Sequence[str], vocabulary: Vocabulary, of_kinds: Sequence[int]) -> list[bool]:
    """Return for every kind whether it is one of some nodes, or lies below one.

    Args:
        names: Names of the nodes.
        vocabulary: Concepts in the names of the taxonomy, see :func:`in_names_of`.
        of_kinds: Number of the kind of every concept, as :func:`kinds` returns it.
    """
    wanted = set(names)
    below = {kind for concept, kind in zip(vocabulary, of_kinds, strict=True) if wanted & set(concept.lineage)}
    return [kind in below for kind in range(max(of_kinds) + 1)]


def in_names_of(taxonomy: Taxonomy, vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary with the nodes of a taxonomy for concepts that are nodes in another spelling or other words.

    "Not sky" and "anything that is not sky" are the node "not sky", with what lies above it.
    """
    nodes = [taxonomy.node_of(concept) for concept in vocabulary]
    return Vocabulary(
        concept if node is None else taxonomy.nodes[node] for concept, node in zip(vocabulary, nodes, strict=True)
    )
