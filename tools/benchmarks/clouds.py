"""Evaluate a model by prompts on real images: cloud masks beside classical rules, and genera.

    python tools/benchmarks/development.py SETS data/development
    python tools/benchmarks/clouds.py data/development hyperclip-unet-cloud
    python tools/benchmarks/clouds.py data/development CONFIG CHECKPOINT

Cloud masks: the prompts 'clear sky' and 'cloud' on the held-out images of SWIMSEG, SWINSEG and WSISEG; mIoU over all
pixels. The rules run on the same images. Tuned rules take their threshold from the training images of the same set.

Genera: the held-out images of CCSN, each of one genus. The prompts are the names, the definitions, and the wordings of
everyday_words.yaml. The prediction for an image is the genus of most pixels; the table gives the shares of images where
this genus, and its level, are right.

With --other-cameras every image, also those for tuning, first gets random exposure and colors, as from another camera.
Intervals are 95 % bootstrap intervals over images.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
from classical_rules import RULES, TUNED, tune

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.datasets import RandomCamera
from hyperbolic_seg.evaluation import bootstrap, mean_iou
from hyperbolic_seg.text import Concept, Taxonomy

CAMERAS = ('swimseg', 'swinseg', 'wsiseg')
PROMPTS = ['clear sky', 'cloud']
OTHER_CAMERA = dict(exposure=0.6, white_balance=0.35, saturation=(0.4, 1.6), gamma=0.3, blur=1.5, prob=1.0)
EVERYDAY = Path(__file__).resolve().parent / 'everyday_words.yaml'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that development.py wrote')
    parser.add_argument('model', help='config file, .safetensors file, or name of a released model')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the config')
    parser.add_argument('--words', type=Path, default=EVERYDAY, help='YAML file of wordings: a phrase for every genus')
    parser.add_argument('--without-colors', action='store_true', help='predict without test_cfg.color_likelihood')
    parser.add_argument('--other-cameras', action='store_true', help='change exposure and colors of images at random')
    parser.add_argument('--sets', nargs='+', choices=(*CAMERAS, 'ccsn'), default=[*CAMERAS, 'ccsn'])
    return parser.parse_args()


def read_pairs(root: Path, side: str) -> list[tuple[NDArray, NDArray]]:
    """Read images (H, W, 3), BGR, and masks (H, W) of a split."""
    stems = (root / 'splits' / f'{side}.txt').read_text().split()
    read = [
        (cv2.imread(str(root / 'images' / f'{s}.jpg')), cv2.imread(str(root / 'masks' / f'{s}.png'), 0)) for s in stems
    ]
    return [(image, mask) for image, mask in read]


def develop_anew(pairs: list[tuple[NDArray, NDArray]], seed: int = 0) -> list[tuple[NDArray, NDArray]]:
    """Change exposure and colors of every image at random, as from another camera; masks stay."""
    np.random.seed(seed)  # RandomCamera draws from the global generator of numpy
    camera = RandomCamera(**OTHER_CAMERA)
    return [(camera.transform(dict(img=image))['img'], mask) for image, mask in pairs]


def confusion(found: NDArray, mask: NDArray) -> NDArray[np.float64]:
    """Return the confusion matrix of label and prediction, (2, 2), without ignored pixels."""
    keep = mask != 255
    return np.bincount(2 * mask[keep].astype(int) + found[keep].astype(int), minlength=4).reshape(2, 2).astype(float)


def evaluate_rules(pairs: list, training: list) -> dict[str, list[NDArray]]:
    """Return the confusion matrix of every image by the name of the rule."""
    found = {name: [confusion(rule(p, m != 255), m) for p, m in pairs] for name, rule in RULES.items()}
    for name, (feature, rising) in TUNED.items():
        threshold = tune(feature, rising, training)
        masks = [(feature(p) > threshold) if rising else (feature(p) < threshold) for p, _ in pairs]
        found[f'{name} {threshold:.3g}'] = [confusion(mask, m) for mask, (_, m) in zip(masks, pairs, strict=True)]
    return found


def print_camera(model: HyperSegInferencer, root: Path, *, other_cameras: bool = False) -> None:
    """Print the rows of the table for one camera."""
    pairs, training = read_pairs(root, 'val'), read_pairs(root, 'train')
    if other_cameras:
        pairs, training = develop_anew(pairs), develop_anew(training)
    found = evaluate_rules(pairs, training)
    model.set_prompts(PROMPTS)
    found['this model'] = [confusion(model.predict_one(image)['labels'], mask) for image, mask in pairs]
    best = max(mean_iou(sum(sums)) for name, sums in found.items() if name != 'this model')
    for name, sums in found.items():
        value, (low, high) = mean_iou(sum(sums)), bootstrap(np.stack(sums), mean_iou)
        shown = f'{value:.3f} ({low:.3f} to {high:.3f}) | {value - best:+.3f}'
        print(f'| {root.name}, {len(pairs)} | {name} | {shown} |', flush=True)


def ten_genera(tree: Taxonomy) -> list[Concept]:
    """Return the ten genera of the taxonomy; the contrail is no genus."""
    return [node for node in tree.nodes if node.latin and node.name != 'contrail']


def genus_hits(
    model: HyperSegInferencer, root: Path, *, words: Path = EVERYDAY
) -> Iterator[tuple[str, dict[str, list[bool]]]]:
    """Predict the genus of most pixels on images of one genus each, for every wording of the prompts.

    Args:
        model: Model that predicts.
        root: Folder of the set.
        words: YAML file of additional wordings.

    Yields:
        The wording, and for every image whether its ``'genus'`` and whether its ``'level'`` is right.
    """
    tree = Taxonomy.load('sky')
    genera = ten_genera(tree)
    images = [(image, tree.nodes[int(mask[0, 0])]) for image, mask in read_pairs(root, 'val')]
    images = [(image, node) for image, node in images if node in genera]
    wordings = {'names': [g.name for g in genera], 'definitions': [g.descriptions[0] for g in genera]}
    everyday = yaml.safe_load(words.read_text(encoding='utf-8'))
    wordings |= {wording: [phrases[g.name] for g in genera] for wording, phrases in everyday.items()}
    for wording, prompts in wordings.items():
        model.set_prompts(prompts)
        hits: dict[str, list[bool]] = {'genus': [], 'level': []}
        for image, node in images:
            labels = model.predict_one(image)['labels']
            chosen = genera[int(np.bincount(labels.ravel(), minlength=len(genera)).argmax())]
            hits['genus'].append(chosen == node)
            hits['level'].append(chosen.ancestors[0] == node.ancestors[0])
        yield wording, hits


def print_genera(model: HyperSegInferencer, root: Path, words: Path) -> None:
    """Print the accuracy of genus and level on images of one genus each."""
    by_name: dict[str, list[bool]] = {}
    for wording, hits in genus_hits(model, root, words=words):
        by_name = by_name or hits
        for name, right in hits.items():
            differences = np.subtract(right, by_name[name], dtype=float)
            shown = [f'{np.mean(x):{sign}.3f} ({_interval(x, sign)})' for x, sign in ((right, ''), (differences, '+'))]
            print(f'| {root.name}, {len(right)} | {name}, {wording} | {" | ".join(shown)} |', flush=True)


def _interval(values: Iterable[float], sign: str) -> str:
    """Format the 95 % bootstrap interval of a mean over images."""
    sums = np.array([(value, 1) for value in values], float)
    return ' to '.join(f'{end:{sign}.3f}' for end in bootstrap(sums, lambda total: total[0] / total[1]))


def main() -> None:
    """Evaluate on every set."""
    args = parse_args()
    model = HyperSegInferencer(args.model, args.checkpoint, device='cpu')
    if args.without_colors:
        model.model.test_cfg.pop('color_likelihood', None)
    print('| set, images | rule, model or wording | mIoU or share (95 %) | minus the best rule or the names |')
    print('|---|---|---|---|')
    for name in args.sets:
        if name == 'ccsn':
            print_genera(model, args.data / name, args.words)
        else:
            print_camera(model, args.data / name, other_cameras=args.other_cameras)


if __name__ == '__main__':
    main()
