"""Measure which words are taken for unknown beside the taxonomy of the sky.

    python tools/benchmarks/unknown_words.py
    python tools/benchmarks/unknown_words.py --least 0.3 --behind 0.1 0.15 0.2

The phrases of phrases.yaml, everyday_words.yaml and development_words.yaml should be known, the words of
unrelated_words.yaml unknown. The limits are chosen on the halves for development; the table has the shares that are
taken for unknown in those that are held out too.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import yaml

from hyperbolic_seg.text import (
    LEAST_SIMILARITY,
    MOST_BEHIND,
    Concept,
    Familiarity,
    OpenCLIPTextEncoder,
    Taxonomy,
    Vocabulary,
)

HERE = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--least', type=float, nargs='+', default=[0.25, 0.3, LEAST_SIMILARITY, 0.36, 0.4])
    parser.add_argument('--behind', type=float, nargs='+', default=[MOST_BEHIND])
    return parser.parse_args()


def read_words() -> dict[str, list[str]]:
    """Return the words by set, each divided into development and held-out."""

    def read(name: str) -> dict:
        found: dict = yaml.safe_load((HERE / f'{name}.yaml').read_text(encoding='utf-8'))
        return found

    sets: dict[str, list[str]] = {}
    groups = {'phrases': [[entry['phrase'] for entry in group] for group in read('phrases').values()]}
    groups |= {name: [[str(word) for word in words]] for name, words in read('unrelated_words').items()}
    for name, lists in groups.items():
        sets[f'{name}, development'] = [word for words in lists for word in words[::2]]
        sets[f'{name}, held-out'] = [word for words in lists for word in words[1::2]]
    for name in ('development_words', 'everyday_words'):
        sets[name] = [phrase for phrases in read(name).values() for phrase in phrases.values()]
    return sets


def main() -> None:
    """Print the shares of words that are taken for unknown."""
    args = parse_args()
    encoder, known = OpenCLIPTextEncoder(), Taxonomy.load('sky').nodes
    limits = list(itertools.product(args.least, args.behind))
    print(f'| words | number | {" | ".join(f"{least:g}, {behind:g}" for least, behind in limits)} |')
    print('|---' * (2 + len(limits)) + '|')
    for name, words in read_words().items():
        vocabulary, shares = Vocabulary(map(Concept, words)), []
        for least, behind in limits:
            compared = Familiarity(known, encoder, least=least, behind=behind).compare(vocabulary)
            shares.append(np.mean([unknown for _, unknown in compared]))
        print(f'| {name} | {len(words)} | {" | ".join(f"{share:.2f}" for share in shares)} |')


if __name__ == '__main__':
    main()
