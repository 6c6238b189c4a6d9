"""Taxonomies: trees of concepts whose leaves are the classes, while a label may be any node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hyperbolic_seg.text.cells import Expansion, expand
from hyperbolic_seg.text.phrases import normalize_phrases
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

if TYPE_CHECKING:  # torch takes a second to import, and checking a vocabulary needs none of it
    from torch import Tensor

WHOLE_IMAGE = 128
"""Offset of the labels of whole images: ``WHOLE_IMAGE + id`` marks a pixel of an image known to show that node."""


class Taxonomy:
    """A vocabulary whose concepts form one tree.

    Args:
        nodes: Concepts with their ancestors; the position of a node is its id in label files.

    Raises:
        ValueError: There is not exactly one root, a parent is missing, or there are fewer than two leaves.
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
                f'a taxonomy has one root, but these have no parent: {", ".join(roots)}. Give all but one a parent'
            )
        self.root = roots[0]
        if len(self.leaves) < 2:
            raise ValueError(f'a taxonomy has at least two leaves, got {list(self.leaves.names)}')

    @classmethod
    def load(cls, source: str | Path | Vocabulary | Taxonomy) -> Taxonomy:
        """Load a taxonomy.

        Args:
            source: Name of a built-in vocabulary, path of a YAML file, a vocabulary, or a taxonomy, which is returned
                unchanged.

        Raises:
            FileNotFoundError: There is no such file and no built-in vocabulary of that name.
            ValueError: The file is not a valid vocabulary, or its concepts do not form a tree.

        Example:
            >>> tree = Taxonomy.load('voc20b_tree')
            >>> len(tree.nodes), len(tree.leaves)
            (61, 59)
            >>> tree.nodes[tree.nodes.find('cat')].lineage
            ('cat', 'everything')
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
        """Nodes without children, in the order of their ids."""
        parents = {concept.ancestors[0] for concept in self.nodes if concept.ancestors}
        return Vocabulary(concept for concept in self.nodes if concept.name not in parents)

    @property
    def labels(self) -> dict[int, tuple[int, ...]]:
        """Nodes that each label may mean, by its id: every node by itself, and the label sets."""
        sets = {label_set.id: tuple(self.ids(label_set.members)) for label_set in self.nodes.label_sets}
        return {node: (node,) for node in range(len(self.nodes))} | sets

    @cached_property
    def membership(self) -> Tensor:
        """True where a leaf lies at or below a node, (nodes, leaves)."""
        import torch

        rows = [[node.name in leaf.lineage for leaf in self.leaves] for node in self.nodes]
        return torch.tensor(rows)

    @cached_property
    def depths(self) -> Tensor:
        """Steps from the root to every node, (nodes,)."""
        import torch

        return torch.tensor([len(concept.ancestors) for concept in self.nodes])

    @cached_property
    def distances(self) -> Tensor:
        """Steps along the tree between every two nodes, (nodes, nodes)."""
        import torch

        lineages = [concept.lineage for concept in self.nodes]
        return torch.tensor([[_steps(a, b) for b in lineages] for a in lineages])

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs of ids (parent, child), from the root down."""
        order = sorted(range(len(self.nodes)), key=lambda node: len(self.nodes[node].ancestors))
        return [(self.parent(child), child) for child in order if self.nodes[child].ancestors]

    def parent(self, node: int) -> int:
        """Return the id of the parent of a node; the root is its own parent."""
        concept: Concept = self.nodes[node]
        return self.nodes.index_of(concept.ancestors[0]) if concept.ancestors else node

    def at_depth(self, depth: int) -> Vocabulary:
        """Return the nodes at a depth and the leaves above it, which together cover every leaf exactly once."""
        leaves = set(self.leaves.names)
        return Vocabulary(
            concept
            for concept in self.nodes
            if len(concept.ancestors) == depth or (len(concept.ancestors) < depth and concept.name in leaves)
        )

    def node_probabilities(self, probabilities: Tensor, dim: int = 1, *, of: Sequence[int] | None = None) -> Tensor:
        """Sum the probabilities of all classes at or below every node.

        Args:
            probabilities: Probabilities of the leaves along ``dim``, such as (N, leaves, H, W).
            dim: Dimension of the classes.
            of: Node id of every class; by default the leaves.

        Returns:
            Probabilities of the nodes along ``dim``, such as (N, nodes, H, W).
        """
        import torch

        below = self.membership
        if of is not None:
            below = torch.tensor([[node.name in self.nodes[i].lineage for i in of] for node in self.nodes])
        summed: Tensor = torch.tensordot(probabilities, below.to(probabilities), ([dim], [1]))
        return summed.movedim(-1, dim)

    def deepest(
        self, probabilities: Tensor, threshold: float, dim: int = 1, *, of: Sequence[int] | None = None
    ) -> Tensor:
        """Return the deepest node that is probable enough: "car", else "vehicle", else the root.

        Args:
            probabilities: Probabilities of the leaves along ``dim``, such as (N, leaves, H, W).
            threshold: Least probability of a node. Above 0.5, the nodes that reach it lie on one branch.
            dim: Dimension of the classes.
            of: Node id of every class; by default the leaves.

        Returns:
            Ids of nodes, without ``dim``. The root, of probability 1, always qualifies.

        Raises:
            ValueError: The threshold is not above 0.5 and at most 1.
        """
        import torch

        if not 0.5 < threshold <= 1:
            raise ValueError(f'threshold={threshold}: expected more than 0.5, at most 1')
        summed = self.node_probabilities(probabilities, dim, of=of)
        shape = [1] * summed.ndim
        shape[dim] = -1
        depths = self.depths.to(summed.device).view(shape)
        sure = (summed >= threshold) | (depths == 0)
        return torch.where(sure, depths, -1).argmax(dim)

    def grown(self, vocabulary: Vocabulary) -> tuple[Taxonomy, list[int]]:
        """Return the tree with every given concept in it: one that is not a node yet becomes a child of the root.

        Args:
            vocabulary: The concepts.

        Returns:
            The tree, and the node id of every concept.
        """
        nodes, ids = list(self.nodes), []
        for concept in vocabulary:
            node = self.node_of(concept)
            if node is None and concept.name in self.nodes:
                node = self.nodes.index_of(concept.name)
            if node is None:
                node = len(nodes)
                below = concept.ancestors if concept.members or concept.values else (self.root,)
                nodes.append(replace(concept, ancestors=below))
            ids.append(node)
        return (self if len(nodes) == len(self.nodes) else Taxonomy(Vocabulary(nodes))), ids

    def expand(self, vocabulary: Vocabulary) -> Expansion:
        """Replace inner nodes by their leaves; see :func:`~hyperbolic_seg.text.cells.expand`."""
        return expand(self, vocabulary)

    def node_of(self, concept: Concept) -> int | None:
        """Return the id of the node with the same phrases, in whatever order; ``None`` if there is none.

        A concept that is only a part of a node, such as "thin cirrus", is no node.
        """
        part = concept.members or concept.values
        return None if part else self._node_of_phrases.get(normalize_phrases(concept.phrases))

    @cached_property
    def _node_of_phrases(self) -> dict[tuple[str, ...], int]:
        return {normalize_phrases(concept.phrases): node for node, concept in enumerate(self.nodes)}

    def ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of named nodes.

        Raises:
            ValueError: A name is no node.
        """
        return [self.nodes.index_of(name) for name in names]

    def __repr__(self) -> str:
        return f'Taxonomy({len(self.nodes)} nodes, {len(self.leaves)} leaves, root {self.root!r})'


def _steps(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return the steps between two nodes given by their lineages, nearest first."""
    shared = sum(a == b for a, b in zip(reversed(one), reversed(other), strict=False))
    return len(one) + len(other) - 2 * shared
