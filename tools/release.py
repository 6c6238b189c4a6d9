"""Write a checkpoint as one small file that is used without its config.

python tools/release.py CONFIG CHECKPOINT hyperclip-unet-cloud.safetensors --license CC-BY-NC-4.0
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from hyperbolic_seg.apis import HyperSegInferencer, write_release
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.text import sha256_of


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write weights in half precision, with the model and the test pipeline of the config'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', type=Path, help='safetensors file to write')
    parser.add_argument('--license', required=True, help='license of the weights, as the training data allow')
    return parser.parse_args()


def main() -> int:
    """Run the tool; return the exit code."""
    args = parse_args()
    try:
        config = Config.fromfile(args.config)
        model = HyperSegInferencer(config, args.checkpoint, device='cpu').model
        if isinstance(model, HyperCLIPSegmentor):
            model.decode_head.text.encode()  # the vocabulary may have changed since the training
        write_release(config, model.state_dict(), path=args.out, license=args.license)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256_of(args.out)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
