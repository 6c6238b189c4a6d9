"""Bright disks in many pictures, and the directions of the body that each may be."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Sightings(NamedTuple):
    """Candidates for the sun or the moon in P pictures, sorted by picture."""

    points: Array
    """Pixels (x, y), (M, 2)."""
    pictures: NDArray[np.int64]
    """Number of the picture of each, (M,), ascending."""
    spreads: Array | None = None
    """Root of the mean square distance of the light of each from its middle in pixels, (M,); ``None`` for points."""

    @property
    def are_points(self) -> NDArray[np.bool_]:
        """True for points, such as stars, (M,)."""
        return np.ones(len(self.points), bool) if self.spreads is None else self.spreads == 0

    def best(self, errors: Array) -> NDArray[np.int64]:
        """Return the position of the candidate with the smallest error in every picture that has one.

        Args:
            errors: Errors of the candidates, (M,); infinite for those that count for nothing.
        """
        order = np.lexsort((errors, self.pictures))
        first = order[np.unique(self.pictures[order], return_index=True)[1]]
        return np.asarray(first[np.isfinite(errors[first])], np.int64)

    def of(self, positions: NDArray[np.int64]) -> 'Sightings':
        """Return some of the candidates."""
        spreads = None if self.spreads is None else self.spreads[positions]
        return Sightings(self.points[positions], self.pictures[positions], spreads)
