"""Words of a later edition of a taxonomy, for models that were trained with an earlier one.

An edition may divide a leaf: "building" and "tree" come below "obstruction". A model of the edition before tells no
buildings from other obstructions, so that it counts them all as that leaf.
"""

import warnings
from dataclasses import replace

from hyperbolic_seg.text.phrases import normalize_phrase
from hyperbolic_seg.text.taxonomy import Taxonomy
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary


def with_later_words(tree: Taxonomy, later: Vocabulary) -> Vocabulary:
    """Return the nodes of a tree and, after them, those of a later edition below its leaves.

    Phrases that a node of the tree has keep their meaning.

    Args:
        tree: The edition that a model was trained with.
        later: Nodes of the later edition.

    Raises:
        ValueError: Nothing in the later edition lies below a leaf of the tree.
    """
    taken = {normalize_phrase(phrase) for node in tree.nodes for phrase in node.phrases}
    below = [concept for concept in later if _leaf_above(tree, concept) is not None]
    if not below:
        raise ValueError(
            'no word of known_words lies below a leaf of the taxonomy, which knows the others: leave it out'
        )
    kept = (tuple(phrase for phrase in c.synonyms if normalize_phrase(phrase) not in taken) for c in below)
    return Vocabulary([*tree.nodes, *(replace(c, synonyms=left) for c, left in zip(below, kept, strict=True))])


def in_edition(vocabulary: Vocabulary, tree: Taxonomy, later: Vocabulary) -> Vocabulary:
    """Return what concepts are in the edition of a tree: nodes of it in place of those of a later edition.

    A concept that the later edition has below a leaf of the tree counts as that leaf, with a warning. Concepts of
    neither edition stay as they are.

    Args:
        vocabulary: The concepts.
        tree: The edition that a model was trained with.
        later: Nodes of the later edition.

    Raises:
        ValueError: Two concepts count as the same leaf.
    """
    meanings = [_meaning(concept, tree, later) for concept in vocabulary]
    for meaning in dict.fromkeys(meanings):
        same = [c.name for c, other in zip(vocabulary, meanings, strict=True) if other.name == meaning.name]
        if len(same) > 1:
            raise ValueError(
                f'{", ".join(map(repr, same))} are all {meaning.name!r} to this model, which was not trained to '
                f'tell them apart: keep one, or name {meaning.name!r} in their place'
            )
    for concept, meaning in zip(vocabulary, meanings, strict=True):
        if meaning.name in concept.ancestors:
            warnings.warn(
                f'this model does not tell {concept.name!r} from any other {meaning.name!r}: it counts as that',
                stacklevel=4,
            )
    return Vocabulary(meanings)


def _meaning(concept: Concept, tree: Taxonomy, later: Vocabulary) -> Concept:
    place = later.find(concept.name)
    if place is None:
        return concept
    own = tree.nodes.nearest(concept)
    if own is not None and later[place] == concept and _is_called(concept, tree.nodes[own].name):
        node: Concept = tree.nodes[own]  # as a vocabulary of the later edition has it
        return node
    leaf = _leaf_above(tree, concept)
    return leaf if leaf is not None and leaf == _leaf_above(tree, later[place]) else concept


def _leaf_above(tree: Taxonomy, concept: Concept) -> Concept | None:
    """Return the leaf of a tree that a concept lies below, ``None`` if it is itself a node or lies below none."""
    place = tree.nodes.nearest(concept)
    node: Concept | None = None if place is None else tree.nodes[place]
    return node if node is not None and not _is_called(concept, node.name) and node in list(tree.leaves) else None


def _is_called(concept: Concept, name: str) -> bool:
    return normalize_phrase(concept.name) == normalize_phrase(name)
