"""Export a model with its vocabulary to ONNX or torch.export, and check the file against PyTorch.

python tools/export.py hyperclip-unet-cloud --prompts "clear sky" "cumulus" --format onnx --out model.onnx
python tools/export.py CONFIG CHECKPOINT --prompts "clear sky" "cumulus" --format onnx --out model.onnx
"""

import argparse
import math
import sys
from pathlib import Path

from mmengine.config import Config, DictAction

from hyperbolic_seg.apis import (
    FORMATS,
    ONNX_OPSET,
    RELEASES,
    ExportableSegmentor,
    HyperSegInferencer,
    export_model,
    largest_difference,
)

SIDE = 192
"""Least height and width of the traced example by default."""
MOST_OTHER_LABELS = 0.01
"""Share of the pixels whose label may differ: where two classes are equally probable, rounding decides."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Export a model: RGB images (N, 3, H, W), float32, 0 to 255, in; probabilities (N, K, H, W), '
        'labels (N, H, W) and, of HyperCLIP, the radius (N, 1, H, W) out; N, H and W are free.',
        epilog='Exit code: 0 exported and equal, 1 exported but not equal within the tolerance or not comparable, '
        '2 not exported.',
    )
    parser.add_argument('model', help=f'config file; or {", ".join(RELEASES)} or another .safetensors file')
    parser.add_argument('checkpoint', nargs='?', help='of a config: its checkpoint, or "none" for an untrained model')
    parser.add_argument('--out', type=Path, help="file to write; default: the model's name with the format's suffix")
    parser.add_argument('--format', choices=FORMATS, default='onnx')
    words = parser.add_mutually_exclusive_group()
    words.add_argument(
        '--prompts', nargs='+', help='classes of the file; default: those that the model was trained to name'
    )
    words.add_argument('--vocabulary', help='the same from a YAML file or a built-in vocabulary')
    parser.add_argument(
        '--size', nargs=2, type=int, metavar=('H', 'W'), help=f'size of the traced example; default: about {SIDE}'
    )
    parser.add_argument(
        '--divisor',
        type=int,
        help='number that H and W are multiples of; default: size_divisor of the data preprocessor, or else the '
        'largest stride of the backbone',
    )
    parser.add_argument(
        '--opset', type=int, default=ONNX_OPSET, help=f'operator set of an ONNX file; default: {ONNX_OPSET}'
    )
    parser.add_argument('--tolerance', type=float, default=1e-4, help='largest difference of a probability or radius')
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it is there')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings that override the config')
    return parser.parse_args()


def load(args: argparse.Namespace) -> HyperSegInferencer:
    """Load the model that the command line names.

    Raises:
        OSError: There is no such model or checkpoint.
        ValueError: The arguments do not go together, or a file is damaged.
    """
    if args.model in RELEASES or Path(args.model).suffix == '.safetensors':
        if args.checkpoint or args.cfg_options:
            raise ValueError(f'checkpoints and --cfg-options are for configs, {args.model} is a whole model')
        return HyperSegInferencer(args.model, device='cpu')
    if not Path(args.model).is_file():
        raise FileNotFoundError(f'{args.model} is neither a config file nor one of {", ".join(RELEASES)}')
    if args.checkpoint is None:
        raise ValueError(f'expected a checkpoint after the config {args.model}, or "none" for an untrained model')
    config = Config.fromfile(args.model)
    config.merge_from_dict(args.cfg_options or {})
    return HyperSegInferencer(config, None if args.checkpoint == 'none' else args.checkpoint, device='cpu')


def main() -> int:
    """Run; return the exit code."""
    args = parse_args()
    out = args.out or Path(f'{Path(args.model).stem}.{args.format}')
    try:
        if out.exists() and not args.overwrite:
            raise FileExistsError(f'{out} is there: name another file with --out, or say --overwrite')
        if not out.parent.is_dir():
            raise NotADirectoryError(f'{out.parent} is no folder to write {out.name} to')
        inferencer = load(args)
        inferencer.set_prompts(args.prompts or args.vocabulary)
        model = ExportableSegmentor(inferencer.model, divisor=args.divisor)
        step = model.divisor
        size = tuple(args.size or [max(2, math.ceil(SIDE / step)) * step] * 2)
        export_model(model, out, file_format=args.format, size=size, opset=args.opset)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    try:
        difference = largest_difference(
            inferencer.model, out, file_format=args.format, size=size, divisor=step, smooth=True
        )
    except Exception as error:  # ONNX Runtime's have no class in common
        print(f'error: {out} could not be compared with PyTorch, and was kept: {error}', file=sys.stderr)
        return 1
    form = f'ONNX opset {args.opset}' if args.format == 'onnx' else args.format
    print(
        f'{out}: {form}, {out.stat().st_size / 2**20:.1f} MiB, height and width in steps of {step}, classes '
        f'{list(model.classes)}'
    )
    print(
        f'against PyTorch: probabilities differ by at most {difference.probability:.2e}, radii by '
        f'{difference.radius:.2e}, {difference.labels:.3%} of the labels'
    )
    within = (gap <= args.tolerance for gap in (difference.probability, difference.radius))  # False for NaN
    if not all(within) or difference.labels > MOST_OTHER_LABELS:
        print(
            f'error: that is more than {args.tolerance:g}, or than {MOST_OTHER_LABELS:.0%} of the labels; the file was '
            'kept',
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
