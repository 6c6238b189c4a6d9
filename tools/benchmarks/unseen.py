r"""Summarize predictions on genera that a model was not trained on: is the level of such a cloud right?

    python tools/benchmarks/ablations.py data/development data/sky --work-dir work_dirs/ablations --epochs 3 \
        --variants unseen-altocumulus-cirrostratus unseen-altostratus-cumulus unseen-nimbostratus-stratocumulus \
        unseen-cirrocumulus-stratus unseen-cirrus-cumulonimbus
    python tools/benchmarks/unseen.py work_dirs/ablations

The prompts are high, middle and low cloud, and the prediction for an image is the level of most pixels. Genera left out
are evaluated on all their images, because none was in training, the other genera on held-out images.

Chance is the accuracy after the predictions of a model are shuffled among its images of genera left out. Such a guess
knows which two genera are left out and how often the model predicts each level, but not the image.
"""

import argparse
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from clouds import read_pairs, ten_genera

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import Taxonomy

LEVELS = ('high cloud', 'middle cloud', 'low cloud')
SHUFFLES = 10_000


def count_levels(model: HyperSegInferencer, folder: Path, left_out: Collection[str]) -> dict[str, list[int]]:
    """Count the images of every genus by predicted level.

    Args:
        model: Model that predicts.
        folder: Folder of the set, with images of one genus each.
        left_out: Genera that the model was not trained on.

    Returns:
        For every genus, the numbers of its images with the prediction high, middle and low.
    """
    tree = Taxonomy.load('sky')
    found = {node.name: [0] * len(LEVELS) for node in ten_genera(tree)}
    model.set_prompts(LEVELS)
    for side in ('val', 'train'):
        for image, mask in read_pairs(folder, side):
            genus = tree.nodes[int(mask[0, 0])].name
            if genus in found and (side == 'val' or genus in left_out):
                labels = model.predict_one(image)['labels'].ravel()
                found[genus][int(np.bincount(labels, minlength=len(LEVELS)).argmax())] += 1
    return found


def compare_with_chance(models: Sequence[Sequence[tuple[int, int]]], seed: int = 0) -> tuple[float, float, float]:
    """Return the accuracy, the expected accuracy of shuffled predictions, and the share of shuffles that are as good.

    Args:
        models: For every model, pairs of the true and the predicted level of an image.
        seed: Seed of the shuffles, which stay within models.
    """
    pairs = [np.array(model).T for model in models]
    total, generator = sum(truth.size for truth, _ in pairs), np.random.default_rng(seed)
    right = sum((truth == answer).sum() for truth, answer in pairs) / total
    chance = sum(truth.size * np.mean(truth[:, None] == answer) for truth, answer in pairs) / total
    shuffles = sum((generator.permuted(np.tile(a, (SHUFFLES, 1)), axis=1) == t).sum(1) for t, a in pairs) / total
    return float(right), float(chance), float(np.mean(shuffles >= right))


def print_rows(rows: list[dict]) -> None:
    """Print a row for every genus left out, and the totals for genera left out and genera trained on."""
    tree = Taxonomy.load('sky')
    level_of = {node.name: LEVELS.index(node.ancestors[0]) for node in ten_genera(tree)}
    answers: dict[str, list[list[tuple[int, int]]]] = {'left out': [], 'trained on': []}
    print('| genus left out | its level | high | middle | low | level found |\n|---|---|---|---|---|---|')
    for row in rows:
        for part in answers.values():
            part.append([])
        for genus, counts in row['levels'].items():
            level, unseen = level_of[genus], genus in row['variant'].split('-')
            pairs = [(level, answer) for answer, count in enumerate(counts) for _ in range(count)]
            answers['left out' if unseen else 'trained on'][-1] += pairs
            if unseen:
                shown = ' | '.join([genus, LEVELS[level], *map(str, counts)])
                print(f'| {shown} | {counts[level] / sum(counts):.3f} |')
    for name, models in answers.items():
        right, chance, as_good = compare_with_chance(models)
        count = sum(map(len, models))
        print(f'{name}: level found {right:.3f}, chance {chance:.3f}, shuffles as good {as_good:.4f}, {count} images')


def main() -> None:
    """Print the results for genera left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', type=Path, help='work folder of ablations.py, with results.jsonl')
    rows = map(json.loads, (parser.parse_args().work_dir / 'results.jsonl').read_text().splitlines())
    print_rows([row for row in rows if 'levels' in row])


if __name__ == '__main__':
    main()
