"""How often the true cloud fraction lies in the interval that is said of it, on held-out pictures of real cameras.

    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/cover.py data/development hyperclip-unet-cloud

For every set and confidence: the share of pictures whose cloud fraction by the mask lies in the interval, and the mean
width of the interval; also the mean difference of the fractions, and its mean size. Every pixel counts alike here, as
nothing is known of the lenses of these sets.
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
    parser.add_argument('sets', type=Path, help='what development.py wrote')
    parser.add_argument('model', help='a released model or a .safetensors file')
    parser.add_argument('--side', default='val', help='the split')
    return parser.parse_args()


def judge(inferencer: HyperSegInferencer, root: Path, side: str) -> np.ndarray:
    """Return of every picture the truth, the fraction, and low and high for each confidence, (N, 2 + 2 C)."""
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
    """Print a row for every set."""
    args = parse_args()
    inferencer = HyperSegInferencer(args.model)
    inferencer.set_prompts(['clear sky', 'cloud'])
    heads = ' | '.join(f'{100 * confidence:.0f} %: inside, width' for confidence in CONFIDENCES)
    print(f'| set, pictures | bias | mean error | {heads} |')
    print('|---' * (3 + len(CONFIDENCES)) + '|')
    for name in SETS:
        found = judge(inferencer, args.sets / name, args.side)
        off = found[:, 1] - found[:, 0]
        cells = [f'{name}, {len(found)}', f'{off.mean():+.3f}', f'{np.abs(off).mean():.3f}']
        for low, high in zip(found[:, 2::2].T, found[:, 3::2].T, strict=True):
            inside = (low - 1e-9 <= found[:, 0]) & (found[:, 0] <= high + 1e-9)
            cells.append(f'{inside.mean():.2f}, {(high - low).mean():.3f}')
        print('| ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
