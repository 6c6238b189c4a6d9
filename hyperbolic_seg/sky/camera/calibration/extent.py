"""Where a lens shows the middle of a disk that it squeezes."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.lens import Projection

Array = NDArray[np.float64]

_STEP = 1e-4  # radians, for the derivative of the slope
_AXIS, _RIM = 0.02, 0.05  # radians from the axis and from the widest angle, up to which the series holds


def shift_of(projection: Projection, angle: Array, spread: Array) -> Array:
    """Return how far the center of mass of a round disk is from the image of its center, away from the axis.

    An orthographic lens squeezes the outer half of the glare of the sun more than the inner one: with a radius of 6
    degrees the center of mass moves inward by half a hundredth of its distance from the axis, and every sun looks as if
    the focal length were that much shorter. It is the mean over the disk of the series of the image in the angles from
    its center, to the second order, with the density of the image as the weight. For an orthographic lens it is
    ``-radius^2 / 2 sin(angle)``, as it has to be: the center of the ellipse.

    Args:
        projection: Projection of the lens.
        angle: Angles of the disks from the axis in radians, (N,).
        spread: Root of the mean square distance of their light from the center of mass in focal lengths, (N,).

    Returns:
        Shifts in focal lengths, (N,).
    """
    a = np.clip(angle, _AXIS, projection.widest - _RIM)
    sine, cotangent = np.sin(a), 1 / np.tan(a)
    along, around = projection.slope(a), projection.radius(a) / sine  # scales of the image
    bend = (projection.slope(a + _STEP) - projection.slope(a - _STEP)) / (2 * _STEP)
    square = 4 * spread**2 / (along**2 + around**2)  # of the radius of an even disk in radians
    of_image = (bend + along * cotangent - around / sine) / 8
    of_density = (along**2 / projection.radius(a) + bend - along * cotangent) / 4
    return np.asarray(square * (of_image + of_density))
