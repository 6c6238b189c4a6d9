"""Predicting files one after the other; one that cannot be read is named, and stops nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from hyperbolic_seg.apis.inferencer import HyperSegInferencer
from hyperbolic_seg.apis.outputs import PredictionWriter, write_files
from hyperbolic_seg.datasets.loading import read_image
from hyperbolic_seg.files import output_names
from hyperbolic_seg.sky.camera.observation import as_record, observe
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera


def predict_files(
    inferencer: HyperSegInferencer,
    images: Sequence[str],
    out_dir: str | Path,
    *,
    threshold: float | None = None,
    camera: SkyCamera | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict and write one image after the other, by the prompts set before.

    Args:
        inferencer: The model.
        images: Image files.
        out_dir: Where :class:`PredictionWriter` writes.
        threshold: As for :class:`HyperSegInferencer`.
        camera: That took the images, all straight up; each record then says what an observer would, see
            :func:`~hyperbolic_seg.sky.camera.observation.as_record`.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``mean_radius``, ``files`` by kind; of one that was refused ``image`` and ``error``.
    """
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        for name, path in zip(output_names(images), images, strict=True):
            try:
                record = predict_file(inferencer, path, out_dir, name, threshold=threshold, camera=camera)
            except (OSError, RuntimeError, MemoryError) as error:
                record = refused(path, error)
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
) -> dict[str, Any]:
    """Predict and write one image, see :func:`predict_files`; return its record, also if the image itself is at fault.

    Args:
        name: Of the outputs, see :func:`~hyperbolic_seg.apis.outputs.write_files`.

    Raises:
        OSError: It cannot be read, or its outputs cannot be written.
        MemoryError: There is not enough of it.
        RuntimeError: The model fails, for want of memory on its device for example.
    """
    try:
        prediction = inferencer.predict_one(path, threshold=threshold, with_probabilities=camera is not None)
        image = read_image(path)
        seen: dict[str, Any] = {}
        if camera is not None:
            view = camera.view(image, path)
            seen = as_record(observe(prediction['probabilities'], inferencer.vocabulary, view), view)
        return write_files(out_dir, name, image, prediction, source=path) | seen
    except (ValueError, cv2.error) as error:
        return refused(path, error)


def refused(path: str, error: Exception) -> dict[str, Any]:
    """Return the record of an image that was not predicted."""
    return dict(image=path, error=' '.join(str(error).split()) or type(error).__name__)
