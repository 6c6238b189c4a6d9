"""Intervals of the cloud cover that are calibrated on days of one camera, and a warning where they may not hold."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from hyperbolic_seg.files import printable, write_whole
from hyperbolic_seg.sky.camera.conformal import Ends, day_weights, least_days, quantile_over_days
from hyperbolic_seg.text import read_yaml, shown

MAX_BYTES = 2**16
"""Limit of the size of a calibration file in bytes."""

INTERVALS = ('model', 'calibrated', 'outside')
"""What an interval is: that of the model; calibrated on days; or of a picture for which its guarantee does not hold."""

FEATURES = ('brightness', 'blueness', 'confidence')
"""What tells whether a picture is like those of a calibration."""

_CONFIDENCE = 0.9  # of the model's own intervals
_USUAL = 0.95  # share of the pictures of new days that are not called unlike those of the calibration, at least
_LEAST_SPREAD = 0.01  # of a feature, so that a camera with even pictures does not call everything unlike
_HEAD = (
    '# Intervals of the cloud cover by hyperbolic-seg calibrate; in camera.yaml: cover_calibration: NAME OF THIS FILE\n'
)

Record = Mapping[str, Any]


def appearance(image: NDArray[np.uint8], weights: NDArray[np.floating]) -> dict[str, float]:
    """Return the mean level and color of what counts in a picture.

    Args:
        image: BGR image, (H, W, 3).
        weights: Weights of the pixels, (H, W) or at a reduced size; 0 for pixels that do not count.

    Returns:
        ``brightness``, 0 to 1, and ``blueness``, the difference of mean blue and mean red over their sum, -1 to 1.
    """
    if image.shape[:2] != weights.shape:
        height, width = weights.shape
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    blue, green, red = image[weights > 0].mean(0, dtype=np.float64).tolist()
    return dict(brightness=(blue + green + red) / 765, blueness=(blue - red) / max(blue + red, 1.0))


@dataclass(frozen=True)
class CoverCalibration:
    """What a calibration of the cloud cover has found.

    Args:
        confidence: Probability, at least, that an interval holds the true cover of a picture of a new day.
        factor: Factor of the doubts of the model, see :meth:`~hyperbolic_seg.sky.camera.Ends.stretched`.
        days: Number of days.
        pictures: Number of pictures.
        model: ``name`` and ``sha256`` of the model.
        prompts: The prompts.
        usual: Middle and spread of each of :data:`FEATURES`.
        limit: Distance from the middle, in spreads, beyond which a picture is unlike those of the calibration.

    Raises:
        ValueError: A number is out of range, or a feature is missing.
    """

    confidence: float
    factor: float
    days: int
    pictures: int
    model: Mapping[str, Any]
    prompts: tuple[str, ...]
    usual: Mapping[str, tuple[float, float]]
    limit: float

    def __post_init__(self) -> None:
        needed = least_days(self.confidence)
        if self.days < needed:
            raise ValueError(f'days: {self.days}: a confidence of {self.confidence:g} needs at least {needed}')
        if not (0 <= self.factor < math.inf and 0 <= self.limit < math.inf and self.pictures >= self.days):
            raise ValueError(
                f'factor {self.factor}, limit {self.limit}, pictures {self.pictures}: expected finite numbers of at '
                'least 0, and a picture of each day'
            )
        if set(self.usual) != set(FEATURES) or not all(spread > 0 for _, spread in self.usual.values()):
            raise ValueError(f'usual: expected middle and spread of {", ".join(FEATURES)}')

    @classmethod
    def of(
        cls, records: Sequence[Record], truths: Sequence[float], days: Sequence[Hashable], *, confidence: float = 0.9
    ) -> 'CoverCalibration':
        """Calibrate on pictures whose true cover is known.

        Args:
            records: Records of the pictures, as ``predict --json`` writes them with a camera.
            truths: True cover by all cloud of each picture, 0 to 1.
            days: Day of each picture; nights, or any groups whose pictures are alike, do as well.
            confidence: Wanted probability that an interval holds the true cover, between 0 and 1.

        Raises:
            ValueError: There are too few days, a truth is out of range, a record has no cover by all cloud, or the
                records are of several models or prompts.
        """
        if wrong := [truth for truth in truths if not 0 <= truth <= 1]:
            raise ValueError(f'true cover {wrong[0]}: expected a share of the sky, 0 to 1')
        if len(set(days)) < 2:
            raise ValueError(f'{len(set(days))} day: expected several, whose pictures are compared with each other')
        scores = [ends_of(record).score(truth) for record, truth in zip(records, truths, strict=True)]
        factor = quantile_over_days(scores, days, confidence)
        made_by = dict.fromkeys(json.dumps([record['model'], list(record['fractions'])]) for record in records)
        if len(made_by) > 1:
            raise ValueError(f'records of several models or prompts: {" and ".join(made_by)[:300]}: expected one')
        model, prompts = json.loads(next(iter(made_by)))
        values = np.array([features_of(record) for record in records])
        limit = _limit(values, days)
        usual = {name: (float(a), float(b)) for name, a, b in zip(FEATURES, *_usual(values, days), strict=True)}
        return cls(confidence, factor, len(set(days)), len(records), model, tuple(prompts), usual, limit)

    @classmethod
    def load(cls, file: str | Path) -> 'CoverCalibration':
        """Read a file of :meth:`save`.

        Raises:
            OSError: There is no such file, or it cannot be read.
            ValueError: It is no such file.
        """
        try:
            content = read_yaml(file, max_bytes=MAX_BYTES)
            names = [field.name for field in fields(cls)]
            if not isinstance(content, dict) or set(content) != set(names):
                raise ValueError(f'expected the settings {", ".join(names)}, got {shown(content)}')
            usual = {name: (float(pair[0]), float(pair[1])) for name, pair in content['usual'].items()}
            numbers: dict[str, Any] = {name: int(content[name]) for name in ('days', 'pictures')}
            numbers |= {name: float(content[name]) for name in ('confidence', 'factor', 'limit')}
            prompts = tuple(map(str, content['prompts']))
            return cls(model=dict(content['model']), prompts=prompts, usual=usual, **numbers)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f'{file} is no calibration of hyperbolic-seg calibrate: {printable(error)}') from error

    def save(self, file: str | Path) -> None:
        """Write the calibration as YAML.

        Raises:
            OSError: The file cannot be written.
        """
        usual = {name: [round(number, 4) for number in pair] for name, pair in self.usual.items()}
        content = asdict(self) | dict(model=dict(self.model), prompts=list(self.prompts), usual=usual)
        # Rounded up, since a smaller factor would take the guarantee.
        content |= {name: math.ceil(getattr(self, name) * 1e4) / 1e4 for name in ('factor', 'limit')}
        text = _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        write_whole(Path(file), text.encode())

    def unlike(self, record: Record) -> list[str]:
        """Return why the guarantee does not hold for a picture, empty if it does.

        These are the reasons of a quality that is not ok, features with an unusual value, another model and other
        prompts.
        """
        reasons = list(record.get('quality_reasons') or ())
        for name, value in zip(FEATURES, features_of(record), strict=True):
            middle, spread = self.usual[name]
            if abs(value - middle) > self.limit * spread:
                reasons.append(f'unusual {name}')
        if dict(self.model) != record['model']:
            reasons.append('another model')
        if list(self.prompts) != list(record['fractions']):
            reasons.append('other prompts')
        return reasons


def with_interval(record: dict[str, Any], calibration: CoverCalibration | None) -> dict[str, Any]:
    """Return a record with the interval of its cloud cover, and with what that is.

    ``interval`` has ``kind``, one of :data:`INTERVALS`; the ``confidence``; the number of ``days`` of the calibration,
    or ``None``; ``outside``, why its guarantee does not hold; and ``model``, both ends by the model itself. Outside,
    the interval is the wider one at both ends.

    Args:
        record: A record of :func:`~hyperbolic_seg.sky.camera.as_record` with the keys of the prediction.
        calibration: The calibration of its camera; ``None`` if it has none.
    """
    if record.get('cloud') is None:
        return record
    own = ends_of(record)
    about: dict[str, Any] = dict(kind='model', confidence=_CONFIDENCE, days=None, outside=[], model=[own.low, own.high])
    if calibration is None:
        return record | dict(interval=about)
    outside, found = calibration.unlike(record), own.stretched(calibration.factor)
    if outside:
        found = Ends(own.fraction, min(own.low, found.low), max(own.high, found.high))
    about |= dict(kind='outside' if outside else 'calibrated', confidence=calibration.confidence)
    about |= dict(days=calibration.days, outside=outside)
    return record | dict(interval=about, cloud=record['cloud'] | dict(low=found.low, high=found.high))


def ends_of(record: Record) -> Ends:
    """Return the cover of a record by all cloud, with the interval of the model itself.

    Raises:
        ValueError: The record has no such cover.
    """
    cloud = record.get('cloud')
    if cloud is None:
        raise ValueError(
            f'{shown(record.get("image"))} has no cover by all cloud: predict it with --camera and clear sky'
        )
    low, high = record.get('interval', {}).get('model', (cloud['low'], cloud['high']))
    return Ends(cloud['fraction'], low, high)


def features_of(record: Record) -> list[float]:
    """Return the values of :data:`FEATURES`.

    Raises:
        ValueError: The record is of an earlier version, and has none.
    """
    if 'appearance' not in record:
        raise ValueError(f'{shown(record.get("image"))} has no appearance: predict it anew with this version')
    about = record['appearance']
    return [float(about['brightness']), float(about['blueness']), float(record['mean_confidence'])]


def _usual(values: NDArray[np.float64], days: Sequence[Hashable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return middle and spread of features (N, F): the median and half the range of two thirds, days counting alike."""
    weights = day_weights(days)
    low, middle, high = (np.array([_quantile(column, weights, q) for column in values.T]) for q in (1 / 6, 0.5, 5 / 6))
    return middle, np.maximum((high - low) / 2, _LEAST_SPREAD)


def _quantile(values: NDArray[np.float64], weights: NDArray[np.float64], q: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), q - 1e-9)])


def _limit(values: NDArray[np.float64], days: Sequence[Hashable]) -> float:
    """Return the distance that few pictures of a new day pass, each day being judged by the others."""
    named = np.array([str(day) for day in days])
    distances = np.zeros(len(values))
    for day in set(named):
        out = named == day
        middle, spread = _usual(values[~out], named[~out].tolist())
        distances[out] = (np.abs(values[out] - middle) / spread).max(1)
    count = len(set(named))
    return quantile_over_days(distances.tolist(), days, min(_USUAL, count / (count + 1)))
