"""Average checkpoints of one architecture, such as a model and the start of its fine-tuning.

python tools/average.py averaged.pth work_dirs/a/epoch_2.pth start.safetensors --weights 0.5 0.5
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.runner import CheckpointLoader

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.engine import average_weights, check_checkpoint


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Average checkpoints of one architecture')
    parser.add_argument('out', type=Path, help='checkpoint file to write')
    parser.add_argument('checkpoints', nargs='+', help='checkpoint files; the first gives counters and text embeddings')
    parser.add_argument('--weights', nargs='+', type=float, help='one factor for each checkpoint; equal by default')
    return parser.parse_args()


def main() -> int:
    """Run the tool; return the exit code."""
    args = parse_args()
    try:
        for path in args.checkpoints:
            check_checkpoint(path)
        loaded = [CheckpointLoader.load_checkpoint(path, map_location='cpu') for path in args.checkpoints]
        states = [checkpoint.get('state_dict', checkpoint) for checkpoint in loaded]
        averaged = average_weights(states, args.weights or [1.0] * len(states))
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    torch.save(dict(state_dict=averaged, meta=loaded[0].get('meta', {})), args.out)
    print(f'{args.out}: average of {len(states)} checkpoints')
    return 0


if __name__ == '__main__':
    sys.exit(main())
