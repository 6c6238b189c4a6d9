"""Observations of an image: cover by class, and by all clouds together."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.coverage import TRACE, Cover, cover
from hyperbolic_seg.sky.camera.kinds import kind_of
from hyperbolic_seg.sky.camera.sky_camera import View
from hyperbolic_seg.sky.defaults import CLEAR_SKY, NOT_SKY
from hyperbolic_seg.text import Vocabulary


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
    conditional on sky. A class counts as clear sky, cloud or no sky by :func:`~hyperbolic_seg.sky.camera.kind_of`.

    Args:
        probabilities: Probabilities of the classes, (K, H, W), which sum to 1.
        vocabulary: The K classes.
        view: View of the image.
        confidence: Confidence of the intervals, between 0 and 1.

    Raises:
        ValueError: No pixel counts, or no class is sky.
    """
    found = [kind_of(concept) for concept in vocabulary]
    kinds = [kind.name for kind in found]
    sky = np.array([kind != NOT_SKY for kind in kinds])
    if not sky.any():
        raise ValueError(f'none of {", ".join(vocabulary.names)} is in the sky: add clear sky or a cloud')
    seen = probabilities[sky].sum(0, dtype=np.float64)
    weights = view.weights * seen
    shares = probabilities[sky] / np.maximum(seen, np.finfo(np.float32).tiny)
    named = [concept for concept, is_sky in zip(vocabulary, sky, strict=True) if is_sky]
    each = {
        concept.name: cover(np.clip(share, 0, 1), weights, confidence=confidence)
        for concept, share in zip(named, shares, strict=True)
    }
    clear = [kind == CLEAR_SKY for kind in kinds if kind != NOT_SKY]
    cloud, regions = None, dict.fromkeys(view.regions)
    if any(clear):
        cloudy = np.clip(1 - shares[np.array(clear)].sum(0), 0, 1)
        cloud = cover(cloudy, weights, confidence=confidence)
        regions = {
            name: _cover_of(region, cloudy, seen, weights=view.weights, confidence=confidence)
            for name, region in view.regions.items()
        }
    return Observation(each, cloud, tuple(kind.note for kind in found if kind.note), regions)


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
        confidence: See :func:`cover`.
    """
    if region is None:
        return None
    inside = weights[region]
    sky = inside * seen[region]
    if sky.sum() <= TRACE * inside.sum():
        return None
    return cover(probabilities[region], sky, confidence=confidence)


def as_record(observation: Observation, view: View) -> dict[str, Any]:
    """Return an observation as a record for JSON.

    It has ``time`` and ``time_source``, ``sun``, ``moon``, ``cloud``, ``cover`` by class, ``regions`` by name, and
    ``notes``.
    """
    sun = view.sun
    return dict(
        time=None if view.time is None else view.time.isoformat(),
        time_source=view.time_source,
        sun=None if sun is None else dict(sun._asdict(), phase=sun.phase),
        moon=None if view.moon is None else view.moon._asdict(),
        cloud=None if observation.cloud is None else observation.cloud._asdict(),
        cover={name: found._asdict() for name, found in observation.classes.items()},
        regions={name: None if found is None else found._asdict() for name, found in observation.regions.items()},
        notes=list(observation.notes),
    )
