r"""Adapt a model to cameras that it never saw: mean IoU by the number of labeled pictures.

    python tools/benchmarks/adaptation.py data/development hyperclip-unet-sky --cache work_dirs/adaptation

The days of a camera (runs of consecutive pictures where the set has no days) are divided into those adapted on, those
for choosing the ridge of the fit, and those reported, and then once more with other parts. The ridge is the one with
the best mean over cameras and numbers of labels on the days for choosing; the table is of the days reported. Labels are
drawn from the days adapted on, one day after the other, --draws times in each division. A cell is the mean over draws
and divisions, with the gain and its standard deviation over them.

"As the command decides" is what hyperbolic-seg adapt writes: it compares both statistics on labels held out of those
given; where neither betters the model beyond chance, and without labels, it goes by the agreement with the colors. The
best rule is the best of the rules without settings, and of those with a threshold that is tuned on the same labels,
judged afterwards.

With --clicks N each labeled picture has N labeled pixels in place of a mask, as a hand would click them: drawn at
random, half of them in clear sky and half in cloud where it has both.

Predictions are kept in the cache, and made once: about 230 pictures, three times.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
from camera_predictions import CAMERAS, real_pictures
from classical_rules import RULES, TUNED, binary_iou, tune

from hyperbolic_seg.app.adapting import WEIGHT, camera_statistics, check, spread
from hyperbolic_seg.app.labeled_pixels import (
    Judged,
    Sample,
    agreement,
    confusion,
    decide,
    draw_pixels,
    fit,
    judge,
    rises,
    sample_of,
    see,
)
from hyperbolic_seg.evaluation import mean_iou
from hyperbolic_seg.models.refinement import OddsChange

COUNTS = (1, 2, 5, 10, 20)
RIDGES = (0.03, 0.1, 0.3, 1.0)
DIVISIONS = 2
PER_GROUP = 6


class Picture(NamedTuple):
    """Labeled pixels of a picture by the model as it was and with the statistics of the camera."""

    group: str
    plain: Sample
    moved: tuple[Sample, ...]
    """By division."""
    agreement: NDArray[np.float64]
    """As the model was, and with the statistics of each division."""
    colors: NDArray[np.uint8]
    """BGR of the pixels, (P, 1, 3)."""
    rules: dict[str, NDArray[np.bool_]]
    """What each rule without settings says of the pixels, (P,)."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that development.py wrote')
    parser.add_argument('model', help='name of a released model that was trained on none of these cameras')
    parser.add_argument('--cache', type=Path, required=True, help='folder of the predictions')
    parser.add_argument('--cameras', nargs='+', choices=CAMERAS, default=list(CAMERAS))
    parser.add_argument('--per-group', type=int, default=PER_GROUP, help='most pictures of a day')
    parser.add_argument('--draws', type=int, default=4, help='draws of labels in each division')
    parser.add_argument('--ridge', type=float, help='ridge of the fit; by default the best on the days for choosing')
    parser.add_argument('--clicks', type=int, default=0, help='clicks in each labeled picture; by default its mask')
    return parser.parse_args(argv)


def parts_of(groups: Sequence[str], division: int) -> tuple[list[str], list[str], list[str]]:
    """Return the groups to adapt on, those for choosing and those to report, of one of two divisions."""
    halves = groups[division::2], groups[1 - division :: 2]
    return list(halves[0]), list(halves[1][::2]), list(halves[1][1::2])


def load_pictures(args: argparse.Namespace, camera: str) -> list[Picture]:
    """Return the pictures of a camera from the cache, after making what is missing of it."""
    file = args.cache / f'{Path(args.model).stem}-{camera}-{args.per_group}.pt'
    if not file.is_file():
        args.cache.mkdir(parents=True, exist_ok=True)
        torch.save([picture._asdict() for picture in predict(args, camera)], file)
    kept = torch.load(file, weights_only=False)  # of this benchmark itself
    return [Picture(**picture) for picture in kept]


