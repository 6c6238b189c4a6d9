"""Run exported files as a user of them would, and compare them with the model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample
from numpy.typing import NDArray

from hyperbolic_seg.apis.export import check_format
from hyperbolic_seg.models.refinement import chain

_SMOOTH = 12  # pixels over which the colors of random images vary

Arrays = list[NDArray[Any]]


def run_exported(path: str | Path, images: NDArray[np.float32], *, file_format: str) -> Arrays:
    """Run an exported file on images (N, 3, H, W), as a user of it would.

    Raises:
        ValueError: The format is unknown.
    """
    return _loaded(path, file_format)(images)


def _loaded(path: str | Path, file_format: str) -> Callable[[NDArray[np.float32]], Arrays]:
    """Read an exported file; return a function from images (N, 3, H, W) to its outputs."""
    check_format(file_format)
    return _load_onnx(path) if file_format == 'onnx' else _load_pt2(path)


def _load_onnx(path: str | Path) -> Callable[[NDArray[np.float32]], Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def run(images: NDArray[np.float32]) -> Arrays:
        outputs: Arrays = session.run(None, {'images': images})
        return outputs

    return run


def _load_pt2(path: str | Path) -> Callable[[NDArray[np.float32]], Arrays]:
    with Path(path).open('rb') as file:
        program = torch.export.load(file).module()

    def run(images: NDArray[np.float32]) -> Arrays:
        with torch.no_grad():
            return [output.numpy() for output in program(torch.from_numpy(images))]

    return run


class Difference(NamedTuple):
    """Differences between an exported file and the segmentor."""

    probability: float
    """Largest difference of a probability; NaN if the file predicts NaN."""
    labels: float
    """Share of pixels with another label."""
    radius: float
    """Largest difference of a radius r, divided by 1 + r; 0 without radii."""


def largest_difference(
    segmentor: Any,
    path: str | Path,
    *,
    file_format: str,
    size: tuple[int, int],
    divisor: int,
    seed: int = 0,
    smooth: bool = False,
) -> Difference:
    """Compare an exported file with the predictions of the segmentor on random images of three sizes and batches.

    The segmentor predicts through its own data preprocessor, as in a test: a step that the export forgot shows up.

    Args:
        segmentor: The segmentor that was exported, in evaluation mode.
        path: The file.
        file_format: ``'onnx'`` or ``'pt2'``.
        size: Height and width of the smallest images, multiples of the divisor.
        divisor: Step of height and width of the file.
        seed: Seed of the random images.
        smooth: Images as smooth as photographs in place of white noise, which no lens draws: on it a guided filter of
            small windows and the color likelihood enlarge the rounding a thousand times.
    """
    generator = np.random.default_rng(seed)
    run = _loaded(path, file_format)
    (height, width), radius_gaps, gaps, other = size, [0.0], [], []
    for shape in ((1, height, width), (3, height + divisor, width + 2 * divisor), (2, height + 3 * divisor, width)):
        white = generator.integers(0, 256, (shape[0], 3, *shape[1:]), np.uint8)
        images = _smooth_images(generator, shape) if smooth else white
        probabilities, labels, *radius = run(images.astype(np.float32))
        for i, sample in enumerate(_predicted(segmentor, images)):
            expected = chain.class_probabilities(sample.seg_logits.data.float()).cpu().numpy()
            gaps.append(np.abs(probabilities[i] - expected).max())
            other.append((labels[i] != sample.pred_sem_seg.data[0].cpu().numpy()).mean())
            if radius:
                expected = sample.pred_radius.data.cpu().numpy()
                radius_gaps.append((np.abs(radius[0][i] - expected) / (1 + expected)).max())
    return Difference(float(np.max(gaps)), float(np.mean(other)), float(np.max(radius_gaps)))


def _smooth_images(generator: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return random RGB images (N, 3, H, W) for N, H and W: colors that vary over some pixels, and a little noise."""
    count, *size = shape
    colors = generator.uniform(0, 255, (count, 3, *(side // _SMOOTH + 2 for side in size)))
    smooth = F.interpolate(torch.from_numpy(colors), size=size, mode='bilinear', align_corners=True).numpy()
    return np.clip(smooth + generator.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)


def _predicted(segmentor: Any, images: NDArray[np.uint8]) -> Iterator[SegDataSample]:
    """Predict RGB images (N, 3, H, W) as MMEngine's test loop does."""
    shape = images.shape[2:]
    metas = dict(img_shape=shape, ori_shape=shape, pad_shape=shape)
    inputs = [torch.from_numpy(image[::-1].copy()) for image in images]  # MMSegmentation reads blue, green, red.
    with torch.no_grad():
        samples = [SegDataSample(metainfo=metas) for _ in inputs]
        yield from segmentor.test_step(dict(inputs=inputs, data_samples=samples))
