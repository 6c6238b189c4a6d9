"""Measure how `hyperbolic-seg archive` scales over worker processes of this machine, and what one picture costs.

    python tools/benchmarks/archive.py WORK_DIR --wait 0.1
    python tools/benchmarks/archive.py WORK_DIR --model hyperclip-unet-cloud

With `--wait` no model runs: each picture takes as long, whatever else the machine does, so that the rate shows what the
partitions, Dask and the files cost. Pictures are rendered skies. The rate is of the whole run, with the start of the
model in each process. Then follow processor seconds and bytes for each picture of the process that lists and plans.
"""

import argparse
import hashlib
import sys
import time
import tracemalloc
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from hyperbolic_seg.app.archive import Picture, Predicted, Recipe, SkyRecipe, archive, connected, list_pictures
from hyperbolic_seg.app.archive.plan import partitions
from hyperbolic_seg.app.selection import Selection
from hyperbolic_seg.sky.renderer import render_sky

PLANNED = 100_000


@dataclass(frozen=True)
class WaitingRecipe:
    """Recipe of a predictor that decodes a picture and waits."""

    seconds: float

    def build(self) -> 'WaitingPredictor':
        """Build it."""
        return WaitingPredictor(self.seconds)


class WaitingPredictor:
    """Takes the same time for each picture."""

    classes = ['mean']
    ordered = False

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.fingerprint = hashlib.sha256(f'waits {seconds}'.encode()).hexdigest()

    def examine(self, path: str, repeats: Any) -> bool:
        """Return that no earlier picture is needed."""
        return True

    def predict(self, path: str, repeats: Any, *, with_labels: bool) -> Predicted:
        """Return the mean level of a picture, after a while."""
        time.sleep(self.seconds)
        return Predicted(dict(image=path, fractions=dict(mean=float(cv2.imread(path).mean()) / 255)), None, None)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', type=Path, help='new folder for pictures and results')
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument('--wait', type=float, help='seconds for each picture')
    kind.add_argument('--model', help='a released model')
    parser.add_argument('--images', type=int, default=240)
    parser.add_argument('--size', type=int, default=64, help='pixels of a side of the pictures')
    parser.add_argument('--partition', type=int, default=8)
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2])
    return parser.parse_args()


def main() -> None:
    """Print a row for each number of workers, and the costs of a plan."""
    args = parse_args()
    source = args.work_dir / 'source'
    source.mkdir(parents=True)
    for number in range(args.images):
        cv2.imwrite(str(source / f'{number:06d}.png'), render_sky(number, args.size).image)
    recipe: Recipe = WaitingRecipe(args.wait)
    if args.model:
        from hyperbolic_seg import load_model  # takes seconds, which the waiting does without

        recipe = SkyRecipe(partial(load_model, args.model))
    print('| worker processes | pictures per second | of the first |\n|---|---|---|')
    first = None
    for workers in args.workers:
        with connected('processes', workers) as client:
            out = str(args.work_dir / f'out_{workers}')
            summary = archive(str(source), out, recipe, client, size=args.partition)
        if summary.failures:
            sys.exit(f'failed: {summary.failures}')
        first = first or summary.rate
        print(f'| {workers} | {summary.rate:.2f} | {summary.rate / first:.2f} |', flush=True)
    print_costs(source)


def print_costs(source: Path) -> None:
    """Print what it costs to list and to plan."""
    began = time.process_time()
    count = len(list_pictures(str(source), Selection()).pictures)
    listing = (time.process_time() - began) / count
    tracemalloc.start()
    pictures = [
        Picture(f'{n // 1440}/{n:08d}.jpg', f'/source/{n}.jpg', 10**6, f'{n}.5', None, n + 0.5) for n in range(PLANNED)
    ]
    size = tracemalloc.get_traced_memory()[0] / PLANNED
    tracemalloc.stop()
    began = time.process_time()
    plan = list(partitions(pictures, '', size=256, ordered=True))
    planning = (time.process_time() - began) / PLANNED
    print(f'\nlisting {1e6 * listing:.0f} us, planning {1e6 * planning:.0f} us, {size:.0f} bytes for each picture')
    print(f'{len(plan)} partitions of {PLANNED} pictures')


if __name__ == '__main__':
    main()