def predict(args: argparse.Namespace, camera: str) -> list[Picture]:
    """Predict the pictures of a camera with the statistics of the model and of the camera."""
    from hyperbolic_seg.apis import HyperSegInferencer  # seconds, which kept predictions do not need

    inferencer = HyperSegInferencer(args.model, device='cpu')
    check(inferencer)
    wanted = [(g, s) for c, g, s in real_pictures(args.data, ('train', 'val'), args.per_group) if c == camera]
    files = [str(args.data / camera / 'images' / f'{stem}.jpg') for _, stem in wanted]
    masks = [cv2.imread(str(args.data / camera / 'masks' / f'{s}.png'), cv2.IMREAD_UNCHANGED) for _, s in wanted]
    groups = sorted({group for group, _ in wanted})

    def seen() -> Iterator[tuple[Sample, float]]:
        for number, (file, mask) in enumerate(zip(files, masks, strict=True)):
            found = see(inferencer, file)
            yield sample_of(found, mask, number), float(agreement([found])[0])

    columns = [list(seen())]
    for division in range(DIVISIONS):
        own = parts_of(groups, division)[0]
        with camera_statistics(inferencer, spread([f for f, (g, _) in zip(files, wanted, strict=True) if g in own])):
            columns.append(list(seen()))
    return [
        Picture(
            group,
            row[0][0],
            tuple(sample for sample, _ in row[1:]),
            np.array([share for _, share in row]),
            *by_rules(file, mask, number),
        )
        for number, (file, mask, (group, _), row) in enumerate(
            zip(files, masks, wanted, zip(*columns, strict=True), strict=True)
        )
    ]


def by_rules(file: str, mask: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]:
    """Return the colors of the pixels that the sample has too, and what the rules say of them."""
    image, drawn = cv2.imread(file), draw_pixels(mask, seed)
    return image[drawn][:, None], {name: rule(image, mask != 255)[drawn] for name, rule in RULES.items()}


def draw_labels(pictures: Sequence[Picture], own: Sequence[str], seed: int) -> list[int]:
    """Return the numbers of pictures of some groups in the order in which they are labeled, one group after another."""
    generator, order = np.random.default_rng(seed), []
    of_group = {
        group: list(generator.permutation([n for n, each in enumerate(pictures) if each.group == group]))
        for group in own
    }
    while any(of_group.values()):
        order += [int(of_group[group].pop()) for group in generator.permutation(sorted(own)) if of_group[group]]
    return order


