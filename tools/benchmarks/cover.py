"""Coverage of the intervals of the cloud fraction on held-out images of real cameras.

    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/cover.py data/development hyperclip-unet-cloud

For every set: the bias and the mean absolute error of the predicted cloud fraction. For every confidence: the share of
images whose true fraction, by the mask, lies in the interval, and the mean width of the interval. All pixels have the
same weight, because the lenses of these sets are unknown.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.sky.camera import cover

SETS = ('swimseg', 'swinseg', 'wsiseg')
CONFIDENCES = (0.5, 0.8, 0.9, 0.95)
IGNORE = 255


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sets', type=Path, help='folder that development.py wrote')
    parser.add_argument('model', help='name of a released model, or a .safetensors file')
    parser.add_argument('--side', default='val', help='split to evaluate on')
    return parser.parse_args()


def evaluate(inferencer: HyperSegInferencer, root: Path, side: str) -> np.ndarray:
    """Return for every image the true and the predicted fraction, and both ends for each confidence, (N, 2 + 2 C)."""
    found = []
    for stem in (root / 'splits' / f'{side}.txt').read_text().split():
        mask = cv2.imread(str(root / 'masks' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        prediction = inferencer.predict_one(str(root / 'images' / f'{stem}.jpg'), with_probabilities=True)
        weights, cloud = (mask != IGNORE).astype(float), prediction['probabilities'][1]
        covers = [cover(cloud, weights, confidence=confidence) for confidence in CONFIDENCES]
        truth = float((mask == 1).sum() / weights.sum())
        found.append([truth, covers[0].fraction, *(end for each in covers for end in (each.low, each.high))])
    return np.array(found)


def main() -> None:
    """Print the table, a row for every set."""
    args = parse_args()
    inferencer = HyperSegInferencer(args.model)
    inferencer.set_prompts(['clear sky', 'cloud'])
    heads = ' | '.join(f'{100 * confidence:.0f} %: inside, width' for confidence in CONFIDENCES)
    print(f'| set, images | bias | mean error | {heads} |')
    print('|---' * (3 + len(CONFIDENCES)) + '|')
    for name in SETS:
        found = evaluate(inferencer, args.sets / name, args.side)
        off = found[:, 1] - found[:, 0]
        cells = [f'{name}, {len(found)}', f'{off.mean():+.3f}', f'{np.abs(off).mean():.3f}']
        for low, high in zip(found[:, 2::2].T, found[:, 3::2].T, strict=True):
            inside = (low - 1e-9 <= found[:, 0]) & (found[:, 0] <= high + 1e-9)
            cells.append(f'{inside.mean():.2f}, {(high - low).mean():.3f}')
        print('| ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
