"""Prediction of image files one by one. An image that cannot be read is refused by name, and the others go on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import HyperSegInferencer, PredictionWriter, write_files
from hyperbolic_seg.datasets import LoadVerifiedImage, read_image
from hyperbolic_seg.files import output_names
from hyperbolic_seg.sky.camera import (
    Exif,
    Quality,
    Repeats,
    SkyCamera,
    View,
    as_record,
    examine,
    observe,
    quality_of,
    speaks_of_sky,
)

OnPrediction = Callable[[NDArray[np.uint8], dict[str, Any], dict[str, Any]], None]
"""Function of a BGR image (H, W, 3), its prediction and its record."""


class Found(NamedTuple):
    """What is found in an image."""

    prediction: dict[str, Any] | None
    """Its prediction; ``None`` if it is no picture of the sky."""
    about: dict[str, Any]
    """What its record has beside the prediction: quality, and with a camera the observation."""
    view: View | None
    """Its view by the camera, if there is one."""


def predict_files(
    inferencer: HyperSegInferencer,
    images: Sequence[str],
    out_dir: str | Path,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    on_prediction: OnPrediction | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict images one by one with the current prompts, and write the results.

    Args:
        inferencer: The model.
        images: Image files.
        out_dir: Output folder of :class:`~hyperbolic_seg.apis.PredictionWriter`.
        threshold: See :class:`~hyperbolic_seg.apis.HyperSegInferencer`.
        camera: The camera that took all images, pointing at the zenith. Each record then also holds an observation,
            see :func:`~hyperbolic_seg.sky.camera.as_record`.
        on_prediction: Called for each image that was predicted.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``mean_radius``, ``files`` by kind, and ``quality`` with ``quality_reasons`` if there
        is a camera or a prompt is in the sky. An image of quality ``refused`` has no fractions, means and files. An
        image that cannot be read has ``image`` and ``error``.
    """
    repeats = Repeats()
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    options: dict[str, Any] = dict(threshold=threshold, camera=camera, repeats=repeats, on_prediction=on_prediction)
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        for name, path in zip(output_names(images), images, strict=True):
            try:
                record = predict_file(inferencer, path, out_dir, name, **options)
            except (OSError, RuntimeError, MemoryError) as error:
                record = refuse(path, error)
            writer.add(record)
            yield record


def predict_file(
    inferencer: HyperSegInferencer,
    path: str,
    out_dir: str | Path,
    name: str,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    repeats: Repeats | None = None,
    on_prediction: OnPrediction | None = None,
) -> dict[str, Any]:
    """Predict one image and write the results, see :func:`predict_files`; return its record.

    The image is decoded once. An image with a fault of its own has a record with its ``error``.

    Args:
        inferencer: The model.
        path: The image file.
        out_dir: Output folder.
        name: Name of the outputs, see :func:`~hyperbolic_seg.apis.write_files`.
        threshold: See :func:`predict_files`.
        camera: See :func:`predict_files`.
        repeats: The pictures of the camera before it, to find out whether it is frozen.
        on_prediction: See :func:`predict_files`.

    Raises:
        OSError: The image cannot be read, or its outputs cannot be written.
        MemoryError: There is not enough memory.
        RuntimeError: The model fails, for example because its device has too little memory.
    """
    try:
        image = read_image(path)
        found = predict_image(inferencer, image, path, threshold=threshold, camera=camera, repeats=repeats)
        if found.prediction is None:
            return dict(image=path, width=image.shape[1], height=image.shape[0]) | found.about
        record = write_files(out_dir, name, image, found.prediction, source=path) | found.about
    except (ValueError, cv2.error) as error:
        return refuse(path, error)
    if on_prediction is not None:
        on_prediction(image, found.prediction, record)
    return record


def predict_image(
    inferencer: HyperSegInferencer,
    image: NDArray[np.uint8],
    file: str,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
    repeats: Repeats | None = None,
    exif: Exif | None = None,
) -> Found:
    """Examine and predict an image that is decoded already.

    Args:
        inferencer: The model.
        image: BGR image, (H, W, 3).
        file: Its file.
        threshold: See :func:`predict_files`.
        camera: See :func:`predict_files`.
        repeats: See :func:`predict_file`.
        exif: EXIF data of an image in memory. The file is then a mere name, and nothing is read from it.

    Raises:
        ValueError: The camera cannot have taken the image, or none of the prompts is in the sky.
        RuntimeError: The model fails.
    """
    view, quality = _examine(inferencer, image, file, camera=camera, repeats=repeats, exif=exif)
    about = {} if quality is None else dict(quality=quality.name, quality_reasons=list(quality.reasons))
    if quality is not None and quality.name == 'refused':
        return Found(None, about if view is None else as_record(None, view, quality), view)
    options: dict[str, Any] = dict(threshold=threshold, with_probabilities=camera is not None)
    in_memory = exif is not None or takes_arrays(inferencer)
    prediction = inferencer.predict_one(image if in_memory else file, **options)
    if view is not None:
        about = as_record(observe(prediction['probabilities'], inferencer.vocabulary, view), view, quality)
    return Found(prediction, about, view)


def takes_arrays(inferencer: HyperSegInferencer) -> bool:
    """Return whether the test pipeline takes an image in memory; MMCV's own loader reads the file itself."""
    return any(isinstance(step, LoadVerifiedImage) for step in inferencer.pipeline.transforms)


def _examine(
    inferencer: HyperSegInferencer,
    image: NDArray[np.uint8],
    path: str,
    *,
    camera: SkyCamera | None,
    repeats: Repeats | None,
    exif: Exif | None,
) -> tuple[View | None, Quality | None]:
    """Return the view of an image if there is a camera, and its quality if it is to show the sky."""
    if camera is not None:
        return examine(image, path, camera, repeats or Repeats(), exif=exif)
    return None, quality_of(image, file=path) if speaks_of_sky(inferencer.vocabulary) else None


def refusal(record: dict[str, Any]) -> str | None:
    """Return why the image of a record was refused, for people; ``None`` if it was predicted."""
    if record.get('quality') == 'refused':
        return f'no picture of the sky: {Quality.of(*record["quality_reasons"]).text}'
    error = record.get('error')
    return None if error is None else str(error)


def refuse(path: str, error: Exception) -> dict[str, Any]:
    """Return the record of an image that was not predicted."""
    return dict(image=path, error=' '.join(str(error).split()) or type(error).__name__)
