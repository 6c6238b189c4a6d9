"""Prediction of image files one by one. An image that cannot be read is refused by name, and the others go on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import HyperSegInferencer, PredictionWriter, write_files
from hyperbolic_seg.datasets import LoadVerifiedImage, read_image
from hyperbolic_seg.files import output_names
from hyperbolic_seg.images import labels_at, reduced_image

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera import SkyCamera, View

OnPrediction = Callable[[NDArray[np.uint8], dict[str, Any], dict[str, Any]], None]
"""Function of a BGR image (H, W, 3), its prediction and its record.

An image of more than :data:`~hyperbolic_seg.images.LARGE_PIXELS` comes reduced to as many, with labels of its size.
Confidence and radius are reduced to fewer, see :meth:`~hyperbolic_seg.apis.HyperSegInferencer.predict_one`.
"""


def predict_files(
    inferencer: HyperSegInferencer,
    images: Sequence[str],
    out_dir: str | Path,
    *,
    threshold: float | None = None,
    camera: 'SkyCamera | None' = None,
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
        node, ``mean_confidence``, ``mean_radius``, ``files`` by kind. A refused image has ``image`` and ``error``.
    """
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    options: dict[str, Any] = dict(threshold=threshold, camera=camera, on_prediction=on_prediction)
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
    camera: 'SkyCamera | None' = None,
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
        on_prediction: See :func:`predict_files`.

    Raises:
        OSError: The image cannot be read, or its outputs cannot be written.
        MemoryError: There is not enough memory.
        RuntimeError: The model fails, for example because its device has too little memory.
    """
    try:
        image = read_image(path)
        batch = inferencer.prepare(image if takes_arrays(inferencer) else path)
        view = None if camera is None else camera.view(image, path, reduced=True)
        image = reduced_image(image)  # A large one leaves the memory before its labels are made.
        options: dict[str, Any] = dict(threshold=threshold, with_probabilities=view is not None, reduced=True)
        prediction = inferencer.predict_prepared(batch, **options)
        observation = {} if view is None else _observe(inferencer, prediction.pop('probabilities'), view)
        record = write_files(out_dir, name, image, prediction, source=path) | observation
    except (ValueError, cv2.error) as error:
        return refuse(path, error)
    if on_prediction is not None:
        on_prediction(image, prediction | dict(labels=labels_at(prediction['labels'], image.shape[:2])), record)
    return record


def takes_arrays(inferencer: HyperSegInferencer) -> bool:
    """Return whether the test pipeline takes an image in memory; MMCV's own loader reads the file itself."""
    return any(isinstance(step, LoadVerifiedImage) for step in inferencer.pipeline.transforms)


def _observe(inferencer: HyperSegInferencer, probabilities: NDArray[np.float32], view: 'View') -> dict[str, Any]:
    from hyperbolic_seg.sky.camera import as_record, observe  # only a camera needs it

    return as_record(observe(probabilities, inferencer.vocabulary, view), view)


def refuse(path: str, error: Exception) -> dict[str, Any]:
    """Return the record of an image that was not predicted."""
    return dict(image=path, error=' '.join(str(error).split()) or type(error).__name__)
