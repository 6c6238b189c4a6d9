"""Compare exported ONNX files, and the runtimes that run them: size, time, differences, and mIoU on real images.

    python tools/export.py hyperclip-unet-cloud --prompts "clear sky" cloud --out cloud.onnx
    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/exported.py cloud.onnx cloud.int8.onnx --data data/development

Every file runs under every runtime: the providers of onnxruntime that are named, and openvino if it is named. Times are
medians over rounds in which all take turns, on one image and one thread. Differences are from the first file under the
first runtime, on random images of three sizes. mIoU is over all pixels of the held-out images of a set, which are
resized to --size; their probabilities are enlarged to the size of the mask. Prompts have to be 'clear sky' and 'cloud',
in this order.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
from clouds import CAMERAS, PROMPTS, confusion, read_pairs

from hyperbolic_seg.evaluation import mean_iou
from hyperbolic_seg.images import resized

Run = Callable[[NDArray[np.float32]], list[NDArray]]
OPENVINO = 'openvino'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='+', type=Path, help='ONNX files of tools/export.py or tools/quantize.py')
    parser.add_argument(
        '--runtimes',
        nargs='+',
        default=['CPUExecutionProvider'],
        help=f'execution providers of onnxruntime, or {OPENVINO}',
    )
    parser.add_argument('--size', nargs=2, type=int, default=(384, 384), metavar=('H', 'W'))
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--data', type=Path, help='folder that development.py wrote; without it no mIoU')
    parser.add_argument('--sets', nargs='+', choices=CAMERAS, default=CAMERAS)
    return parser.parse_args()


def load(path: Path, runtime: str) -> Run:
    """Return a function that runs a file on images (N, 3, H, W) under a runtime, on one thread.

    Raises:
        ValueError: The installed onnxruntime lacks the provider, or does not run the file on it.
    """
    return _load_openvino(path) if runtime == OPENVINO else _load_onnxruntime(path, runtime)


def _load_onnxruntime(path: Path, provider: str) -> Run:
    import onnxruntime

    if provider not in (known := onnxruntime.get_available_providers()):
        raise ValueError(f'no {provider}: the onnxruntime that is installed has {", ".join(known)}')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    if session.get_providers()[0] != provider:  # onnxruntime takes its own instead
        raise ValueError(f'{provider} does not start: {path} would run under {session.get_providers()[0]}')
    return lambda images: session.run(None, {'images': images})


def _load_openvino(path: Path) -> Run:
    import openvino

    # Else OpenVINO chooses half precision on processors that have it.
    options = {'INFERENCE_NUM_THREADS': 1, 'INFERENCE_PRECISION_HINT': 'f32'}
    compiled = openvino.Core().compile_model(str(path), 'CPU', options)
    return lambda images: [compiled({'images': images})[output] for output in compiled.outputs]


def step_of(path: Path) -> int:
    """Return the step of height and width that a file states."""
    import onnx

    return next(json.loads(one.value) for one in onnx.load(path).metadata_props if one.key == 'divisor')


def median_times(runs: list[Run], image: NDArray[np.float32], rounds: int) -> list[float]:
    """Return the median milliseconds of each run, in turn, after one that is not counted."""
    found = np.zeros((rounds + 1, len(runs)))
    for times in found:
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run(image)
            times[i] = 1000 * (time.perf_counter() - start)
    return np.median(found[1:], axis=0).tolist()


def differences(run: Run, reference: Run, size: tuple[int, int], step: int) -> tuple[float, float]:
    """Return the largest difference of a probability and the share of other labels, on images of three sizes."""
    generator, gaps, other = np.random.default_rng(0), [], []
    for down, across in ((0, 0), (1, 2), (3, 0)):
        shape = (2, 3, size[0] + down * step, size[1] + across * step)
        images = generator.integers(0, 256, shape).astype(np.float32)
        found, expected = run(images), reference(images)
        gaps.append(np.abs(found[0] - expected[0]).max())
        other.append((found[1] != expected[1]).mean())
    return float(max(gaps)), float(np.mean(other))


def miou(run: Run, pairs: list[tuple[NDArray, NDArray]], size: tuple[int, int]) -> float:
    """Return the mIoU of clear sky and cloud over all pixels of images (H, W, 3), BGR, with masks (H, W)."""
    total = np.zeros((len(PROMPTS), len(PROMPTS)))
    for image, mask in pairs:
        probabilities = run(prepared(image, size)[None])[0][0]
        enlarged = [cv2.resize(one, mask.shape[::-1]) for one in probabilities]
        total += confusion(np.argmax(enlarged, axis=0), mask)
    return mean_iou(total)


def prepared(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return an image (H, W, 3), BGR, as an exported file takes it: RGB levels (3, H, W) of a size."""
    small = resized(image, size[::-1])
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1), np.float32)


def main() -> None:
    """Print the table."""
    args = parse_args()
    pairs = {name: read_pairs(args.data / name, 'val') for name in args.sets} if args.data else {}
    rows = [(path, runtime) for path in args.files for runtime in args.runtimes]
    runs = [load(path, runtime) for path, runtime in rows]
    size, step = tuple(args.size), step_of(args.files[0])
    image = np.random.default_rng(0).integers(0, 256, (1, 3, *size)).astype(np.float32)
    times = median_times(runs, image, args.rounds)
    print('| file | runtime | MiB | ms | probability | other labels |', *(f'mIoU {name} |' for name in pairs))
    print('|---|---|---|---|---|---|', *('---|' for _ in pairs), sep='')
    for (path, runtime), run, milliseconds in zip(rows, runs, times, strict=True):
        gap, other = differences(run, runs[0], size, step)
        scores = [f'{miou(run, images, size):.4f} |' for images in pairs.values()]
        mebibytes = path.stat().st_size / 2**20
        print(
            f'| {path.name} | {runtime} | {mebibytes:.1f} | {milliseconds:.1f} | {gap:.1e} | {other:.2%} |',
            *scores,
            flush=True,
        )


if __name__ == '__main__':
    main()
