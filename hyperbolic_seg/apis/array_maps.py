"""Labels and confidence from the maps of a model, in NumPy: enlarged to the size of an image some rows at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.text import Taxonomy

__all__ = ['Decision', 'class_shares', 'decide', 'deepest_nodes', 'enlarged_bands']

BAND = 2**19
"""Numbers of all maps in a band; larger arrays leave the caches."""
Maps = NDArray[np.float32]


class Decision(NamedTuple):
    """Labels of pixels, (H, W), and the probabilities of these labels."""

    labels: NDArray[np.intp]
    confidence: Maps


def enlarged_bands(maps: Maps, size: tuple[int, int], *, band: int = BAND) -> Iterator[tuple[slice, Maps]]:
    """Enlarge maps bilinearly to a size, some rows at a time, from the upper edge of the image to the lower one.

    Together the bands are what :func:`torch.nn.functional.interpolate` returns with ``align_corners=False``, up to
    rounding.

    Args:
        maps: (C, h, w).
        size: Height and width, (H, W).
        band: Largest number of elements of a band, but at least a row.

    Yields:
        The rows and their maps, (C, rows, W).
    """
    (count, height, width), (rows, columns) = maps.shape, size
    places = np.clip((np.arange(rows) + 0.5) * (height / rows) - 0.5, 0, height - 1)
    step = max(band // (count * columns), 1)
    for start in range(0, rows, step):
        at = places[start : start + step]
        first, last = int(at[0]), min(int(at[-1]) + 1, height - 1)
        near = maps[:, first : last + 1]
        above = at.astype(int) - first
        below, share = np.minimum(above + 1, last - first), (at - at.astype(int)).astype(np.float32)[:, None]
        enlarged = np.empty((count, len(at), columns), np.float32)
        for found, one in zip(enlarged, near, strict=True):
            wide = one if width == columns else cv2.resize(one, (columns, len(one)), interpolation=cv2.INTER_LINEAR)
            upper = wide[above]
            np.add(upper, share * (wide[below] - upper), out=found)
        yield slice(start, start + len(at)), enlarged


def decide(logits: Maps) -> Decision:
    """Label every pixel with its most probable class; of equally probable ones, with the first.

    Args:
        logits: (K, H, W).
    """
    labels, best = np.zeros(logits.shape[1:], np.intp), logits[0].copy()
    for number, other in enumerate(logits[1:], 1):
        labels[other > best] = number
        np.maximum(best, other, out=best)
    total = np.zeros_like(best)
    for one in logits:
        total += np.exp(one - best)
    return Decision(labels, 1 / total)


def class_shares(logits: Maps) -> Maps:
    """Return the probabilities of all classes (softmax), (K, H, W)."""
    exponentials = np.exp(logits - logits.max(0))
    return np.asarray(exponentials / exponentials.sum(0), np.float32)


def deepest_nodes(probabilities: Maps, tree: Taxonomy, threshold: float, *, of: Sequence[int]) -> NDArray[np.uint16]:
    """Return the deepest node that is probable enough, as :meth:`~hyperbolic_seg.text.Taxonomy.deepest` does.

    Args:
        probabilities: Of the classes, (K, H, W).
        tree: The taxonomy.
        threshold: Least probability of a node, above 0.5 and at most 1.
        of: Node id of every class.

    Returns:
        Ids of nodes, (H, W).

    Raises:
        ValueError: The threshold is out of range.
    """
    if not 0.5 < threshold <= 1:
        raise ValueError(f'threshold={threshold}: expected more than 0.5, at most 1')
    found = np.zeros(probabilities.shape[1:], np.uint16)
    deepest = np.full(found.shape, -1)
    for number, node in enumerate(tree.nodes):
        members = [place for place, one in enumerate(of) if node.name in tree.nodes[one].lineage]
        depth = len(node.ancestors)
        sure = np.full(found.shape, depth == 0) if not members else probabilities[members].sum(0) >= threshold
        better = (sure | (depth == 0)) & (depth > deepest)
        found[better], deepest[better] = number, depth
    return found