def clicked(picture: Picture, clicks: int, seed: int) -> Picture:
    """Return a picture with some of its labeled pixels, half of each kind where it has both; with all for 0 clicks."""
    if not clicks:
        return picture
    labels = picture.plain.labels.numpy()
    order = np.random.default_rng(seed).permutation(len(labels))
    kinds = [order[labels[order] == kind] for kind in (0, 1)]
    few = min(len(kinds[0]), len(kinds[1]), clicks // 2)
    counts = (clicks - few, few) if len(kinds[0]) > len(kinds[1]) else (few, clicks - few)
    kept = np.concatenate([pixels[:count] for pixels, count in zip(kinds, counts, strict=True)])

    def of(sample: Sample) -> Sample:
        return Sample(*(values[..., kept] for values in sample))

    moved = tuple(map(of, picture.moved))
    return picture._replace(plain=of(picture.plain), moved=moved, colors=picture.colors[kept])


def score(pictures: Sequence[Picture], groups: Sequence[str], division: int | None, change: OddsChange | None) -> float:
    """Return the mean IoU on groups, with the statistics of a division, or of the model if it is ``None``."""
    chosen = [each for each in pictures if each.group in groups]
    return float(mean_iou(confusion([_sample(each, division) for each in chosen], change)))


def _sample(picture: Picture, division: int | None) -> Sample:
    return picture.plain if division is None else picture.moved[division]


def curves(
    pictures: Sequence[Picture], side: int, draws: int, ridge: float, clicks: int = 0
) -> dict[tuple[str, int], list[float]]:
    """Return gains of mean IoU by variant and number of labels, one for each draw and division.

    Args:
        pictures: Those of a camera.
        side: 1 for the groups for choosing, 2 for those reported.
        draws: Draws in each division.
        ridge: Ridge of the fit.
        clicks: Labeled pixels in each labeled picture; all for 0.
    """
    groups = sorted({each.group for each in pictures})
    found: dict[tuple[str, int], list[float]] = {}
    for division in range(DIVISIONS):
        parts = parts_of(groups, division)
        before = score(pictures, parts[side], None, None)
        moved = score(pictures, parts[side], division, None) - before
        own = np.array([each.agreement for each in pictures if each.group in parts[0]])
        agreed = moved if rises(own[:, 1 + division] - own[:, 0]) else 0.0
        for name, gain in (('the model', before), ('statistics', moved), ('decided', agreed)):
            found.setdefault((name, 0), []).append(gain)
        for draw in range(draws):
            order = draw_labels(pictures, parts[0], draw)
            for count in COUNTS:
                labeled = [clicked(pictures[number], clicks, draw) for number in sorted(order[:count])]
                gains, judged = {}, {}
                plain = [each.plain for each in labeled]
                for name, which in (('labels', None), ('both', division)):
                    samples = [_sample(each, which) for each in labeled]
                    gains[name] = score(pictures, parts[side], which, fit(samples, ridge)) - before
                    judged[name] = judge(samples, plain, ridge)
                by_labels = [
                    mean_iou(confusion([_sample(each, n) for each in labeled], None)) for n in (None, division)
                ]
                gains['decided'] = _decided(gains, judged, agreed if by_labels[1] >= by_labels[0] else 0.0)
                for name, gain in gains.items():
                    found.setdefault((name, count), []).append(gain)
    return found


def _decided(gains: dict[str, float], judged: dict[str, Judged | None], otherwise: float) -> float:
    """Return the gain of what the command writes, and that of the statistics alone where no fit speaks for itself."""
    chosen = decide([each for each in judged.values() if each is not None])
    return otherwise if chosen is None else list(gains.values())[chosen]


def rules(pictures: Sequence[Picture], draws: int, clicks: int = 0) -> dict[int, float]:
    """Return the mean IoU of the best rule on the groups reported, by the number of labels it is tuned on."""
    groups = sorted({each.group for each in pictures})
    scores: dict[tuple[str, int], list[float]] = {}
    for division in range(DIVISIONS):
        own, _, held = parts_of(groups, division)
        reported = [each for each in pictures if each.group in held]
        cloud = np.concatenate([each.plain.labels.numpy() > 0 for each in reported])
        colors = np.concatenate([each.colors for each in reported])
        for name in RULES:
            said = np.concatenate([each.rules[name] for each in reported])
            for count in (0, *COUNTS):
                scores.setdefault((name, count), []).append(binary_iou(said, cloud))
        for draw in range(draws):
            order = draw_labels(pictures, own, draw)
            for count in COUNTS:
                labeled = [clicked(pictures[number], clicks, draw) for number in order[:count]]
                pairs = [(each.colors, each.plain.labels.numpy()[:, None]) for each in labeled]
                for name, (feature, rising) in TUNED.items():
                    threshold, value = tune(feature, rising, pairs), feature(colors)[:, 0]
                    said = value > threshold if rising else value < threshold
                    scores.setdefault((name, count), []).append(binary_iou(said, cloud))
    return {count: max(float(np.mean(v)) for (_, n), v in scores.items() if n == count) for count in (0, *COUNTS)}


def choose_ridge(cameras: Sequence[Sequence[Picture]], draws: int, clicks: int = 0) -> float:
    """Return the ridge with the best mean gain of labels on the groups for choosing, and print all."""
    means = {}
    for ridge in RIDGES:
        found = [curves(pictures, 1, draws, ridge, clicks) for pictures in cameras]
        means[ridge] = float(
            np.mean(
                [np.mean(gains[name, count]) for gains in found for name, count in gains if name == 'decided' and count]
            )
        )
        print(f'for choosing: ridge {ridge:g}, mean gain of what the command decides {means[ridge]:+.4f}', flush=True)
    return max(means, key=lambda ridge: means[ridge])


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    args = parse_args(argv)
    cameras = {camera: load_pictures(args, camera) for camera in args.cameras}
    ridge = args.ridge or choose_ridge(list(cameras.values()), max(args.draws // 2, 1), args.clicks)
    names = ['camera, pictures', 'labeled', 'the model', f'statistics (weight {WEIGHT:g})', f'labels, ridge {ridge:g}']
    print(f'\n| {" | ".join([*names, "both", "as the command decides", "best rule"])} |')
    print('|---|---|---|---|---|---|---|---|')
    for camera, pictures in cameras.items():
        found = curves(pictures, 2, args.draws, ridge, args.clicks)
        best = rules(pictures, args.draws, args.clicks)
        before = float(np.mean(found['the model', 0]))
        for count in (0, *COUNTS):
            cells = [_cell(before, found.get((name, count))) for name in ('statistics', 'labels', 'both', 'decided')]
            print(f'| {camera}, {len(pictures)} | {count} | {before:.3f} | {" | ".join(cells)} | {best[count]:.3f} |')


def _cell(before: float, gains: Sequence[float] | None) -> str:
    return '' if gains is None else f'{before + np.mean(gains):.3f} ({np.mean(gains):+.3f} ± {np.std(gains):.3f})'


if __name__ == '__main__':
    main()
