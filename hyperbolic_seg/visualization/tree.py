"""Figure of a taxonomy."""

from typing import TYPE_CHECKING

import numpy as np

from hyperbolic_seg.text import Taxonomy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GRAY = (150, 150, 150)


def draw_taxonomy(tree: Taxonomy) -> 'Figure':
    """Draw a taxonomy with its root at the left; nodes have their colors, names and abbreviations.

    Returns:
        A :class:`matplotlib.figure.Figure`.
    """
    import matplotlib.figure

    heights, depths = _heights(tree), [len(concept.ancestors) for concept in tree.nodes]
    figure = matplotlib.figure.Figure(figsize=(2.4 * (1 + max(depths)), max(2.0, 0.42 * len(tree.leaves))))
    axes = figure.add_subplot()
    for parent, child in tree.edges:
        (x, y), (right, below) = ((depths[node], heights[node]) for node in (parent, child))
        axes.plot([x, x + 0.6, x + 0.6, right], [y, y, below, below], color='0.75', zorder=1, linewidth=1)
    for node, concept in enumerate(tree.nodes):
        x, y = depths[node], heights[node]
        axes.scatter(x, y, color=np.array(concept.color or _GRAY) / 255, edgecolor='0.3', s=70, zorder=2)
        short = f' ({concept.abbreviation})' if concept.abbreviation else ''
        axes.text(x + 0.06, y - 0.12, concept.name + short, fontsize=9, va='bottom')
    axes.invert_yaxis()
    axes.set(xlim=(-0.1, max(depths) + 0.9))
    axes.axis('off')
    return figure


def _heights(tree: Taxonomy) -> list[float]:
    """Return the rows of the nodes: one row per leaf, branch by branch; a parent is centered on its children."""
    children: dict[int, list[int]] = {}
    for parent, child in tree.edges:
        children.setdefault(parent, []).append(child)
    heights = [0.0] * len(tree.nodes)
    rows = iter(range(len(tree.nodes)))

    def place(node: int) -> float:
        below = [place(child) for child in children.get(node, [])]
        heights[node] = (below[0] + below[-1]) / 2 if below else float(next(rows))
        return heights[node]

    place(tree.ids([tree.root])[0])
    return heights
