r"""Sum up what models make of genera that they were not trained on: is the level of such a cloud found?

    python tools/benchmarks/ablations.py data/development data/sky --work-dir work_dirs/ablations --epochs 3 --amp \
        --variants unseen-altocumulus-cirrostratus unseen-altostratus-cirrus unseen-nimbostratus-cumulus \
        unseen-cirrocumulus-stratus unseen-stratocumulus-cumulonimbus
    python tools/benchmarks/unseen.py work_dirs/ablations

Every picture is judged by a model that has seen no picture of its genus, asked for all ten genera by name. Chance is
what guesses without regard to the picture find if they name the levels as often as the models do; the share of
shuffled answers that do as well says how likely a guess is to come that far.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from clouds import read_pairs, ten_genera

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import Taxonomy

SHUFFLES = 10_000


def levels_found(model: HyperSegInferencer, folder: Path) -> dict[str, dict[str, int]]:
    """Count the levels that the held-out pictures of every genus get: each that of the genus with most pixels."""
    tree = Taxonomy.load('sky')
    genera = ten_genera(tree)
    model.set_prompts([node.name for node in genera])
    found: dict[str, Counter[str]] = {node.name: Counter() for node in genera}
    for picture, mask in read_pairs(folder, 'val'):
        genus = tree.nodes[int(mask[0, 0])].name
        if genus in found:
            labels = model.predict_one(picture)['labels'].ravel()
            found[genus][genera[int(np.bincount(labels, minlength=len(genera)).argmax())].ancestors[0]] += 1
    return {genus: dict(counts) for genus, counts in found.items()}


def beside_chance(truth: list[str], answers: list[str], seed: int = 0) -> tuple[float, float, float]:
    """Return the share of right answers, that of guesses which name the levels as often, and of shuffles as good."""
    truth_, answers_ = np.array(truth), np.array(answers)
    right = float((truth_ == answers_).mean())
    chance = float(sum((truth_ == level).mean() * (answers_ == level).mean() for level in set(truth)))
    generator = np.random.default_rng(seed)
    as_good = [(generator.permutation(answers_) == truth_).mean() >= right for _ in range(SHUFFLES)]
    return right, chance, float(np.mean(as_good))


def print_rows(rows: list[dict]) -> None:
    """Print a row for every genus left out, the sum of them, and that of the genera trained on beside."""
    tree = Taxonomy.load('sky')
    answers: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    print('| genus left out | its level | high | middle | low | level found |\n|---|---|---|---|---|---|')
    for variant, genus, found in ((row['variant'], *item) for row in rows for item in row['levels'].items()):
        level, unseen = tree.nodes[tree.nodes.index_of(genus)].ancestors[0], genus in variant.split('-')
        answers[unseen] += [(level, answer) for answer, count in found.items() for _ in range(count)]
        counts = [found.get(f'{height} cloud', 0) for height in ('high', 'middle', 'low')]
        if unseen:
            print(f'| {genus} | ' + ' | '.join([level, *map(str, counts)]), end='')
            print(f' | {found.get(level, 0) / sum(counts):.3f} |')
    for name, pairs in (('left out', answers[True]), ('trained on', answers[False])):
        right, chance, as_good = beside_chance(*map(list, zip(*pairs, strict=True)))
        print(f'{name}: level found {right:.3f}, chance {chance:.3f}, shuffles as good {as_good:.4f}, of {len(pairs)}')


def main() -> None:
    """Print what was found of genera left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', type=Path, help='where ablations.py wrote results.jsonl')
    rows = map(json.loads, (parser.parse_args().work_dir / 'results.jsonl').read_text().splitlines())
    print_rows([row for row in rows if 'levels' in row])


if __name__ == '__main__':
    main()
