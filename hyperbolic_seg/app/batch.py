"""Prediction of image files one by one. An image that fails is recorded by name, and the others go on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import Inferencer, PredictionWriter, record_of, write_files
from hyperbolic_seg.app.failures import failure, refusal, refuse
from hyperbolic_seg.files import PICTURE_SUFFIXES, output_names
from hyperbolic_seg.images import LARGE_PIXELS, Levels, labels_at, read_file, reduced_image
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

OnPrediction = Callable[[NDArray[np.uint8], dict[str, Any], dict[str, Any]], None]
"""Function of a BGR image (H, W, 3), its prediction and its record.

An image of more than :data:`~hyperbolic_seg.images.LARGE_PIXELS` comes reduced to as many, with labels of its size.
Confidence and radius are reduced to fewer, see :meth:`~hyperbolic_seg.apis.HyperSegInferencer.predict_one`.
"""


class Found(NamedTuple):
    """Prediction, observation and view of an image."""

    prediction: dict[str, Any] | None
    """Its prediction; ``None`` if it is no picture of the sky."""
    about: dict[str, Any]
    """Other keys of its record: quality, and with a camera the observation."""
    view: View | None
    """Its view by the camera, if there is one."""


def predict_files(
    inferencer: Inferencer,
    images: Sequence[str],
    out_dir: str | Path,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    maps: bool = True,
    on_prediction: OnPrediction | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict images one by one with the current prompts, and write the results.

    Args:
        inferencer: The model.
        images: Image files.
        out_dir: Output folder of :class:`~hyperbolic_seg.apis.PredictionWriter`.
        threshold: See :class:`~hyperbolic_seg.apis.HyperSegInferencer`.
        camera: The camera that took all images, pointing at the zenith. Each record then also holds an observation,
            see :func:`~hyperbolic_seg.sky.camera.as_record`, the ``model``, the ``appearance`` of the image, and what
            the ``interval`` of its cover is, see :func:`~hyperbolic_seg.sky.camera.with_interval`.
        maps: Write label maps and overlays. Without them a record has no ``files``, and the labels of a large image are
            made and counted at :func:`~hyperbolic_seg.images.reduced_size`, unless ``on_prediction`` gets them.
        on_prediction: Called for each image that was predicted.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``files`` by kind, ``quality`` with ``quality_reasons`` if there is
        a camera or a prompt is in the sky, and ``notes`` if there is a camera or a prompt is not known. An image of
        quality ``refused`` has no fractions, means and files. An image that cannot be read, or
        whose prediction failed, has ``image`` and ``error``; see :func:`~hyperbolic_seg.app.failures.failure`.
    """
    repeats = Repeats()
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    options: dict[str, Any] = dict(threshold=threshold, camera=camera, maps=maps, on_prediction=on_prediction)
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        for name, path in zip(output_names(images), images, strict=True):
            try:
                record = predict_file(inferencer, path, out_dir, name, repeats=repeats, **options)
            except OSError as error:
                record = refuse(path, error)
            except (RuntimeError, MemoryError) as error:
                record = failure(path, error, camera=camera, after=repeats.time)
            why = refusal(record)
            writer.add(record if why is None else record | dict(error=why))
            yield record


def predict_file(
    inferencer: Inferencer,
    path: str,
    out_dir: str | Path,
    name: str,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    repeats: Repeats | None = None,
    maps: bool = True,
    on_prediction: OnPrediction | None = None,
) -> dict[str, Any]:
    """Predict one image and write the results, see :func:`predict_files`; return its record.

    The image is decoded once. An image with a fault of its own, or for which the program fails, has a record with its
    ``error``.

    Args:
        inferencer: The model.
        path: The image file.
        out_dir: Output folder.
        name: Name of the outputs, see :func:`~hyperbolic_seg.apis.write_files`.
        threshold: See :func:`predict_files`.
        camera: See :func:`predict_files`.
        repeats: The pictures of the camera before it, to find out whether it is frozen.
        maps: See :func:`predict_files`.
        on_prediction: See :func:`predict_files`.

    Raises:
        OSError: The image cannot be read, or its outputs cannot be written.
        MemoryError: There is not enough memory.
        RuntimeError: The model fails, for example because its device has too little memory.
    """
    try:
        levels = Levels() if camera is None else camera.levels
        image = _read(path, levels)
        height, width = size = image.shape[:2]
        as_array, large = inferencer.takes_arrays or _only_read_here(path, levels), height * width > LARGE_PIXELS
        # A large one leaves the memory before anything else is made of it.
        batch = inferencer.prepare(image if as_array else path) if large else None
        image = reduced_image(image)
        view, quality = _examine(inferencer, image, path, camera=camera, repeats=repeats, size=size)
        if quality is not None and quality.name == 'refused':
            return dict(image=path, width=width, height=height) | _about(None, view, quality)
        if batch is None:
            batch = inferencer.prepare(image if as_array else path)
        reduced_labels = not maps and on_prediction is None
        prediction = _predict(inferencer, batch, view, threshold=threshold, reduced_labels=reduced_labels)
        about = _observe(inferencer, prediction, image, view, quality, camera=camera)
        if maps:
            record = write_files(out_dir, name, image, prediction, source=path, notes=notes_of(about)) | about
        else:
            record = record_of(prediction, source=path, size=size) | about
    except ValueError as error:
        return refuse(path, error)
    except (OSError, RuntimeError, MemoryError):
        raise
    except Exception as error:  # one picture that the program fails for must not end the watch over the sky
        return failure(path, error, camera=camera, after=None if repeats is None else repeats.time)
    if on_prediction is not None:
        on_prediction(image, prediction | dict(labels=labels_at(prediction['labels'], image.shape[:2])), record)
    return record


