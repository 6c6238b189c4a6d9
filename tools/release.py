"""Write a checkpoint as one small file that is used without its config.

python tools/release.py CONFIG CHECKPOINT hyperclip-unet-cloud.safetensors --licence CC-BY-NC-4.0
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from hyperbolic_seg.apis.released import write_release
from hyperbolic_seg.text.offline import sha256_of


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Write weights in half precision, with the model and the test pipeline of the config'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', type=Path, help='safetensors file to write')
    parser.add_argument('--licence', required=True, help='of the weights, as their training data allow')
    return parser.parse_args()


def main() -> int:
    """Run; return the exit code."""
    args = parse_args()
    try:
        state = CheckpointLoader.load_checkpoint(args.checkpoint, map_location='cpu')['state_dict']
        write_release(Config.fromfile(args.config), state, args.out, licence=args.licence)
    except (OSError, ValueError, KeyError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256_of(args.out)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
