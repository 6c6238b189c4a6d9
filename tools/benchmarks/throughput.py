"""Pictures a second, memory and processor time of whole commands, and of the stages and models in them.

    python tools/benchmarks/throughput.py --megapixels 0.25 2 12 24 62 --processes 1 2 4

Beside `hyperbolic-seg predict` the same pictures pass MMSegmentation's own inferencer, with an FCN head on a U-Net of
the same encoder and weights at random, which writes labels and overlays, too. Pictures are those of large_images.py,
copied. Three tables are printed:

1. Pictures a second of several processes that start together, each with pictures of its own, when their models are
   loaded; and the largest resident memory of one process (`ru_maxrss`), Python, PyTorch and model included.
2. Processor time of one picture by the whole command and by the model alone, from a prepared picture to its labels.
   Both run in turn in one process; given are medians over rounds, and the ratio of the medians with the smallest and
   the largest ratio of a round.
3. Processor time of the stages of `predict`, medians over rounds.

PyTorch has one thread in each process. Processor times count the threads that read and write. `resource` is a module of
Linux and macOS.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from large_images import in_process
from whole_commands import STAGES

NAMES = ('predict', 'MMSegInferencer')
STEM = '_20240621_120000.jpg'  # of the pictures of large_images.py
PIXELS = 50.0  # megapixels of all pictures of a process, about


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--megapixels', nargs='+', type=float, default=[0.25, 2, 12, 24, 62])
    parser.add_argument('--processes', nargs='+', type=int, default=[1, 2, 4])
    parser.add_argument('--model', default='hyperclip-unet-cloud', help='a released model')
    parser.add_argument('--pictures', type=int, default=32, help='of a process, at most; fewer of large pictures')
    parser.add_argument('--rounds', type=int, default=5, help='of the second and the third table')
    parser.add_argument('--folder', type=Path, help='keep the pictures here; by default a temporary folder')
    parser.add_argument('--run', choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument('--turns', choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument('--stages', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pictures < 1 or args.rounds < 1 or min(args.processes) < 1:
        parser.error('expected at least one picture, one round and one process')
    return args


def pictures_of(folder: Path, megapixels: float, most: int) -> list[str]:
    """Return the copies of the picture of a size, which are made if need be: at least 4, and at most some."""
    place = folder / f'{megapixels:g}'
    source = place / f'timed{STEM}'
    if not source.exists():
        place.mkdir(parents=True, exist_ok=True)
        large_images = Path(__file__).with_name('large_images.py')
        in_process('--make', megapixels, '--folder', place, script=large_images)
    count = min(most, max(round(PIXELS / megapixels), 4))
    found = [place / f'{number:04d}{STEM}' for number in range(count)]
    for file in found:
        if not file.exists():
            shutil.copy(source, file)
    return [str(file) for file in found]


def together(count: int, arguments: Sequence[object]) -> list[dict[str, float]] | None:
    """Run processes of this script that start together when all are loaded; ``None`` if one fails or is killed."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with ExitStack() as stack:
        pipes: dict[str, Any] = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(count)]
        for process in running:
            while process.stdout.readline() not in ('loaded\n', ''):
                pass  # what libraries print
        for process in running:
            with suppress(BrokenPipeError):  # one that has failed
                process.stdin.write('go\n')
                process.stdin.close()
        ends = [process.stdout.read() for process in running]
    if any(process.returncode for process in running):
        return None
    return [json.loads(end.splitlines()[-1]) for end in ends]


def alone(arguments: Sequence[object]) -> Any:
    """Run this script in a process of its own; return what it prints, ``None`` if it fails or is killed."""
    try:
        return json.loads(in_process(*arguments, script=__file__).splitlines()[-1])
    except subprocess.CalledProcessError:
        return None


def rate_cells(found: list[dict[str, float]] | None, pictures: int) -> list[str]:
    """Return pictures a second and memory of processes that ran together, each with as many pictures."""
    if found is None:
        return ['failed', 'failed']
    rate = len(found) * pictures / max(each['wall'] for each in found)
    return [f'{rate:.3g}', f'{max(each["peak"] for each in found):.0f}']


def turn_cells(found: dict[str, list[float]] | None) -> list[str]:
    """Return the medians of whole and model in seconds, and their ratio with its range over rounds."""
    if found is None:
        return ['failed'] * 3
    whole, model = (statistics.median(found[name]) for name in ('whole', 'model'))
    ratios = [one / other for one, other in zip(found['whole'], found['model'], strict=True)]
    return [f'{whole:.3f}', f'{model:.3f}', f'{whole / model:.2f} ({min(ratios):.2f} to {max(ratios):.2f})']


def stage_cells(found: dict[str, float] | None) -> list[str]:
    """Return the milliseconds of all stages and of each."""
    if found is None:
        return ['failed'] * (1 + len(STAGES))
    return [f'{1e3 * sum(found.values()):.0f}', *(f'{1e3 * took:.1f}' for took in found.values())]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in Markdown, each row when it is known."""
    print(f'| {" | ".join(columns)} |\n{"|---" * len(columns)}|')
    for row in rows:
        print(f'| {" | ".join(row)} |', flush=True)
    print(flush=True)


def print_tables(args: argparse.Namespace, folder: Path) -> None:
    """Measure and print the three tables."""
    common = ['--model', args.model, '--rounds', args.rounds, '--pictures', args.pictures, '--folder', folder]
    files = {size: pictures_of(folder, size, args.pictures) for size in args.megapixels}

    def options(*first: object, size: float) -> list[object]:
        return [*first, *common, '--megapixels', size]

    rates = (
        [f'{size:g}', str(count)]
        + [
            cell
            for name in NAMES
            for cell in rate_cells(together(count, options('--run', name, size=size)), len(files[size]))
        ]
        for size in args.megapixels
        for count in args.processes
    )
    print_table(['megapixels', 'processes', *(f'{n}: {c}' for n in NAMES for c in ('pictures/s', 'peak, MiB'))], rates)
    turns = (
        [f'{size:g}'] + [cell for name in NAMES for cell in turn_cells(alone(options('--turns', name, size=size)))]
        for size in args.megapixels
    )
    kinds = ('whole, s', 'model, s', 'ratio')
    print_table(['megapixels', *(f'{name}: {kind}' for name in NAMES for kind in kinds)], turns)
    stages = ([f'{size:g}', *stage_cells(alone(options('--stages', size=size)))] for size in args.megapixels)
    print_table(['megapixels', 'all, ms', *STAGES], stages)


def main() -> None:
    """Print the tables, or measure one cell of them."""
    args = parse_args()
    if not (args.run or args.turns or args.stages):
        with TemporaryDirectory() as temporary:
            print_tables(args, args.folder or Path(temporary))
        return
    from whole_commands.measures import run, take_turns, time_stages  # these import torch

    size = args.megapixels[0]
    files, warm = pictures_of(args.folder, size, args.pictures), args.folder / f'{size:g}' / f'warm{STEM}'
    if args.run:
        found: Any = run(args.run, args.model, files, warm)
    elif args.turns:
        found = take_turns(args.turns, args.model, files, warm, rounds=args.rounds)
    else:
        found = time_stages(args.model, files, warm, rounds=args.rounds)
    print(json.dumps(found))


if __name__ == '__main__':
    main()
