"""Prediction of image files one by one. An image that fails is recorded by name, and the others go on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import Inferencer, PredictionWriter
from hyperbolic_seg.app.failures import refusal, refuse
from hyperbolic_seg.app.overlap import AHEAD, in_order
from hyperbolic_seg.app.picture import OnPrediction, PictureJob, Settings, read_picture
from hyperbolic_seg.app.steps import about, examine_image, observe_image, predict_checked
from hyperbolic_seg.files import output_names
from hyperbolic_seg.images import reduced_image
from hyperbolic_seg.sky.camera import Exif, FitsHeader, Repeats, SkyCamera, View, examine


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
    ahead: int = AHEAD,
) -> Iterator[dict[str, Any]]:
    """Predict images one by one with the current prompts, and write the results.

    Images are read before it is their turn, and written after it, beside the prediction of others.

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
        on_prediction: Called for each image that was predicted, in their order.
        ahead: Images in work at a time, see :func:`~hyperbolic_seg.app.overlap.in_order`; records and files do not
            depend on it.

    Yields:
        A record of each image: ``image``, ``width``, ``height``, ``fractions`` by prompt, with a threshold ``sure`` by
        node, ``mean_confidence``, ``files`` by kind, ``quality`` with ``quality_reasons`` if there is
        a camera or a prompt is in the sky, and ``notes`` if there is a camera or a prompt is not known. An image of
        quality ``refused`` has no fractions, means and files. An image that cannot be read, or
        whose prediction failed, has ``image`` and ``error``; see :func:`~hyperbolic_seg.app.failures.failure`.
    """
    settings = Settings(
        inferencer=inferencer,
        out_dir=out_dir,
        threshold=threshold,
        camera=camera,
        repeats=Repeats(),
        maps=maps,
        on_prediction=on_prediction,
    )
    node_names = () if threshold is None else inferencer.taxonomy.nodes.names
    with PredictionWriter(out_dir, inferencer.classes, node_names=node_names) as writer:
        named = zip(output_names(images), images, strict=True)
        for job in in_order((PictureJob(path, name, settings) for name, path in named), ahead=ahead):
            record = _finished(job)
            why = refusal(record)
            writer.add(record if why is None else record | dict(error=why))
            yield record


def _finished(job: PictureJob) -> dict[str, Any]:
    """Return the record of a job, whatever has failed."""
    try:
        return job.finish()
    except OSError as error:
        return refuse(job.path, error)
    except (RuntimeError, MemoryError) as error:
        return job.failed(error)


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
    settings = Settings(
        inferencer=inferencer,
        out_dir=out_dir,
        threshold=threshold,
        camera=camera,
        repeats=Repeats() if repeats is None else repeats,
        maps=maps,
        on_prediction=on_prediction,
    )
    job = PictureJob(path, name, settings)
    for step in (job.read, job.predict, job.write):
        step()
    return job.finish()


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
        image = read_picture(path, camera.levels)
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
    view, quality = examine_image(inferencer, image, file, camera=camera, repeats=repeats, exif=exif)
    if quality is not None and quality.name == 'refused':
        return Found(None, about(None, view, quality), view)
    prediction = predict_checked(inferencer, inferencer.prepare(image), view, threshold=threshold)
    return Found(prediction, observe_image(inferencer, prediction, image, view, quality, camera=camera), view)
