"""Mask of what never moves: the outside of the dome, houses, trees, masts, logos and text."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Bits = NDArray[np.bool_]

LEAST = 12
"""Pictures that a mask needs; with fewer, clouds do not leave the median."""

_DARK = 6.0  # levels that are added to each, so that the noise of black does not count
_CORE = 0.6  # share of the radius of the dome that is mostly sky
_STEPS = 8  # in which the fit of the sky goes from there to the rim
_ORDER = 4  # of the polynomial that describes a sky without clouds
_FAINT = 0.1  # relative difference from the sky that something has at least
_ALIKE = 0.05  # relative difference up to which half of a part that is cut off is sky
_SURE = 5.0  # standard errors of the median by which it differs
_STILL = 0.01  # relative change of the sky in time, below which all pictures show the same sky
_EDGE = 0.02  # relative contrast of edges and texture that stay
_DAY = 64.0  # level of the middle of the sky in pictures by day
_UNEVEN = 0.07  # share by which the change of the color of the sky differs from place to place, if many clouds passed
_GRAY = 0.36  # share of that change below which something keeps its color
_WIDE = 0.002  # share of the dome that such a part covers at least
_GAP = 0.025  # of the shorter side: letters of a text are nearer to each other
_LETTERS = 3  # that a text has at least
_ISLAND = 0.02  # share of the dome: a larger part that hides the sky is no letter
_SPECK = 3  # pixels; smaller parts are noise


class Mask(NamedTuple):
    """The sky that a camera sees past what stands in front of it."""

    sky: Bits
    """True where the sky is seen, (H, W)."""
    agreement: float
    """Intersection over union of what is hidden inside the dome, by one half of the pictures and by the other."""
    hidden: float
    """Share of the dome that is hidden."""
    pictures: int
    """Number of pictures."""


def find_mask(pictures: NDArray[np.uint8], dome: Bits) -> Mask:
    """Find what never moves.

    Clouds and the sun move on, so the median of many pictures is a smooth sky behind what stays. A pixel hides the sky
    if it differs from a smooth surface through the sky; a place that only edges cut off from the sky, such as a white
    wall before white clouds, does as well. By day the sky changes between blue and white: far hills in haze, which are
    as bright as the sky beside them, keep their color. Letters that are near to each other are one text, with what is
    between.

    Args:
        pictures: Pictures of one camera at different times, (T, H, W, 3), BGR.
        dome: True inside the dome, (H, W).

    Raises:
        ValueError: There are too few pictures, or they all show the same sky.
    """
    count = len(pictures)
    if count < LEAST:
        raise ValueError(f'{count} pictures: expected at least {LEAST}, of several hours or days')
    levels = _relative(pictures, dome)
    still = float(np.median(np.abs(levels - np.median(levels, 0)).mean(-1)[:, _core(dome)]))
    if still < _STILL:
        raise ValueError(
            f'the sky changes by {still:.1%} from picture to picture: expected pictures of several hours or days'
        )
    sky = _sky(levels, dome)
    lasting = _lasting_color(pictures, dome, sky)
    sky &= ~lasting
    halves = [_sky(levels[first::2], dome) & ~lasting for first in (0, 1)]
    return Mask(sky, _overlap(*(dome & ~half for half in halves)), 1 - float(sky.sum() / dome.sum()), count)


def _overlap(one: Bits, other: Bits) -> float:
    union = float((one | other).sum())
    return float((one & other).sum()) / union if union else 1.0


def _relative(pictures: NDArray[np.uint8], dome: Bits) -> Array:
    """Return logarithms of levels over those of the middle of the sky in the same picture, (T, H, W, 3)."""
    levels = np.log(pictures.astype(np.float32) + np.float32(_DARK))
    middle = np.median(levels[:, _core(dome)], axis=1)
    return np.asarray(levels - middle[:, None, None], np.float32)


def _core(dome: Bits) -> Bits:
    return dome & (np.hypot(*_places(dome)) < _CORE)


def _places(dome: Bits) -> tuple[Array, Array]:
    """Return columns and rows from the center of the dome in radii, (H, W) each."""
    rows, columns = np.nonzero(dome)
    radius = np.sqrt(dome.sum() / np.pi)
    y, x = np.mgrid[: dome.shape[0], : dome.shape[1]].astype(np.float32)
    return (x - columns.mean()) / radius, (y - rows.mean()) / radius


def _sky(levels: Array, dome: Bits) -> Bits:
    """Return True where the sky is seen, (H, W)."""
    middle = np.asarray(np.median(levels, 0), np.float32)
    contrast = np.abs(np.expm1(middle - _surface(middle, dome))).max(-1)
    contrast = np.where(dome, np.minimum(contrast, 1), 0).astype(np.float32)
    # The standard error of a median is 1.25 / sqrt(T) standard deviations, and of these a median deviation is 0.67.
    error = 1.25 * 1.4826 * np.median(np.abs(levels - middle), 0).max(-1) / np.sqrt(len(levels))
    # An edge of an object lies where the contrast is half of that inside, however bright the object is.
    hidden = (contrast > np.maximum(_FAINT, _SURE * cv2.blur(error, (5, 5)))) & (
        contrast >= 0.5 * cv2.dilate(contrast, np.ones((5, 5), np.uint8))
    )
    hidden = _without_specks(hidden)
    open_sky = dome & ~hidden
    alike = (contrast < _ALIKE) & _is_lively(levels, dome)
    reached = _grown(_reached(open_sky & ~_edges(levels), alike), open_sky, steps=3)
    return np.asarray(reached & ~_texts(dome & ~reached, dome), bool)


def _lasting_color(pictures: NDArray[np.uint8], dome: Bits, sky: Bits) -> Bits:
    """Return wide parts that keep their color while the sky changes between blue and white, (H, W).

    Nothing is found unless the sky has changed evenly: of few clouds, some part of the sky has seen none.

    Args:
        pictures: Pictures, (T, H, W, 3), BGR.
        dome: True inside the dome, (H, W).
        sky: True where the levels are those of a sky, (H, W).
    """
    core = _core(dome)
    by_day = pictures[np.median(pictures[:, core].mean(-1), axis=1) > _DAY]
    if len(by_day) < LEAST:
        return np.zeros_like(dome)
    blue, red = (np.log(by_day[..., channel] + np.float32(_DARK)) for channel in (0, 2))
    change = cv2.medianBlur(np.asarray((blue - red).std(0), np.float32), 3)
    usual = float(np.median(change[core]))
    terms = _polynomial(dome, order=2)
    weights, *_ = np.linalg.lstsq(terms[core & sky], change[core & sky], rcond=None)
    if float((change - terms @ weights)[core & sky].std()) > _UNEVEN * usual:
        return np.zeros_like(dome)
    lasting = sky & (change < _GRAY * usual)
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(lasting.astype(np.uint8))
    wide = boxes[:, cv2.CC_STAT_AREA] >= _WIDE * dome.sum()
    wide[0] = False
    return np.asarray(wide[parts], bool)


def _polynomial(dome: Bits, *, order: int) -> Array:
    """Return the terms of a polynomial in column and row at every pixel, (H, W, terms)."""
    x, y = _places(dome)
    return np.stack([x**i * y**j for i in range(order + 1) for j in range(order + 1 - i)], -1)


def _surface(middle: Array, dome: Bits) -> Array:
    """Return a polynomial through the sky of each color, (H, W, 3), fitted outwards from the middle."""
    terms = _polynomial(dome, order=_ORDER)
    reach, used = np.hypot(*_places(dome)), _core(dome)
    farther = (float(reach[dome].max()) - _CORE) / _STEPS
    for step in range(_STEPS):
        weights, *_ = np.linalg.lstsq(terms[used], middle[used], rcond=None)
        surface = terms @ weights
        off = np.abs(middle - surface)
        spread = np.maximum(1.4826 * np.median(off[used], 0), 0.02)
        within = dome & (reach <= _CORE + (step + 1) * farther)
        kept = within & (off < 3 * spread).all(-1)
        used = kept if kept.sum() > 10 * terms.shape[-1] else used
    return np.asarray(surface, np.float32)


def _edges(levels: Array) -> Bits:
    """Return True on edges and texture that stay in place, (H, W); the median of those of clouds and noise is small."""
    detail = np.stack([one - cv2.GaussianBlur(one, (0, 0), 1.5) for one in levels])
    return np.asarray(np.abs(np.median(detail, 0)).max(-1) > _EDGE, bool)


def _without_specks(hidden: Bits) -> Bits:
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(hidden.astype(np.uint8), connectivity=8)
    large = boxes[:, cv2.CC_STAT_AREA] >= _SPECK
    large[0] = False
    return np.asarray(large[parts], bool)


def _is_lively(levels: Array, dome: Bits) -> Bits:
    """Return True where details change in time at least half as much as in the middle of the sky, (H, W).

    Clouds change them; on a wall they stay, whatever the light.
    """
    gray = levels.mean(-1)
    detail = np.stack([one - cv2.GaussianBlur(one, (0, 0), 4) for one in gray])
    change = np.median(np.abs(detail - np.median(detail, 0)), 0)
    return np.asarray(change >= 0.5 * np.median(change[_core(dome)]), bool)


def _reached(region: Bits, alike: Bits) -> Bits:
    """Return the largest part of a region that hangs together, and parts that are mostly like the sky.

    Of a wall as bright as clouds only the edges differ, and they cut it off. Of the sky, masts cut off parts as well.

    Args:
        region: The region, (H, W).
        alike: True where the levels are those of the sky, and change as those do, (H, W).
    """
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    if count < 2:
        return region
    share = np.bincount(parts[region], alike[region].astype(float), count)
    kept = share >= 0.5 * np.maximum(boxes[:, cv2.CC_STAT_AREA], 1)
    kept[0], kept[1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())] = False, True
    return np.asarray(kept[parts], bool)


def _grown(core: Bits, within: Bits, *, steps: int) -> Bits:
    """Return a region grown by some pixels, but only inside another."""
    for _ in range(steps):
        core = cv2.dilate(core.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & within
    return core


def _texts(hidden: Bits, dome: Bits) -> Bits:
    """Return the surroundings of groups of small islands in the sky, (H, W): text with what is between the letters."""
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(hidden.astype(np.uint8), connectivity=8)
    framed = np.pad(dome, 1).astype(np.uint8)
    inner = cv2.erode(framed, np.ones((5, 5), np.uint8))[1:-1, 1:-1].astype(bool)
    at_rim = np.unique(parts[hidden & ~inner])
    small = boxes[:, cv2.CC_STAT_AREA] < _ISLAND * dome.sum()
    small[0], small[at_rim] = False, False
    islands = small[parts].astype(np.uint8)
    gap = max(3, round(_GAP * min(dome.shape)))
    near = cv2.morphologyEx(islands, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    filled = np.zeros_like(islands)
    outlines, _ = cv2.findContours(near, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for outline in outlines:
        cv2.fillConvexPoly(filled, cv2.convexHull(outline), (1,))
    # One island alone is a lamp or the top of a mast: what is around it is sky.
    _, groups = cv2.connectedComponents(filled, connectivity=8)
    pairs = np.unique(np.stack([groups[islands > 0], parts[islands > 0]]), axis=1)
    letters = np.bincount(pairs[0], minlength=groups.max() + 1)
    letters[0] = 0
    return np.asarray(letters[groups] >= _LETTERS, bool)
