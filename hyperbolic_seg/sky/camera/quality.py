"""Quality of a picture: whether it shows the sky at all, and what speaks against it, by name.

The limits are far from what the pictures of five public sets have (CCSN, SWIMSEG, SWINSEG, WSISEG and fisheye views of
streets, 3,017 in all); ``tools/benchmarks/quality.py`` counts how many of them are refused.
"""

import zlib
from datetime import datetime
from functools import reduce
from pathlib import PurePath
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITIES = ('ok', 'doubtful', 'refused')
"""From the best to the worst. A refused picture has no cover."""

REASONS = {
    'black': ('refused', 'nothing in it is brighter than black: a dead sensor, or a lens cap'),
    'noise': ('refused', 'it holds noise alone: a lens cap, or no light'),
    'even': ('refused', 'it has one level from edge to edge, without any structure'),
    'over-exposed': ('refused', 'nearly all of it is white: reduce the exposure'),
    'text card': ('refused', 'it is drawn and not photographed, as the cards of a camera that does not run are'),
    'star trails': ('refused', 'stars are drawn out to arcs: it is the sum of a night'),
    'keogram': ('refused', 'it is named a keogram, which is made of many pictures'),
    'repeated': ('refused', 'it is the picture before it once more, under another time or name: the camera is frozen'),
    'failed': ('refused', 'its prediction failed, and nothing is known of its sky: its error says how'),
    'dark': ('doubtful', 'it is so dark that faint clouds cannot be seen: lengthen the exposure'),
    'partly over-exposed': ('doubtful', 'more than half of it is white, where nothing can be told apart'),
    'unsure': ('doubtful', 'the model cannot tell cloud from clear sky: nearly all of the sky may be either'),
    'blurred': ('doubtful', 'nothing is sharp up to the horizon: dew, frost or snow on the dome, or fog'),
}
"""Names of reasons: the quality that they cause, and what they mean."""

_SIDE = 512  # pixels, of the reduced picture
_BLACK, _DARK, _WHITE = 16, 32, 250  # levels of 255
_BLOCK = 5  # pixels of a side at least, over which the stars are taken out
_STANDS_OUT, _LEAST_BESIDE = 3.0, 0.01  # levels; share of the picture that tells the level beside the sky
_STACKED = {'star trails': ('startrail', 'star-trail', 'star_trail'), 'keogram': ('keogram',)}


class Quality(NamedTuple):
    """Quality of a picture."""

    name: str = 'ok'
    """One of :data:`QUALITIES`."""
    reasons: tuple[str, ...] = ()
    """Names from :data:`REASONS`, the worst first."""

    @classmethod
    def of(cls, *reasons: str) -> 'Quality':
        """Return the quality that reasons cause: that of the worst."""
        ordered = sorted(reasons, key=lambda reason: -QUALITIES.index(REASONS[reason][0]))
        return cls(REASONS[ordered[0]][0], tuple(ordered)) if ordered else cls()

    @property
    def text(self) -> str:
        """The reasons in words; empty for a good picture."""
        return '; '.join(f'{reason}: {REASONS[reason][1]}' for reason in self.reasons)


class Frame(NamedTuple):
    """The part of a reduced picture that shows the sky."""

    image: NDArray[np.uint8]
    """BGR, (h, w, 3)."""
    seen: NDArray[np.bool_]
    """True where the sky may be seen, (h, w)."""
    gray: NDArray[np.float32]
    """Mean of the colors, (h, w)."""


