"""Temperature of the color likelihood, chosen on some cameras and judged on another.

    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/temperature.py data/development hyperclip-unet-cloud --cache work_dirs/predictions

For every camera: the calibration error (ECE, 15 bins, percent) of sky against cloud at each temperature, and at the one
that has the least mean error on the other cameras. With two classes the temperature changes no label, so that mIoU
stays what it is. The last column says by how much the error of the camera left out changes against the temperature of
the released models, with a 95 % bootstrap interval over groups of pictures (capture days, or runs of pictures).

By default the pictures are the held-out ones of tools/benchmarks/splits. --sides train val takes all of them, for a
model that was trained on rendered skies alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from camera_predictions import CAMERAS, IGNORE, Picture, load_predictions
from numpy.typing import NDArray

from hyperbolic_seg.evaluation import bootstrap, expected_calibration_error

WEIGHT, ROUNDS, RELEASED = 1.0, 3, 2.0
TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
BINS = 15


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that development.py wrote')
    parser.add_argument('model', help='name of a released model, or a .safetensors file')
    parser.add_argument('--cache', type=Path, required=True, help='folder of predictions, which are made once')
    parser.add_argument('--sides', nargs='+', choices=('train', 'val'), default=['val'], help='splits of the pictures')
    parser.add_argument('--per-group', type=int, default=10, help='most pictures of a group')
    return parser.parse_args()


def bins_of(picture: Picture) -> NDArray[np.float64]:
    """Return pixels, summed confidence and right pixels of every bin, (T, 3, B), for each temperature."""
    # The temperature is the last step, a power of the odds, where colors had a say.
    cloud = picture.with_colors(weight=WEIGHT, rounds=ROUNDS, temperature=1.0).clip(1e-7, 1 - 1e-7)
    known = picture.mask != IGNORE
    odds, truth = (np.log(cloud) - np.log1p(-cloud))[known], picture.mask[known] == 1
    colored = picture.image[known].mean(1) > 8
    found = []
    for temperature in TEMPERATURES:
        confidence = 1 / (1 + np.exp(-np.abs(odds) / np.where(colored, temperature, 1)))
        place = np.minimum((BINS * confidence).astype(int), BINS - 1)
        summands = (np.ones(len(place)), confidence, (odds > 0) == truth)
        found.append([np.bincount(place, each, BINS) for each in summands])
    return np.array(found, np.float64)


def error_of(bins: NDArray[np.float64]) -> float:
    """Return the calibration error in percent of summed bins (3, B)."""
    return 100 * expected_calibration_error(bins)


def group_sums(pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """Return the bins of each group, (G, T, 3, B)."""
    groups: dict[str, NDArray[np.float64]] = {}
    for picture in pictures:
        groups[picture.group] = groups.get(picture.group, 0) + bins_of(picture)
    return np.stack(list(groups.values()))


def main() -> None:
    """Print a row for each camera."""
    args = parse_args()
    options = dict(sides=tuple(args.sides), per_group=args.per_group, rendered=0)
    pictures = load_predictions(args.cache, args.model, args.data, **options)
    sums = {camera: group_sums([one for one in pictures if one.camera == camera]) for camera in CAMERAS}
    errors = {camera: [error_of(each) for each in own.sum(0)] for camera, own in sums.items()}
    heads = ' | '.join(f'{temperature:g}' for temperature in TEMPERATURES)
    print(f'| camera left out, groups | {heads} | chosen on the others | its error, change (95 %) |')
    print('|---' * (len(TEMPERATURES) + 3) + '|')
    released = TEMPERATURES.index(RELEASED)
    for camera in CAMERAS:
        others = np.mean([errors[other] for other in CAMERAS if other != camera], axis=0)
        best = int(np.argmin(others))
        pairs = sums[camera][:, [best, released]]
        low, high = bootstrap(pairs, lambda total: error_of(total[0]) - error_of(total[1]))
        change = errors[camera][best] - errors[camera][released]
        row = ' | '.join(f'{error:.1f}' for error in errors[camera])
        print(
            f'| {camera}, {len(pairs)} | {row} | {TEMPERATURES[best]:g} '
            f'| {errors[camera][best]:.1f}, {change:+.1f} ({low:+.1f} to {high:+.1f}) |'
        )


if __name__ == '__main__':
    main()
