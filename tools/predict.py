"""Segment images by prompts.

python tools/predict.py hyperclip-unet-cloud IMAGE... --prompts "clear sky" "cumulus" --out-dir DIR
python tools/predict.py CONFIG CHECKPOINT IMAGE... --prompts "clear sky" "cumulus" --out-dir DIR
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from tqdm import tqdm

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.apis.released import RELEASES
from hyperbolic_seg.app.batch import predict_files
from hyperbolic_seg.files import find_images

IMAGES_HELP = 'image files, folders or globs; after a config first its checkpoint, or "none" for an untrained model'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Segment images by prompts: a label map, an overlay and a row of summary.csv for each',
        epilog='Exit code: 0 all images done, 1 some refused (named in summary.csv), 2 nothing could be done.',
    )
    parser.add_argument('model', help=f'config file; or {", ".join(RELEASES)} or another .safetensors file')
    parser.add_argument('images', nargs='+', metavar='[CHECKPOINT] IMAGE', help=IMAGES_HELP)
    parser.add_argument('--out-dir', required=True, help='where labels/, overlays/ and summary.csv are written')
    words = parser.add_mutually_exclusive_group()
    words.add_argument('--prompts', nargs='+', help='what to look for; default: what the model was trained to name')
    words.add_argument('--vocabulary', help='the same from a YAML file or a built-in vocabulary')
    parser.add_argument('--threshold', type=float, help='also stop at the deepest node as probable, above 0.5 to 1')
    parser.add_argument('--device', help='such as cuda:0; default: a GPU where there is one')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings that override the config')
    return parser.parse_args()


def load(args: argparse.Namespace) -> tuple[HyperSegInferencer, list[str]]:
    """Return the model with its prompts set, and what stands for images."""
    if args.model in RELEASES or Path(args.model).suffix == '.safetensors':
        if args.cfg_options:
            raise ValueError(f'--cfg-options are for configs, {args.model} is a whole model')
        inferencer, images = HyperSegInferencer(args.model, device=args.device), args.images
    else:
        if not Path(args.model).is_file():
            raise FileNotFoundError(f'{args.model} is neither a config file nor one of {", ".join(RELEASES)}')
        checkpoint, *images = args.images
        if not images:
            raise ValueError(f'expected a checkpoint and images after the config {args.model}, got {checkpoint} alone')
        config = Config.fromfile(args.model)
        config.merge_from_dict(args.cfg_options or {})
        inferencer = HyperSegInferencer(config, None if checkpoint == 'none' else checkpoint, device=args.device)
    inferencer.set_prompts(args.prompts or args.vocabulary)
    return inferencer, images


def main() -> int:
    """Run; return the exit code."""
    args = parse_args()
    try:
        if args.threshold is not None and not 0.5 < args.threshold <= 1:
            raise ValueError(f'--threshold {args.threshold}: expected more than 0.5, at most 1')
        inferencer, given = load(args)
        images = find_images(given, without=args.out_dir)
        if args.threshold is not None:
            _ = inferencer.taxonomy  # a model without one is refused before any picture
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    refused = 0
    records = predict_files(inferencer, images, args.out_dir, threshold=args.threshold)
    for record in tqdm(records, total=len(images), unit='image'):
        if 'error' in record:
            tqdm.write(f'refused: {record["image"]}: {record["error"]}', file=sys.stderr)
            refused += 1
    print(f'{len(images) - refused} of {len(images)} images written to {args.out_dir}')
    return 1 if refused else 0


if __name__ == '__main__':
    sys.exit(main())
