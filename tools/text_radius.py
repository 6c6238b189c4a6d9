"""Draw the hyperbolic radius of words before and after a training, as HyperCLIP's paper does.

python tools/text_radius.py CONFIG CHECKPOINT --vocabulary coco_stuff --out radius.png
"""

import argparse
import sys

import numpy as np

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.apis.text_radius import text_radius
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead
from hyperbolic_seg.visualization.radius_histogram import draw_radius_histogram


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--vocabulary', help='a built-in vocabulary or a YAML file; default: that of the training')
    parser.add_argument('--out', required=True, help='the figure')
    return parser.parse_args()


def main() -> int:
    """Draw the histogram and print means and quartiles."""
    args = parse_args()
    try:
        model = HyperSegInferencer(args.config, args.checkpoint, device='cpu').model
        head = model.decode_head
        if not isinstance(head, OpenVocabularyHead):
            raise ValueError(f'a {type(head).__name__} has no words: expected a HyperCLIPHead or a CostAggregationHead')
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
