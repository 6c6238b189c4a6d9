"""Count how many images of a folder are refused or doubtful as pictures of the sky.

    python tools/benchmarks/quality.py SETS

All images below the folder are examined as `hyperbolic-seg predict` does without a camera. For every folder: the number
of images, and of those that are doubtful and refused. The first of their names follow, with the reasons.
"""

import argparse
from collections import Counter
from pathlib import Path

from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.files import images_in, printable
from hyperbolic_seg.sky.camera import QUALITIES, quality_of


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sets', type=Path)
    parser.add_argument('--names', type=int, default=20, help='how many images are named')
    return parser.parse_args()


def main() -> None:
    """Print the table, a row for every folder, and images that are not ok."""
    args = parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    named = []
    for file in map(Path, images_in(args.sets)):
        quality = quality_of(read_image(str(file)), file=str(file))
        name = file.relative_to(args.sets)
        counts[name.parent.as_posix(), quality.name] += 1
        if quality.name != 'ok':
            named.append(f'{printable(name.as_posix())}: {quality.name}, {quality.text}')
    print(f'| folder | images | {" | ".join(QUALITIES[1:])} |\n|---|---|{"---|" * len(QUALITIES[1:])}')
    for folder in sorted({folder for folder, _ in counts}):
        row = [counts[folder, name] for name in QUALITIES]
        print(f'| {folder} | {sum(row)} | {" | ".join(map(str, row[1:]))} |')
    print('\n'.join(named[: args.names]))


if __name__ == '__main__':
    main()
