"""A tree of concepts: its leaves tell pixels apart, and a pixel may be labelled with any node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

PICTURE = 128
"""Added to a node's id, it labels a pixel of a picture that shows this and nothing else of its kind."""


class Taxonomy:
    """A vocabulary whose concepts form one tree.

    Args:
        nodes: The concepts with their ancestors; the position of a node is its id in label files.

    Raises:
        ValueError: There is not exactly one root, a parent is missing, or a single leaf is all there is.
    """

    def __init__(self, nodes: Vocabulary) -> None:
        self.nodes = nodes
        for concept in nodes:
            if concept.ancestors and concept.ancestors[0] not in nodes:
                raise ValueError(
                    f'{concept.name!r} has the parent {concept.ancestors[0]!r}, which is not a node: a taxonomy holds '
                    'every node from its leaves to its root'
                )
        roots = [concept.name for concept in nodes if not concept.ancestors]
        if len(roots) != 1:
            raise ValueError(
                f'a taxonomy has one root, these have no parent: {", ".join(roots)}. Give all but one a parent'
            )
        self.root = roots[0]
        if len(self.leaves) < 2:
            raise ValueError(f'a taxonomy tells at least two leaves apart, got {list(self.leaves.names)}')

    @classmethod
    def load(cls, source: str | Path | Vocabulary | Taxonomy) -> Taxonomy:
        """Make a taxonomy of the name of a built-in one (``'sky'``), a YAML file or a vocabulary.

        Raises:
            FileNotFoundError: There is no such file and no built-in vocabulary of that name.
            ValueError: The file is no valid vocabulary, or its concepts are no tree.

        Example:
            >>> sky = Taxonomy.load('sky')
            >>> sky.at_depth(1).names
            ('clear sky', 'cloud', 'not sky')
            >>> sky.nodes[sky.nodes.find('Ci')].lineage
            ('cirrus', 'high cloud', 'cloud', 'everything')
        """
        if isinstance(source, Taxonomy):
            return source
        nodes = Vocabulary.load(source)
        try:
            return cls(nodes)
        except ValueError as error:
            raise ValueError(f'{source if isinstance(source, (str, Path)) else nodes!r}: {error}') from error

    @cached_property
    def leaves(self) -> Vocabulary:
        """The nodes below which there are none, in the order of their ids."""
        parents = {concept.ancestors[0] for concept in self.nodes if concept.ancestors}
        return Vocabulary(concept for concept in self.nodes if concept.name not in parents)

    @cached_property
    def membership(self) -> Tensor:
        """Which leaves lie below or at which nodes, bool, (nodes, leaves)."""
        rows = [[node.name in leaf.lineage for leaf in self.leaves] for node in self.nodes]
        return torch.tensor(rows)

    @cached_property
    def depths(self) -> Tensor:
        """How many steps every node lies below the root, (nodes,)."""
        return torch.tensor([len(concept.ancestors) for concept in self.nodes])

    @cached_property
    def distances(self) -> Tensor:
        """Steps along the tree between any two nodes, (nodes, nodes)."""
        lineages = [concept.lineage for concept in self.nodes]
        return torch.tensor([[_steps(a, b) for b in lineages] for a in lineages])

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs of ids (parent, child), from the root down."""
        order = self.depths.argsort(stable=True).tolist()
        return [(self.parent(child), child) for child in order if self.nodes[child].ancestors]

    def parent(self, node: int) -> int:
        """Return the id of a node's parent; the root is its own."""
        concept: Concept = self.nodes[node]
        return self.nodes.index_of(concept.ancestors[0]) if concept.ancestors else node

    def at_depth(self, depth: int) -> Vocabulary:
        """Cut the tree: the nodes at a depth, and the leaves above it. They divide what there is among them."""
        leaves = set(self.leaves.names)
        return Vocabulary(
            concept
            for concept in self.nodes
            if len(concept.ancestors) == depth or (len(concept.ancestors) < depth and concept.name in leaves)
        )

    def node_probabilities(self, probabilities: Tensor, dim: int = 1, *, of: Sequence[int] | None = None) -> Tensor:
        """Sum the probabilities of what lies at or below every node.

        Args:
            probabilities: Of the leaves along ``dim``, such as (N, leaves, H, W).
            dim: Their dimension.
            of: Ids of the nodes that they are of, if these are not the leaves.

        Returns:
            Probabilities with the nodes in the place of the leaves.
        """
        below = self.membership
        if of is not None:
            below = torch.tensor([[node.name in self.nodes[i].lineage for i in of] for node in self.nodes])
        return torch.tensordot(probabilities, below.to(probabilities), ([dim], [1])).movedim(-1, dim)

    def deepest(
        self, probabilities: Tensor, threshold: float, dim: int = 1, *, of: Sequence[int] | None = None
    ) -> Tensor:
        """Name every pixel as exactly as a probability allows: "cirrus", else "high cloud", else "cloud".

        Args:
            probabilities: Of the leaves along ``dim``, such as (N, leaves, H, W).
            threshold: What the probability of a node must reach, above 0.5, so that what reaches it is one branch.
            dim: The dimension of the leaves.
            of: Ids of the nodes that the probabilities are of, if these are not the leaves.

        Returns:
            Ids of the deepest such nodes, without ``dim``; the root, of probability 1, is always one.

        Raises:
            ValueError: The threshold is not above 0.5 and at most 1.
        """
        if not 0.5 < threshold <= 1:
            raise ValueError(f'threshold={threshold}: expected more than 0.5, at most 1')
        summed = self.node_probabilities(probabilities, dim, of=of)
        shape = [1] * summed.ndim
        shape[dim] = -1
        depths = self.depths.to(summed.device).view(shape)
        sure = (summed >= threshold) | (depths == 0)
        return torch.where(sure, depths, -1).argmax(dim)

    def grown(self, vocabulary: Vocabulary) -> tuple[Taxonomy, list[int]]:
        """Put what is asked for into the tree: what is no node becomes one below the root.

        Args:
            vocabulary: What is asked for.

        Returns:
            The tree, and the id of the node that every concept is.
        """
        nodes, places = list(self.nodes), []
        for concept in vocabulary:
            place = self.node_of(concept)
            if place is None and concept.name in self.nodes:
                place = self.nodes.index_of(concept.name)
            if place is None:
                place = len(nodes)
                nodes.append(replace(concept, ancestors=(self.root,)))
            places.append(place)
        return (self if len(nodes) == len(self.nodes) else Taxonomy(Vocabulary(nodes))), places

    def expand(self, vocabulary: Vocabulary) -> tuple[Vocabulary, list[int]]:
        """Say inner nodes by their leaves, so that "cloud" is whatever is any kind of cloud.

        A leaf goes to the nearest concept above it in the vocabulary: beside "cumulus", "cloud" is every other kind.
        Concepts with other words than any node are said in their own words.

        Args:
            vocabulary: What is asked for.

        Returns:
            The words to tell apart, and for each the position of its concept in the vocabulary.
        """
        said = [self.node_of(concept) for concept in vocabulary]
        asked = {node: place for place, node in enumerate(said) if node is not None}
        asked |= {self.nodes.index_of(c.name): place for place, c in enumerate(vocabulary) if c.name in self.nodes}
        below: dict[int, list[Concept]] = {}
        for leaf in self.leaves:
            nearest = next((i for i in self.ids(leaf.lineage) if i in asked), None)
            if nearest is not None and nearest == said[asked[nearest]] and self.nodes[nearest] != leaf:
                below.setdefault(asked[nearest], []).append(leaf)
        words, places = [], []
        for place, concept in enumerate(vocabulary):
            leaves = below.get(place, [concept])
            words += leaves
            places += [place] * len(leaves)
        return Vocabulary(words), places

    def node_of(self, concept: Concept) -> int | None:
        """Return the id of the node that is said in the same words, in whatever order, ``None`` if there is none."""
        return self._spoken.get(_words(concept))

    @cached_property
    def _spoken(self) -> dict[frozenset[str], int]:
        return {_words(concept): node for node, concept in enumerate(self.nodes)}

    def ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of named nodes.

        Raises:
            ValueError: A name is no node.
        """
        return [self.nodes.index_of(name) for name in names]

    def __repr__(self) -> str:
        return f'Taxonomy({len(self.nodes)} nodes, {len(self.leaves)} leaves, root {self.root!r})'


def _words(concept: Concept) -> frozenset[str]:
    """What a text encoder is shown of a concept, without regard to letter case and order."""
    return frozenset(' '.join(phrase.casefold().split()) for phrase in concept.phrases)


def _steps(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Steps between two nodes given by their lineages, nearest first."""
    shared = sum(a == b for a, b in zip(reversed(one), reversed(other), strict=False))
    return len(one) + len(other) - 2 * shared
