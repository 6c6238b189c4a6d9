"""Steps from an image in memory to what its record says: examination, prediction and observation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import Inferencer
from hyperbolic_seg.sky.camera import (
    Exif,
    FitsHeader,
    Observation,
    Quality,
    Repeats,
    SkyCamera,
    View,
    appearance,
    as_record,
    examine,
    observe,
    quality_of,
    speaks_of_sky,
    with_interval,
)


def examine_image(
    inferencer: Inferencer,
    image: NDArray[np.uint8],
    path: str,
    *,
    camera: SkyCamera | None,
    repeats: Repeats | None,
    exif: Exif | FitsHeader | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[View | None, Quality | None]:
    """Return the view of an image if there is a camera, and its quality if it is to show the sky."""
    if camera is not None:
        return examine(image, path, camera, repeats or Repeats(), exif=exif, size=size)
    return None, quality_of(image, file=path) if speaks_of_sky(inferencer.vocabulary) else None


def predict_checked(
    inferencer: Inferencer,
    batch: dict[str, Any],
    view: View | None,
    *,
    threshold: float | None,
    reduced_labels: bool = False,
) -> dict[str, Any]:
    """Return the prediction of an image that is prepared, with probabilities if there is a view."""
    options: dict[str, Any] = dict(threshold=threshold, reduced=True, reduced_labels=reduced_labels)
    prediction = inferencer.predict_prepared(batch, with_probabilities=view is not None, **options)
    _check_finite(prediction)
    return prediction


def observe_image(
    inferencer: Inferencer,
    prediction: dict[str, Any],
    image: NDArray[np.uint8],
    view: View | None,
    quality: Quality | None,
    *,
    camera: SkyCamera | None,
) -> dict[str, Any]:
    """Return what the record of an image has beside its prediction, which loses its probabilities."""
    if view is None or camera is None:
        return _noted(about(None, view, quality), inferencer)
    observation = observe(prediction.pop('probabilities'), inferencer.vocabulary, view)
    said = _noted(about(observation, view, quality), inferencer) | dict(model=inferencer.identity)
    said['appearance'] = appearance(image, view.weights)
    confidence, prompts = float(prediction['confidence'].mean()), dict.fromkeys(prediction['classes'])
    seen: dict[str, Any] = dict(mean_confidence=confidence, fractions=prompts)
    found = with_interval(said | seen, camera.intervals)
    return {name: value for name, value in found.items() if name not in seen}


def notes_of(record: dict[str, Any]) -> list[str]:
    """Return what an overlay says of the observation of a record: its cover, and its quality if that is not ok."""
    quality = record.get('quality', 'ok')
    found = [] if record.get('cloud') is None else [cover_in_words(record)]
    return found if quality == 'ok' else [*found, f'quality: {quality}, {", ".join(record["quality_reasons"])}']


def cover_in_words(record: dict[str, Any]) -> str:
    """Return the cover by all cloud of a record in oktas, with its interval, and why not to rely on it."""
    cloud, outside = record['cloud'], record.get('interval', {}).get('outside')
    unit = 'okta' if cloud['oktas'] == 1 else 'oktas'
    return f'{cloud["oktas"]} {unit} ({100 * cloud["low"]:.0f} to {100 * cloud["high"]:.0f} %)' + (
        f', unlike the calibration: {", ".join(outside)}' if outside else ''
    )


def _check_finite(prediction: dict[str, Any]) -> None:
    """Refuse a prediction with values that are no numbers, whose labels look like any others.

    Raises:
        ArithmeticError: There is one.
    """
    for name in ('confidence', 'radius'):
        if prediction[name] is not None and not np.isfinite(prediction[name]).all():
            raise ArithmeticError(
                f'the {name} that the model gives is not a number somewhere: its weights are damaged, or too large for '
                'the precision of its device'
            )


def _noted(said: dict[str, Any], inferencer: Inferencer) -> dict[str, Any]:
    """Return what a record has beside a prediction, with the notes on prompts that are not known."""
    return said | dict(notes=[*said.get('notes', ()), *inferencer.notes]) if inferencer.notes else said


def about(observation: Observation | None, view: View | None, quality: Quality | None) -> dict[str, Any]:
    """Return what a record has beside a prediction."""
    if view is not None:
        return as_record(observation, view, quality)
    return {} if quality is None else dict(quality=quality.name, quality_reasons=list(quality.reasons))
