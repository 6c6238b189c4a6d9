"""Predicting files one after the other; one that cannot be read is named, and stops nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis.files import output_names
from hyperbolic_seg.apis.inferencer import HyperSegInferencer
from hyperbolic_seg.apis.outputs import PredictionWriter
from hyperbolic_seg.skycam.camera import SkyCamera
from hyperbolic_seg.skycam.observation import as_record, observe


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
            :func:`~hyperbolic_seg.skycam.observation.as_record`.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``mean_radius``, ``files``; or of one that was refused ``image`` and ``error``.
    """
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        for name, path in zip(output_names(images), images, strict=True):
            try:
                prediction = inferencer.predict_one(path, threshold=threshold, with_probabilities=camera is not None)
                image = mmcv.imread(path)
                seen = {} if camera is None else _observed(camera, image, path, prediction, inferencer)
                record = writer.write(name, image, prediction, source=path) | seen
            except (OSError, ValueError, RuntimeError, cv2.error) as error:
                record = writer.refuse(path, str(error))
            yield record


def _observed(
    camera: SkyCamera, image: NDArray[np.uint8], path: str, prediction: dict[str, Any], inferencer: HyperSegInferencer
) -> dict[str, Any]:
    view = camera.view(image, path)
    return as_record(observe(prediction['probabilities'], inferencer.vocabulary, view), view)
