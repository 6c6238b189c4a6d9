"""Draw the hyperbolic radius of text embeddings before and after a training, as in HyperCLIP's paper.

python tools/text_radius.py CONFIG CHECKPOINT --vocabulary coco_stuff --out radius.png
"""

import argparse
import sys

import numpy as np

from hyperbolic_seg.apis import HyperSegInferencer, text_radius
from hyperbolic_seg.models.decode_heads import OpenVocabularyHead
from hyperbolic_seg.visualization import draw_radius_histogram


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--vocabulary', help='built-in vocabulary or YAML file; default: that of the training')
    parser.add_argument('--out', required=True, help='figure to write')
    return parser.parse_args()


def main() -> int:
    """Draw the histogram, and print means and quartiles; return the exit code."""
    args = parse_args()
    try:
        model = HyperSegInferencer(args.config, args.checkpoint, device='cpu').model
        head = model.decode_head
        if not isinstance(head, OpenVocabularyHead):
            raise ValueError(f'a {type(head).__name__} has no text: expected a HyperCLIPHead or a CostAggregationHead')
        vocabulary = head.vocabulary if args.vocabulary is None else args.vocabulary
        radii = text_radius(head, vocabulary)
        draw_radius_histogram(radii, args.out)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for name, values in radii.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        print(f'{name}: mean {np.mean(values):.3f}, median {middle:.3f} (quartiles {low:.3f} to {high:.3f})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