def examine_file(path: str, camera: SkyCamera, repeats: Repeats) -> View | None:
    """Add an image to those before the next, as :func:`predict_file` does, without a prediction.

    Args:
        path: The image file.
        camera: Its camera.
        repeats: The pictures of the camera before it.

    Returns:
        Its view; ``None`` if it cannot be read or the camera cannot have taken it.
    """
    try:
        image = _read(path, camera.levels)
        return examine(reduced_image(image), path, camera, repeats, size=image.shape[:2]).view
    except Exception:  # what makes a prediction fail leaves the pictures before it as they are, there and here
        return None


def predict_image(
    inferencer: Inferencer,
    image: NDArray[np.uint8],
    file: str,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    repeats: Repeats | None = None,
    exif: Exif | FitsHeader,
) -> Found:
    """Examine and predict an image in memory.

    Args:
        inferencer: The model.
        image: BGR image, (H, W, 3).
        file: Name of its file, from which nothing is read.
        threshold: See :func:`predict_files`.
        camera: See :func:`predict_files`.
        repeats: See :func:`predict_file`.
        exif: Its EXIF data or FITS header.

    Raises:
        ValueError: The camera cannot have taken the image, or none of the prompts is in the sky.
        RuntimeError: The model fails.
    """
    view, quality = _examine(inferencer, image, file, camera=camera, repeats=repeats, exif=exif)
    if quality is not None and quality.name == 'refused':
        return Found(None, _about(None, view, quality), view)
    prediction = _predict(inferencer, inferencer.prepare(image), view, threshold=threshold)
    return Found(prediction, _observe(inferencer, prediction, image, view, quality, camera=camera), view)


def _read(path: str, levels: Levels) -> NDArray[np.uint8]:
    """Read an image; a missing package is a fault of the system, as a lost disk is, and not of the image.

    Raises:
        OSError: It cannot be read, or the package that reads it is missing.
        ValueError: It is not a readable image.
    """
    try:
        return read_file(path, levels=levels)
    except ImportError as error:
        raise OSError(str(error)) from error


def _only_read_here(path: str, levels: Levels) -> bool:
    """Return whether MMCV's loader could not read a file, or not as its camera writes it."""
    return not path.lower().endswith(PICTURE_SUFFIXES) or levels.bit_depth is not None


def _examine(
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


def _predict(
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


def _observe(
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
        return _noted(_about(None, view, quality), inferencer)
    observation = observe(prediction.pop('probabilities'), inferencer.vocabulary, view)
    about = _noted(_about(observation, view, quality), inferencer) | dict(model=inferencer.identity)
    about['appearance'] = appearance(image, view.weights)
    confidence, prompts = float(prediction['confidence'].mean()), dict.fromkeys(prediction['classes'])
    seen: dict[str, Any] = dict(mean_confidence=confidence, fractions=prompts)
    found = with_interval(about | seen, camera.intervals)
    return {name: value for name, value in found.items() if name not in seen}


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


def _noted(about: dict[str, Any], inferencer: Inferencer) -> dict[str, Any]:
    """Return what a record has beside a prediction, with the notes on prompts that are not known."""
    return about | dict(notes=[*about.get('notes', ()), *inferencer.notes]) if inferencer.notes else about


def _about(observation: Observation | None, view: View | None, quality: Quality | None) -> dict[str, Any]:
    """Return what a record has beside a prediction."""
    if view is not None:
        return as_record(observation, view, quality)
    return {} if quality is None else dict(quality=quality.name, quality_reasons=list(quality.reasons))
