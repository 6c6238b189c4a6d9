"""Observations of an image: cover by class, and by all clouds together."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.coverage import TRACE, Cover, cover
from hyperbolic_seg.sky.camera.kinds import kind_of
from hyperbolic_seg.sky.camera.quality import Quality
from hyperbolic_seg.sky.camera.sky_camera import View
from hyperbolic_seg.sky.defaults import CLEAR_SKY, NOT_SKY
from hyperbolic_seg.text import Vocabulary

UNSURE = 0.8
"""Width of the interval of all cloud above which the quality is doubtful."""


class Observation(NamedTuple):
    """Cover of the visible sky."""

    classes: dict[str, Cover]
    """Cover by every class of the sky, by name."""
    cloud: Cover | None
    """Cover by everything in the sky except clear sky; ``None`` if no class is clear sky."""
    notes: tuple[str, ...] = ()
    """Notes for the user on classes whose kind (clear sky, cloud, not sky) is an assignment or a guess."""
    regions: Mapping[str, Cover | None] = MappingProxyType({})
    """Cover of regions by the same as ``cloud``, by name; ``None`` if nothing of a region is seen, too."""


def observe(
    probabilities: NDArray[np.floating], vocabulary: Vocabulary, view: View, *, confidence: float = 0.9
) -> Observation:
    """Return the cover of the sky by every class.

    The weight of a pixel is multiplied by its probability of being sky, and the probabilities of the classes are
    conditional on sky. A class counts as clear sky, cloud or no sky by :func:`~hyperbolic_seg.sky.camera.kind_of`. A
    pixel is clear or cloud, whichever is the likelier. The classes of a kind share its pixels by their probabilities,
    so that the covers by all clouds sum to that by "all cloud".

    Args:
        probabilities: Probabilities of the classes, (K, H, W), which sum to 1, at the size of the view.
        vocabulary: The K classes.
        view: View of the image.
        confidence: Confidence of the intervals, between 0 and 1.

    Raises:
        ValueError: No pixel counts, no class is sky, or the sizes differ.
    """
    found = [kind_of(concept) for concept in vocabulary]
    kinds = [kind.name for kind in found]
    sky = np.array([kind != NOT_SKY for kind in kinds])
    if not sky.any():
        raise ValueError(f'none of {", ".join(vocabulary.names)} is in the sky: add clear sky or a cloud')
    if probabilities.shape[1:] != view.weights.shape:
        raise ValueError(
            f'probabilities of {probabilities.shape[1:]} pixels for a view of {view.weights.shape}: expected one size; '
            'for a large image give predict_one reduced=True'
        )
    seen = np.asarray(np.sum(probabilities, axis=0, where=sky[:, None, None], dtype=np.float64))
    weights = view.weights * seen
    divisor = np.maximum(seen, np.finfo(np.float32).tiny)

    def chances(of_class: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the probabilities of a class among those of the sky; all at once take much memory."""
        found = np.asarray(of_class / divisor)
        return np.clip(found, 0, 1, out=found)

    clear = [chances(part) for part, kind in zip(probabilities, kinds, strict=True) if kind == CLEAR_SKY]
    cloudy = 1 - np.clip(sum(clear), 0, 1) if clear else np.ones(seen.shape)
    classes = {}
    for name, kind, part in zip(vocabulary.names, kinds, probabilities, strict=True):
        if kind != NOT_SKY:
            chance, of_kind = chances(part), 1 - cloudy if kind == CLEAR_SKY else cloudy
            shares = np.divide(chance, of_kind, out=np.zeros_like(chance), where=of_kind > 0.5)
            classes[name] = cover(chance, weights, shares=shares, confidence=confidence)
    cloud, regions = None, dict.fromkeys(view.regions)
    if clear:
        cloud = cover(cloudy, weights, confidence=confidence)
        regions = {
            name: _cover_of(region, cloudy, seen, weights=view.weights, confidence=confidence)
            for name, region in view.regions.items()
        }
    return Observation(classes, cloud, tuple(kind.note for kind in found if kind.note), regions)


def _cover_of(
    region: NDArray[np.bool_] | None,
    probabilities: NDArray[np.floating],
    seen: NDArray[np.floating],
    *,
    weights: NDArray[np.float64],
    confidence: float,
) -> Cover | None:
    """Return the cover of a region, ``None`` if it is not known or nothing of its sky is seen.

    Args:
        region: True for its pixels, (H, W).
        probabilities: Probability of the class at every pixel of the sky, (H, W).
        seen: Probability of the sky at every pixel, (H, W); never 0, so that a trace of sky counts as none.
        weights: Weights of the pixels, (H, W).
        confidence: See :func:`~hyperbolic_seg.sky.camera.cover`.
    """
    if region is None:
        return None
    inside = weights[region]
    sky = inside * seen[region]
    if sky.sum() <= TRACE * inside.sum():
        return None
    return cover(probabilities[region], sky, confidence=confidence)


def as_record(observation: Observation | None, view: View, quality: Quality | None = None) -> dict[str, Any]:
    """Return an observation as a record for JSON.

    It has ``time`` and ``time_source``, ``place``, ``sun``, ``moon``, ``quality`` and ``quality_reasons``, ``cloud``,
    ``cover`` by class, ``regions`` by name, and ``notes``.

    Args:
        observation: The observation; ``None`` for a refused picture, whose record has no cover.
        view: View of the image.
        quality: Quality of the picture; ``None`` if it was not examined.
    """
    sun, found = view.sun, observation or Observation({}, None, (), dict.fromkeys(view.regions))
    if quality is not None and found.cloud is not None and found.cloud.high - found.cloud.low > UNSURE:
        quality = Quality.of(*quality.reasons, 'unsure')
    examined = {} if quality is None else dict(quality=quality.name, quality_reasons=list(quality.reasons))
    return dict(
        time=None if view.time is None else view.time.isoformat(),
        time_source=view.time_source,
        place=None if view.place is None else view.place._asdict(),
        sun=None if sun is None else dict(sun._asdict(), phase=sun.phase),
        moon=None if view.moon is None else view.moon._asdict(),
        **examined,
        cloud=None if found.cloud is None else found.cloud._asdict(),
        cover={name: each._asdict() for name, each in found.classes.items()},
        regions={name: None if each is None else each._asdict() for name, each in found.regions.items()},
        notes=list(found.notes),
    )
