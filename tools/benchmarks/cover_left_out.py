"""Coverage of calibrated intervals of the cloud cover: on new days of a camera, and on a camera left out.

    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/cover_left_out.py data/development hyperclip-unet-cloud --cache work_dirs/predictions

The first table is about what calibrated intervals are for: the groups of pictures (capture days, or runs of pictures)
of one camera are divided at random, again and again, and the intervals are calibrated on one part and judged on the
other. Rendered scenes, each a group, are the control: they are exchangeable. The second table is about what they are
not for: intervals that are calibrated on all cameras but one, judged on that one. Coverage is a mean over groups, and
"unlike" the share of judged pictures that are said to be outside.

By default the pictures are the held-out ones of tools/benchmarks/splits. --sides train val takes all of them, for a
model that was trained on rendered skies alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from camera_predictions import CAMERAS, RENDERED, Picture, load_predictions
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera import CoverCalibration, Ends, appearance, cover, day_weights, least_days, with_interval

COLORS = dict(weight=1.0, rounds=3, temperature=2.0)


class Judged(NamedTuple):
    """How intervals did on pictures, each group counting alike."""

    held: float
    width: float
    unlike: float


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that development.py wrote')
    parser.add_argument('model', help='name of a released model, or a .safetensors file')
    parser.add_argument('--cache', type=Path, required=True, help='folder of predictions, which are made once')
    parser.add_argument('--sides', nargs='+', choices=('train', 'val'), default=['val'], help='splits of the pictures')
    parser.add_argument('--per-group', type=int, default=10, help='most pictures of a group')
    parser.add_argument('--rendered', type=int, default=60, help='number of rendered scenes')
    parser.add_argument('--divisions', type=int, default=200, help='number of random divisions')
    return parser.parse_args()


def as_record(picture: Picture) -> dict[str, Any]:
    """Return what a record has of a picture, with the interval of the model for 90 percent."""
    cloud, weights = picture.with_colors(**COLORS), (picture.mask != 255).astype(float)
    found = cover(cloud, weights)
    return dict(
        image=picture.stem,
        cloud=found._asdict(),
        appearance=appearance(picture.image, weights),
        mean_confidence=float(np.maximum(cloud, 1 - cloud).mean()),
        fractions={'clear sky': 0.0, 'cloud': 0.0},
        model=dict(name=None, sha256=None),
    )


def judge(
    records: Sequence[dict], truths: NDArray, groups: NDArray, chosen: NDArray[np.bool_], confidence: float | None
) -> Judged | None:
    """Calibrate on the pictures that are not chosen, and judge the intervals of the chosen ones.

    Args:
        records: Records of all pictures.
        truths: Their true covers.
        groups: Their groups.
        chosen: True for the pictures to judge.
        confidence: Wanted confidence; ``None`` for the intervals of the model.

    Returns:
        ``None`` if there are too few groups for a calibration.
    """
    calibration = None
    if confidence is not None:
        if len(set(groups[~chosen])) < max(least_days(confidence), 2):
            return None
        known = [record for record, out in zip(records, chosen, strict=True) if not out]
        calibration = CoverCalibration.of(known, truths[~chosen], groups[~chosen].tolist(), confidence=confidence)
    found = [with_interval(dict(record), calibration) for record, out in zip(records, chosen, strict=True) if out]
    ends = np.array([[each['cloud']['low'], each['cloud']['high']] for each in found])
    if calibration is not None:  # those outside are judged by what was calibrated, too
        own = [each['interval']['model'] + [each['cloud']['fraction']] for each in found]
        ends = np.array([_stretched(*each, calibration) for each in own])
    weights = day_weights(groups[chosen].tolist())
    held = (ends[:, 0] - 1e-9 <= truths[chosen]) & (truths[chosen] <= ends[:, 1] + 1e-9)
    unlike = [bool(each['interval']['outside']) for each in found]
    return Judged(*(float((weights * each).sum()) for each in (held, ends[:, 1] - ends[:, 0], unlike)))


def _stretched(low: float, high: float, fraction: float, calibration: CoverCalibration) -> tuple[float, float]:
    found = Ends(fraction, low, high).stretched(calibration.factor)
    return found.low, found.high


def print_new_days(pictures: Sequence[Picture], records: Sequence[dict], confidence: float, divisions: int) -> None:
    """Print a row for each camera: intervals that are calibrated on some of its groups and judged on the others."""
    cameras = np.array([picture.camera for picture in pictures])
    for camera in dict.fromkeys(cameras.tolist()):
        own = np.flatnonzero(cameras == camera)
        groups, truths = (np.array([getattr(pictures[i], name) for i in own]) for name in ('group', 'truth'))
        names, of_camera = sorted(set(groups)), [records[i] for i in own]
        judged_groups = min(len(names) - least_days(confidence), len(names) // 2)
        if judged_groups < 1:
            print(f'| {camera}, {len(own)} of {len(names)} groups | {confidence:.0%} | too few groups | | | |')
            continue
        found = []
        for seed in range(divisions):
            drawn = np.random.default_rng(seed).permutation(names)[:judged_groups]
            found.append(judge(of_camera, truths, groups, np.isin(groups, drawn), confidence))
        own_way = judge(of_camera, truths, groups, np.ones(len(own), bool), None)
        each = np.array([one for one in found if one is not None])
        mean, error = each.mean(0), each.std(0)
        print(
            f'| {camera}, {len(own)} of {len(names)} groups, {len(names) - judged_groups} to calibrate '
            f'| {confidence:.0%} | {mean[0]:.3f} ({error[0]:.3f}) | {mean[1]:.3f} | {mean[2]:.2f} '
            f'| {own_way.held:.3f}, {own_way.width:.3f} |',
            flush=True,
        )


def print_left_out(pictures: Sequence[Picture], records: Sequence[dict], confidence: float) -> None:
    """Print a row for each camera: intervals that are calibrated on the other cameras."""
    real = [i for i, picture in enumerate(pictures) if picture.camera != RENDERED]
    cameras, groups, truths = (np.array([getattr(pictures[i], n) for i in real]) for n in ('camera', 'group', 'truth'))
    of_real = [records[i] for i in real]
    for camera in CAMERAS:
        chosen = cameras == camera
        found, own = (judge(of_real, truths, groups, chosen, each) for each in (confidence, None))
        known = len(set(groups[~chosen]))
        row = 'too few groups | | ' if found is None else f'{found.held:.3f} | {found.width:.3f} | {found.unlike:.2f}'
        print(
            f'| {camera}, {chosen.sum()} of {len(set(groups[chosen]))} groups, {known} to calibrate | {confidence:.0%} '
            f'| {row} | {own.held:.3f}, {own.width:.3f} |',
            flush=True,
        )


def main() -> None:
    """Print both tables."""
    args = parse_args()
    options: dict[str, Any] = dict(sides=tuple(args.sides), per_group=args.per_group, rendered=args.rendered)
    pictures = load_predictions(args.cache, args.model, args.data, **options)
    records = [as_record(picture) for picture in pictures]
    heads = '| held (spread) | width | unlike | model, 90 %: held, width |\n|---|---|---|---|---|---|'
    print(f'New days of the camera, {args.divisions} divisions\n\n| pictures | wanted {heads}')
    for confidence in (0.8, 0.9):
        print_new_days(pictures, records, confidence, args.divisions)
    print(f'\nThe camera left out\n\n| pictures | wanted {heads}')
    for confidence in (0.8, 0.9):
        print_left_out(pictures, records, confidence)


if __name__ == '__main__':
    main()
