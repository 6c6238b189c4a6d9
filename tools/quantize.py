"""Make an exported ONNX file smaller: its backbone in 8 bits, by the ranges of images, or its weights in halves.

python tools/export.py hyperclip-unet-cloud --prompts "clear sky" cloud --out cloud.onnx
python tools/quantize.py cloud.onnx my_images/ --out cloud.int8.onnx
python tools/quantize.py cloud.onnx --half --out cloud.fp16.onnx
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from hyperbolic_seg.apis import halve_onnx, quantize_onnx
from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.files import images_in
from hyperbolic_seg.images import resized


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Quantize the backbone and neck of a file of tools/export.py to 8 bits, or store their weights in '
        'half precision; the head and what follows stay in float32. tools/benchmarks/exported.py measures what that '
        'gains and loses.',
        epilog='Exit code: 0 quantized, 2 not quantized.',
    )
    parser.add_argument('file', type=Path, help='ONNX file of tools/export.py')
    parser.add_argument(
        'images', nargs='*', help='folders of images such as the model will see: some tens of each camera'
    )
    parser.add_argument('--half', action='store_true', help='half precision in place of 8 bits; takes no images')
    parser.add_argument('--out', type=Path, help='file to write; default: FILE.int8.onnx or FILE.fp16.onnx')
    parser.add_argument('--num-images', type=int, default=20, help='images of each folder, evenly spaced; default: 20')
    parser.add_argument(
        '--size', nargs=2, type=int, default=(384, 384), metavar=('H', 'W'), help='size that images are resized to'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    args = parser.parse_args()
    if bool(args.images) == args.half:
        parser.error('expected folders of images, for 8 bits, or --half without any')
    return args


def main() -> int:
    """Run; return the exit code."""
    args = parse_args()
    out = args.out or args.file.with_suffix('.fp16.onnx' if args.half else '.int8.onnx')
    try:
        if out.exists() and not args.overwrite:
            raise FileExistsError(f'{out} is there: name another file with --out, or say --overwrite')
        if args.half:
            halve_onnx(args.file, out)
        else:
            paths = [path for folder in args.images for path in _spread(images_in(folder), args.num_images)]
            quantize_onnx(args.file, out, [_prepared(path, tuple(args.size)) for path in paths])
    except (OSError, ValueError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    before, after = (path.stat().st_size / 2**20 for path in (args.file, out))
    how = 'weights in half precision' if args.half else f'calibrated on {len(paths)} images'
    print(f'{out}: {after:.1f} MiB, before {before:.1f}, {how}')
    return 0


def _spread(paths: list[str], count: int) -> list[str]:
    """Return some of the paths, evenly spaced."""
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]


def _prepared(path: str, size: tuple[int, int]) -> np.ndarray:
    """Read an image as an exported file takes it: RGB levels (3, H, W) of a size."""
    small = resized(read_image(path), size[::-1])
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1), np.float32)


if __name__ == '__main__':
    sys.exit(main())
