"""What an observer would report of a picture: cover by class, and of all cloud together."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.cover import Cover, cover
from hyperbolic_seg.sky.camera.sky_camera import View
from hyperbolic_seg.text import Concept, Vocabulary

CLEAR, NOT_SKY, CLOUD = 'clear sky', 'not sky', 'cloud'
"""Names of the taxonomy of the sky by which classes are told apart here."""


class Observation(NamedTuple):
    """Cover of the sky that is seen."""

    classes: dict[str, Cover]
    """Of every class that is in the sky, by name."""
    cloud: Cover | None
    """Of all that is in the sky and not clear sky; ``None`` if clear sky was not asked for."""


def observe(
    probabilities: NDArray[np.floating], vocabulary: Vocabulary, view: View, *, confidence: float = 0.9
) -> Observation:
    """Return what covers the sky.

    A pixel counts by its weight and by the probability that it is sky at all: what the taxonomy has below "not sky" is
    left out, and the other probabilities are of what remains. Words count by what they mean, see :func:`kind_of`.

    Args:
        probabilities: Of the classes, (K, H, W), which sum to 1.
        vocabulary: The K classes.
        view: Of the picture.
        confidence: Of the intervals.

    Raises:
        ValueError: Nothing of the picture counts, or all that was asked for is no sky.
    """
    kinds = [kind_of(concept) for concept in vocabulary]
    sky = np.array([kind != NOT_SKY for kind in kinds])
    if not sky.any():
        raise ValueError(f'none of {", ".join(vocabulary.names)} is in the sky: ask for clear sky or a cloud')
    seen = probabilities[sky].sum(0, dtype=np.float64)
    weights = view.weights * seen
    shares = probabilities[sky] / np.maximum(seen, np.finfo(np.float32).tiny)
    named = [concept for concept, is_sky in zip(vocabulary, sky, strict=True) if is_sky]
    each = {
        concept.name: cover(np.clip(share, 0, 1), weights, confidence=confidence)
        for concept, share in zip(named, shares, strict=True)
    }
    clear = [kind == CLEAR for kind in kinds if kind != NOT_SKY]
    cloud = None
    if any(clear):
        cloudy = np.clip(1 - shares[np.array(clear)].sum(0), 0, 1)
        cloud = cover(cloudy, weights, confidence=confidence)
    return Observation(each, cloud)


def kind_of(concept: Concept) -> str | None:
    """Return ``'clear sky'``, ``'not sky'`` or ``'cloud'``, by any of a concept's words that the taxonomy knows.

    A concept of other words alone is ``None``, and counts as cloud: a warning names it.
    """
    sky = Vocabulary.load('sky')
    known = [place for place in map(sky.find, concept.phrases) if place is not None]
    lineage = {*concept.lineage, *(name for place in known for name in sky[place].lineage)}
    found = next((kind for kind in (CLEAR, NOT_SKY, CLOUD) if kind in lineage), None)
    if found is None:
        warnings.warn(
            f'{concept.name!r} is no word of the taxonomy of the sky, and counts as cloud. If it is clear sky or '
            'stands before the sky, add a word that says so: "clear sky; azure", "obstruction; mast"',
            stacklevel=3,
        )
    return found


def as_record(observation: Observation, view: View) -> dict[str, Any]:
    """Return an observation as a record that JSON can hold: ``time``, ``sun``, ``cloud`` and ``cover`` by class."""
    sun = view.sun
    return dict(
        time=None if view.time is None else view.time.isoformat(),
        sun=None if sun is None else dict(sun._asdict(), phase=sun.phase),
        cloud=None if observation.cloud is None else observation.cloud._asdict(),
        cover={name: found._asdict() for name, found in observation.classes.items()},
    )
