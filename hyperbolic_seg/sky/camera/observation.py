"""Observations of an image: cover by class, and by all clouds together."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.coverage import Cover, cover
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


def observe(
    probabilities: NDArray[np.floating], vocabulary: Vocabulary, view: View, *, confidence: float = 0.9
) -> Observation:
    """Return the cover of the sky by every class.

    The weight of a pixel is multiplied by its probability of being sky, and the probabilities of the classes are
    conditional on sky. A class counts as clear sky, cloud or no sky by :func:`~hyperbolic_seg.sky.camera.kind_of`.

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
    seen = np.sum(probabilities, axis=0, where=sky[:, None, None], dtype=np.float64)
    weights = view.weights * seen
    seen = np.maximum(seen, np.finfo(np.float32).tiny)
    each, clear = dict[str, Cover](), np.zeros(seen.shape)
    for concept, kind, of_class in zip(vocabulary, kinds, probabilities, strict=True):  # one map at a time
        if kind != NOT_SKY:
            share = of_class / seen
            each[concept.name] = cover(np.clip(share, 0, 1), weights, confidence=confidence)
            clear += share * (kind == CLEAR_SKY)
    cloud = cover(np.clip(1 - clear, 0, 1), weights, confidence=confidence) if CLEAR_SKY in kinds else None
    return Observation(each, cloud, tuple(kind.note for kind in found if kind.note))


def as_record(observation: Observation, view: View) -> dict[str, Any]:
    """Return an observation as a record for JSON.

    It has ``time`` and ``time_source``, ``sun``, ``cloud``, ``cover`` by class, and ``notes``.
    """
    sun = view.sun
    return dict(
        time=None if view.time is None else view.time.isoformat(),
        time_source=view.time_source,
        sun=None if sun is None else dict(sun._asdict(), phase=sun.phase),
        cloud=None if observation.cloud is None else observation.cloud._asdict(),
        cover={name: found._asdict() for name, found in observation.classes.items()},
        notes=list(observation.notes),
    )