def quality_of(
    image: NDArray[np.uint8],
    *,
    seen: NDArray[np.bool_] | None = None,
    dome: NDArray[np.bool_] | None = None,
    file: str = '',
) -> Quality:
    """Return the quality of a picture.

    Args:
        image: BGR image, (H, W, 3).
        seen: True for pixels that count, (H, W); all by default.
        dome: True for pixels of a dome that reaches the horizon, (H, W), where trees and houses are sharp. Without it
            blur is not looked for: a smooth sky alone has nothing sharp in it.
        file: File of the picture. Keograms and star trails are known by their names as well.

    Raises:
        ValueError: Nothing of the picture is seen.
    """
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    reduced = np.asarray(image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    frame = Frame(reduced, _reduced(seen, size), _gray(reduced))
    if not frame.seen.any():
        raise ValueError('no pixel counts: mask, zenith limit and sun leave nothing of the image')
    name = PurePath(file).name.lower()
    named = [reason for reason, words in _STACKED.items() if any(word in name for word in words)]
    found = [*named, *_light(frame)]
    if not found or found == ['dark']:
        found += _structure(frame)
    if not found and dome is not None and _is_blurred(frame, _reduced(dome, size)):
        found.append('blurred')
    return Quality.of(*dict.fromkeys(found))


def _reduced(mask: NDArray[np.bool_] | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(size[::-1], bool)
    return np.asarray(cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST), bool)


# NumPy's own reductions over the last axis, of three colors, take ten to thirty times as long as these.
def _gray(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    blue, green, red = cv2.split(image)
    total = cv2.add(cv2.add(blue, green, dtype=cv2.CV_16U), red, dtype=cv2.CV_16U)
    return np.asarray(total.astype(np.float32) / np.float32(3))


def _most(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest color of each pixel."""
    return np.asarray(reduce(cv2.max, cv2.split(image)), np.uint8)


def _least(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the smallest color of each pixel."""
    return np.asarray(reduce(cv2.min, cv2.split(image)), np.uint8)


def _median(levels: NDArray[np.uint8], seen: NDArray[np.bool_]) -> float:
    """Return the median of the levels that are seen, at least one."""
    counts = cv2.calcHist([levels], [0], seen.view(np.uint8), [256], [0, 256]).ravel().astype(np.int64)
    total = int(counts.sum())
    return float(np.searchsorted(counts.cumsum(), [(total - 1) // 2, total // 2], side='right').mean())


def _light(frame: Frame) -> list[str]:
    """Return what is wrong with the exposure."""
    smooth = cv2.medianBlur(_most(frame.image), 5)  # without hot pixels and stars
    brightest = np.percentile(smooth[frame.seen], 99)
    if brightest < _BLACK:
        return ['black']
    white = float((_least(frame.image)[frame.seen] >= _WHITE).mean())
    if white > 0.5:
        return ['over-exposed' if white > 0.9 else 'partly over-exposed']
    return ['dark'] if brightest < _DARK else []


def _structure(frame: Frame) -> list[str]:
    """Return why the picture has not the structure of a photograph of the sky."""
    if _has_arcs(frame):
        return ['star trails']
    count = min(64, min(frame.seen.shape) // _BLOCK)
    smooth = cv2.medianBlur(frame.gray, 5)  # without stars, which are scattered as noise is
    fine, coarse = (_spread(smooth, frame.seen, each) for each in (count, count // 4))
    if not _stands_out(frame):
        # The means of white noise over blocks of four times the side vary by a quarter; those of photographs by nearly
        # as much, at least by 0.60 in the sets.
        if fine > 0.05 and coarse < 0.45 * fine:
            return ['noise']
        if fine < 1.0:  # 6.1 at least in the sets
            return ['even']
    return ['text card'] if _is_drawn(frame) else []


def _stands_out(frame: Frame) -> bool:
    """Return whether the sky has another level than what is beside it, such as trees, so that light comes in.

    A clear moonless sky may be as even as a frame behind a lens cap, but for its stars. What is painted black outside a
    dome does not count.
    """
    inside, beside = (frame.gray[part & (frame.gray > 0)] for part in (frame.seen, ~frame.seen))
    if min(len(inside), len(beside)) < _LEAST_BESIDE * frame.seen.size:
        return False
    return abs(float(np.median(inside)) - float(np.median(beside))) > _STANDS_OUT


def _spread(gray: NDArray[Any], seen: NDArray[np.bool_], count: int) -> float:
    """Return the standard deviation of the mean levels of blocks, ``count`` of them along the shorter side.

    Fewer than nine blocks say nothing: NaN.
    """
    height, width = seen.shape
    size = max(1, width * count // min(height, width)), max(1, height * count // min(height, width))
    levels = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(seen.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    whole = levels[share > 0.99]
    return float(whole.std()) if len(whole) > 8 else float('nan')


def _is_drawn(frame: Frame) -> bool:
    """Return whether four colors make up the picture; a sky always has a gradient, and a sensor noise."""
    window = np.ones((7, 7), np.uint8)
    spread = _most(np.asarray(cv2.morphologyEx(frame.image, cv2.MORPH_GRADIENT, window), np.uint8))
    plain = frame.image[(spread <= 2) & frame.seen]
    if len(plain) < 0.4 * frame.seen.sum():
        return False
    colors, counts = np.unique(plain, axis=0, return_counts=True)
    most = np.argsort(-counts)[:4]
    if counts[most].sum() < 0.995 * len(plain):
        return False
    off = [np.abs(frame.image[frame.seen].astype(np.int16) - color).max(1) for color in colors[most].astype(np.int16)]
    return float((np.min(off, axis=0) <= 8).mean()) > 0.9


def _has_arcs(frame: Frame) -> bool:
    """Return whether thin bright lines are arcs around one point, as those of stars are around the celestial pole."""
    level = _most(frame.image)
    if _median(level, frame.seen) > 64:
        return False
    thin = cv2.morphologyEx(level, cv2.MORPH_TOPHAT, np.ones((7, 7), np.uint8)) > 16
    thin &= cv2.erode(frame.seen.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    if thin.sum() < 0.005 * frame.seen.sum():
        return False
    smooth = cv2.GaussianBlur(level.astype(np.float32), (0, 0), 1.0)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    rows, columns = np.nonzero(thin & (np.hypot(dx, dy) > 16))
    if len(rows) < 200:
        return False
    normals = np.stack([dx[rows, columns], dy[rows, columns]], 1).astype(np.float64)
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    points = np.stack([columns, rows], 1).astype(np.float64)
    return _share_around_a_pole(points, normals) > 0.45


def _share_around_a_pole(points: NDArray[np.float64], normals: NDArray[Any]) -> float:
    """Return the largest share of normals that point within 8 degrees to or from one point, 0 if they are of no arcs.

    Candidates are the intersections of pairs of normals, as for the center of a circle. Around the best of them the
    arcs must have several directions, which contrails have not, and several radii, which the rim of a dome has not.

    Args:
        points: (P, 2) as (x, y).
        normals: Unit vectors, (P, 2).
    """
    random = np.random.default_rng(0)
    first, second = random.integers(len(points), size=(2, 200))
    across = normals[first, 0] * normals[second, 1] - normals[first, 1] * normals[second, 0]
    apart = points[second] - points[first]
    steep = np.abs(across) > 0.1
    along = (apart[:, 0] * normals[second, 1] - apart[:, 1] * normals[second, 0])[steep] / across[steep]
    poles = points[first][steep] + along[:, None] * normals[first][steep]
    some = random.integers(len(points), size=1000)
    towards = points[some] - poles[:, None]
    radii = np.linalg.norm(towards, axis=2)
    agree = np.abs((towards * normals[some]).sum(2)) > np.cos(np.radians(8)) * radii
    if not agree.any():
        return 0.0
    best = int(agree.sum(1).argmax())
    chosen = agree[best]
    doubled = 2 * np.arctan2(normals[some][chosen, 1], normals[some][chosen, 0])
    near, far = np.percentile(radii[best, chosen], (25, 75))
    several = np.hypot(np.cos(doubled).mean(), np.sin(doubled).mean()) < 0.8 and far - near > 0.2 * far
    return float(chosen.mean()) if several else 0.0


def _is_blurred(frame: Frame, dome: NDArray[np.bool_]) -> bool:
    """Return whether the steepest edges in a dome are as steep after a blur by four pixels as after one by one.

    An edge that is sharp is four times as steep, in the domes of the sets at least 1.59 times.
    """
    inside = cv2.erode(np.pad(dome.astype(np.uint8), 1), np.ones((25, 25), np.uint8))[1:-1, 1:-1].astype(bool)
    if not inside.any():
        return False
    steepest = []
    for sigma in (1.0, 4.0):
        smooth = cv2.GaussianBlur(frame.gray, (0, 0), sigma)
        slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        steepest.append(float(np.percentile(slope[inside], 99.5)) / 8)
    return steepest[0] < 1.4 * steepest[1] or steepest[1] < 0.3


class Repeats:
    """Finds pictures that repeat the one before, as a frozen camera gives them, also under a new clock in the corner.

    The noise of a sensor changes every pixel. So a picture is a repetition if 95 percent of its blocks, of 32 by 32,
    are equal to the last bit, those of a single color left out, and the times differ.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[int, ...], NDArray[np.int64]] | None = None
        self.time: datetime | None = None
        """Time of the last picture; ``None`` if it is not known."""
        self._file: str | None = None

    def add(self, image: NDArray[np.uint8], time: datetime | None, file: str) -> bool:
        """Return whether a picture repeats the one that was added before.

        Args:
            image: BGR image, (H, W, 3).
            time: Its time, if it is known. A copy of a picture, of the same time, repeats nothing.
            file: Its file. One that is written once more repeats nothing.
        """
        now = image.shape, _checksums(image)
        last, self._last = self._last, now
        same = file == self._file or (time is not None and time == self.time)
        self.time, self._file = time, file
        if last is None or same or last[0] != now[0]:
            return False
        several = (now[1] >= 0) | (last[1] >= 0)
        return int(several.sum()) >= 8 and float((now[1] == last[1])[several].mean()) >= 0.95


def _checksums(image: NDArray[np.uint8], count: int = 32) -> NDArray[np.int64]:
    """Return a checksum for each block of an image; -1 for one of a single color."""
    rows, columns = (np.linspace(0, side, count + 1).astype(int) for side in image.shape[:2])
    found = np.full((count, count), -1, np.int64)
    for i in range(count):
        for j in range(count):
            block = image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            if block.size and any((row != block[0, 0]).any() for row in block):  # the first row tells it nearly always
                found[i, j] = zlib.crc32(np.ascontiguousarray(block).data)
    return found
