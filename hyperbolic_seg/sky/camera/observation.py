"""Observations of an image: cover by class, and by all clouds together."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.coverage import Cover, cover
from hyperbolic_seg.sky.camera.sky_camera import View
from hyperbolic_seg.sky.defaults import CLEAR_SKY, CLOUD, NOT_SKY, load_taxonomy
from hyperbolic_seg.text import Concept, Vocabulary


class Observation(NamedTuple):
    """Cover of the visible sky."""

    classes: dict[str, Cover]
    """Cover by every class of the sky, by name."""
    cloud: Cover | None
    """Cover by everything in the sky except clear sky; ``None`` if no class is clear sky."""


def observe(
    probabilities: NDArray[np.floating], vocabulary: Vocabulary, view: View, *, confidence: float = 0.9
) -> Observation:
    """Return the cover of the sky by every class.

    The weight of a pixel is multiplied by its probability of being sky, and the probabilities of the classes are
    conditional on sky. The kind of a class is that of its name, or of any of its phrases, in the taxonomy of the sky:
    clear sky, cloud, or not sky. A class that the taxonomy does not know counts as cloud, with a warning.

    Args:
        probabilities: Probabilities of the classes, (K, H, W), which sum to 1.
        vocabulary: The K classes.
        view: View of the image.
        confidence: Confidence of the intervals, between 0 and 1.

    Raises:
        ValueError: No pixel counts, or no class is sky.
    """
    kinds = [kind_of(concept) for concept in vocabulary]
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
    cloud = None
    if any(clear):
        cloudy = np.clip(1 - shares[np.array(clear)].sum(0), 0, 1)
        cloud = cover(cloudy, weights, confidence=confidence)
    return Observation(each, cloud)


def kind_of(concept: Concept) -> str | None:
    """Return the kind of a concept, ``'clear sky'``, ``'not sky'`` or ``'cloud'``.

    The kind is that of the concept itself, or of any of its phrases that the taxonomy of the sky knows. Without one it
    is ``None``, which counts as cloud; a warning names the concept.
    """
    sky = load_taxonomy()
    known = [sky.nodes[node] for node in map(sky.nodes.find, concept.phrases) if node is not None]
    kinds = sky.at_depth(1)
    nearest = {kinds[index].name for index in map(kinds.nearest, (concept, *known)) if index is not None}
    kind = next((kind for kind in (CLEAR_SKY, NOT_SKY, CLOUD) if kind in nearest), None)
    if kind is None:
        warnings.warn(
            f'{concept.name!r} is not in the taxonomy of the sky, and counts as cloud. If it is clear sky or hides the '
            'sky, add a phrase that says so: "clear sky; azure", "obstruction; mast"',
            stacklevel=3,
        )
    return kind


def as_record(observation: Observation, view: View) -> dict[str, Any]:
    """Return an observation as a record for JSON: ``time`` and what it is from, ``sun``, ``cloud``, ``cover``."""
    sun = view.sun
    return dict(
        time=None if view.time is None else view.time.isoformat(),
        time_source=view.time_source,
        sun=None if sun is None else dict(sun._asdict(), phase=sun.phase),
        cloud=None if observation.cloud is None else observation.cloud._asdict(),
        cover={name: found._asdict() for name, found in observation.classes.items()},
    )
