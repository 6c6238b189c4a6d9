"""Predicting files one after the other; one that cannot be read is named, and stops nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv

from hyperbolic_seg.apis.files import output_names
from hyperbolic_seg.apis.inferencer import HyperSegInferencer
from hyperbolic_seg.apis.outputs import PredictionWriter


def predict_files(
    inferencer: HyperSegInferencer, images: Sequence[str], out_dir: str | Path, *, threshold: float | None = None
) -> Iterator[dict[str, Any]]:
    """Predict and write one image after the other, by the prompts set before.

    Args:
        inferencer: The model.
        images: Image files.
        out_dir: Where :class:`PredictionWriter` writes.
        threshold: As for :class:`HyperSegInferencer`.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``mean_radius``, ``files``; or of one that was refused ``image`` and ``error``.
    """
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        for name, path in zip(output_names(images), images, strict=True):
            try:
                prediction = inferencer.predict_one(path, threshold=threshold)
                record = writer.write(name, mmcv.imread(path), prediction, source=path)
            except (OSError, ValueError, RuntimeError, cv2.error) as error:
                record = writer.refuse(path, str(error))
            yield record
