"""Processor time of the command, from the shell to its first prediction and for each further picture, by runtime.

python tools/benchmarks/start.py sky.jpg --model hyperclip-unet-cloud --file cloud.onnx
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('picture', type=Path, help='an image of the sky')
    parser.add_argument('--model', help='a released model, run by PyTorch; default: none')
    parser.add_argument('--file', type=Path, help='file of hyperbolic-seg export, run by ONNX Runtime; default: none')
    parser.add_argument(
        '--python', default=sys.executable, help='the Python that runs --file, as of a light environment'
    )
    parser.add_argument('--prompts', default='clear sky, cloud')
    parser.add_argument('--rounds', type=int, default=5, help='rounds, in each of which everything runs in turn')
    parser.add_argument('--pictures', type=int, default=20, help='copies of the picture for the time of one more')
    args = parser.parse_args()
    if args.model is None and args.file is None:
        parser.error('give --model, --file or both')
    if args.rounds < 1 or args.pictures < 2:
        parser.error('expected at least one round and two pictures')
    if not args.picture.is_file():
        parser.error(f'{args.picture} is no file')
    return args


def seconds(command: Sequence[str]) -> float:
    """Run a command; return the processor time of it and its children, user and system.

    Raises:
        subprocess.CalledProcessError: It failed; its standard error is printed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(args: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """Return what is timed, by name."""
    one, many = folder / 'one', folder / 'many'
    for place, count in ((one, 1), (many, args.pictures)):
        place.mkdir()
        for number in range(count):
            shutil.copy(args.picture, place / f'{number:04d}{args.picture.suffix}')
    found = {}
    main = ['-m', 'hyperbolic_seg.app.cli.main', 'predict', '--prompts', args.prompts, '--out', str(folder / 'out')]
    if args.model is not None:
        found['import torch'] = [sys.executable, '-c', 'import torch']
        for name, place in (('1 picture', one), (f'{args.pictures} pictures', many)):
            found[f'torch, {name}'] = [sys.executable, *main, str(place), '--model', args.model]
    if args.file is not None:
        for name, place in (('1 picture', one), (f'{args.pictures} pictures', many)):
            found[f'onnx, {name}'] = [args.python, *main, str(place), '--model', str(args.file)]
    return found


def main() -> None:
    """Run."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        timed = commands(args, Path(name))
        taken: dict[str, list[float]] = {what: [] for what in timed}
        for number in range(args.rounds + 1):
            for what, command in timed.items():
                used = seconds(command)
                if number:  # the first round reads files from the disk
                    taken[what].append(used)
    for what, values in taken.items():
        print(f'{what}: {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})')
    for runtime in ('torch', 'onnx'):
        few, more = (taken.get(f'{runtime}, {name}') for name in ('1 picture', f'{args.pictures} pictures'))
        if few and more:
            each = [(b - a) / (args.pictures - 1) for a, b in zip(few, more, strict=True)]
            print(f'{runtime}, one more picture: {statistics.median(each):.3f} s ({min(each):.3f} to {max(each):.3f})')


if __name__ == '__main__':
    main()
