r"""Compare a model with Otsu's threshold at telling the sky from what stands in front of it.

    python tools/dataset_converters/fisheye_obstruction.py fisheye_obstruction data/fisheye_obstruction
    python tools/benchmarks/obstructions.py data/fisheye_obstruction hyperclip-unet-cloud
    python tools/benchmarks/obstructions.py data/fisheye_obstruction CONFIG CHECKPOINT --prompts "building, tree, sky"

For each list of prompts: mIoU of sky and not sky over the pixels of all pictures of a half of the set, with a 95 %
bootstrap interval over pictures, the IoU of both, and with --pictures the mIoU of each picture. A prompt counts as
sky if it means clear sky, cloud, the sun or the moon. Pixels outside the lens, or of unknown label, are left out.

Otsu's threshold of each picture is on its blue channel, inside the dome: what is bright is sky.

--sky adds pictures of the sky: the share of cloud in what is predicted as clear sky or cloud, such as that of a
cloudless one, with prompts that tell them apart. Models are compared on the half "choosing"; "last_look" is for the
one that is chosen.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.evaluation import bootstrap, mean_iou
from hyperbolic_seg.sky import CLEAR_SKY, CLOUD, NOT_SKY, load_taxonomy
from hyperbolic_seg.sky.camera import kind_of
from hyperbolic_seg.text import Concept, Vocabulary

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'dataset_converters'))
from nodes import SKY

PROMPTS = ('clear sky, cloud, obstruction, outside the lens', 'building, tree, sky')
NOT, YES, IGNORED = 0, 1, 255
LIGHTS = ('sun', 'moon')

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that a converter of sky against not sky wrote')
    parser.add_argument('model', help='config file, .safetensors file, or name of a released model')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the config')
    parser.add_argument('--half', default='choosing', help='split to evaluate on (default choosing)')
    parser.add_argument('--prompts', action='append', help='prompts between commas; may be given several times')
    parser.add_argument('--sky', type=Path, nargs='*', default=[], help='pictures of the sky alone')
    parser.add_argument('--pictures', action='store_true', help='also print the mIoU of each picture')
    return parser.parse_args()


def truth_table() -> NDArray[np.uint8]:
    """Return what every id of label files means: sky, not sky, or ignored, (256,)."""
    table = np.full(256, IGNORED, np.uint8)
    for place, node in enumerate(load_taxonomy().nodes):
        if {CLEAR_SKY, CLOUD, *LIGHTS} & set(node.lineage):
            table[place] = YES
        elif 'obstruction' in node.lineage:
            table[place] = NOT
    table[SKY] = YES
    return table


def read_pairs(root: Path, half: str) -> dict[str, Pair]:
    """Return images (H, W, 3), BGR, and labels of sky and not sky, (H, W), by the stems of a split."""
    table, pairs = truth_table(), {}
    for stem in (root / 'splits' / f'{half}.txt').read_text(encoding='utf-8').split():
        file = next((root / 'images').glob(f'{stem}.*'))
        labels = cv2.imread(str(root / 'masks' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        pairs[stem] = (read_image(str(file)), table[labels])
    return pairs


def counts_as_sky(concept: Concept) -> bool:
    """Return whether a prompt means clear sky, cloud, the sun or the moon.

    Raises:
        SystemExit: Its meaning would be a guess.
    """
    kind = kind_of(concept)
    if kind.note is not None and 'guess' in kind.note:
        raise SystemExit(kind.note)
    return kind.name != NOT_SKY or bool(set(LIGHTS) & set(concept.lineage))


def otsu(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return True where the blue channel is above Otsu's threshold of the pixels that count, (H, W)."""
    blue = image[..., 0]
    threshold, _ = cv2.threshold(blue[labels != IGNORED].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return blue > threshold


def by_prompts(model: HyperSegInferencer) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.bool_]]:
    """Return a function that is True where a model predicts sky, by the prompts that it has."""
    is_sky = np.array([counts_as_sky(concept) for concept in model.vocabulary])

    def predict(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = is_sky[model.predict_one(image)['labels']]
        return found

    return predict


def confusion(found: NDArray[np.bool_], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the confusion matrix of label and prediction, (2, 2), without ignored pixels."""
    keep = labels != IGNORED
    return np.bincount(2 * labels[keep].astype(int) + found[keep], minlength=4).reshape(2, 2).astype(float)


def cloud_share(labels: NDArray[np.int64], vocabulary: Vocabulary) -> float:
    """Return the share of cloud in what is predicted as clear sky or cloud; NaN without both prompts or any of them."""
    names = [kind_of(concept).name for concept in vocabulary]
    if not {CLEAR_SKY, CLOUD} <= set(names):
        return float('nan')
    kinds = np.array(names)[labels]
    clear, cloud = (np.count_nonzero(kinds == kind) for kind in (CLEAR_SKY, CLOUD))
    return cloud / (clear + cloud) if clear + cloud else float('nan')


def print_row(name: str, sums: Sequence[NDArray[np.float64]]) -> None:
    """Print mIoU with its interval, and the IoU of sky and not sky."""
    total = np.sum(sums, 0)
    low, high = bootstrap(np.stack(sums), mean_iou)
    of_sky, of_rest = (mean_iou(total, classes=np.arange(2) == label) for label in (YES, NOT))
    print(f'| {name} | {mean_iou(total):.3f} ({low:.3f} to {high:.3f}) | {of_sky:.3f} | {of_rest:.3f} |', flush=True)


def main() -> None:
    """Print the table, a row for Otsu's threshold and for each list of prompts."""
    args = parse_args()
    pairs = read_pairs(args.data, args.half)
    model = HyperSegInferencer(args.model, args.checkpoint)
    print(
        f'{args.half}, {len(pairs)} pictures\n| what decides | mIoU | IoU of sky | IoU of not sky |\n|---|---|---|---|'
    )
    found = {'Otsu on blue': [confusion(otsu(*pair), pair[1]) for pair in pairs.values()]}
    print_row('Otsu on blue', found['Otsu on blue'])
    shares = []
    for prompts in args.prompts or PROMPTS:
        try:
            model.set_prompts([prompt.strip() for prompt in prompts.split(',')])
        except ValueError as error:  # a model may not tell them apart
            print(f'| {prompts} | refused: {error} | | |')
            continue
        predict = by_prompts(model)
        found[prompts] = [confusion(predict(*pair), pair[1]) for pair in pairs.values()]
        print_row(prompts, found[prompts])
        for file in args.sky:
            share = cloud_share(model.predict_one(read_image(str(file)))['labels'], model.vocabulary)
            shares.append(f'cloud in {file.name}, by {prompts}: {share:.3f}')
    if args.pictures:
        print(f'\n| picture | {" | ".join(found)} |\n|{"---|" * (1 + len(found))}')
        for place, stem in enumerate(pairs):
            print(f'| {stem} | {" | ".join(f"{mean_iou(sums[place]):.3f}" for sums in found.values())} |')
    print('\n'.join(shares))


if __name__ == '__main__':
    main()
