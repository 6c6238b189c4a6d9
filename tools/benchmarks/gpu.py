r"""Measure on one GPU what this library claims of GPUs, in one call within a given time.

    python tools/benchmarks/gpu.py gpu.json --minutes 12           # on a machine with a GPU
    python tools/benchmarks/gpu.py rehearsal.json --device cpu     # all parts at small size, to see that they run

The parts, in this order: the tests marked `gpu`; layers beside a 1x1 convolution, geoopt and HypLL (layers.py);
training steps of HyperCLIP at the published batch of 4 with ViT-B/16 and ViT-L/14, plain, in mixed precision, with
checkpointing and compiled (training_step.py); training steps of the released U-Net; a prediction by 1,000 prompts
(vocabulary.py); the layers compiled. Each is a process of its own with a limit of its own. A part that reaches its
limit is stopped; one that no longer fits into --minutes is skipped; both are said. gpu.json is written anew after each
part, and a call with the same file goes on with the parts that it lacks. At the end a table in Markdown is printed.

Words are embedded by the offline text tower. Where it is not installed, copy the folder of cached embeddings of a
machine that ran the rehearsal, and name it in HYPERBOLIC_SEG_CACHE.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
from installed import NEEDED, require  # noqa: E402

LEAST = 15.0  # seconds left below which no part is started
SLOWER = 4  # limits of a rehearsal, which starts the same processes on few cores
HYPERCLIP = {'ViT-B/16': 'hyperclip_vitb16_384', 'ViT-L/14': 'hyperclip_vitl14_336'}
WAYS = {
    'float32': [],
    'bfloat16': ['--amp', 'bfloat16'],
    'checkpointing': ['--checkpointing'],
    'compiled': ['--compile'],
}
# Options by device: full size, and what a CPU does within minutes.
SIZES = {
    'cuda': dict(
        layers=[],
        clip=['--batch-size', '4'],
        unet=['--size', '320', '--batch-size', '64'],
        prompts=[],
    ),
    'cpu': dict(
        layers=['--shrink', '16', '--rounds', '3'],
        clip=[
            *('--size', '96', '--batch-size', '1', '--steps', '1', '--warm-up', '0', '--compile-backend', 'eager'),
            *('--cfg-options', 'model.decode_head.vocabulary=[sky,road,tree,car]'),
        ],
        unet=['--size', '64', '--batch-size', '2', '--steps', '2'],
        prompts=['--size', '128', '--window', '64', '--rounds', '1'],
    ),
}


@dataclass(frozen=True)
class Part:
    """A process: its name, its arguments behind that of Python, and its limit in seconds on a GPU."""

    name: str
    arguments: list[str]
    seconds: float


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='JSON file of the results')
    parser.add_argument('--minutes', type=float, default=12.0, help='time for everything (default 12)')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda', help='cpu: a rehearsal at small size')
    parser.add_argument('--only', metavar='WORD', help='run the parts whose name contains this')
    args = parser.parse_args(argv)
    if not args.minutes > 0:
        parser.error(f'--minutes must be positive, got {args.minutes}')
    if not args.out.parent.is_dir():
        parser.error(f'the folder of {args.out} does not exist')
    return args


def parts(device: str) -> list[Part]:
    """Return the parts, at full size on a GPU and at small size on a CPU."""
    on, sizes = ['--device', device], SIZES[device]
    step = [str(HERE / 'training_step.py')]
    words = [str(HERE / 'vocabulary.py'), *on]
    layers = [str(HERE / 'layers.py'), *on, *sizes['layers']]
    if find_spec('hypll') is None:
        layers.append('--without-libraries')
    released = str(ROOT / 'configs/released/hyperclip_unet_cloud.py')
    return [
        Part('tests', ['-m', 'pytest', '-q', '-m', 'gpu', str(ROOT / 'tests/gpu')], 120),
        Part('layers', layers, 60),
        *(
            Part(
                f'{name}, {way}',
                [*step, str(ROOT / f'configs/hyperclip/{config}.py'), *on, *options, *sizes['clip']],
                90,
            )
            for name, config in HYPERCLIP.items()
            for way, options in WAYS.items()
        ),
        Part('U-Net, float32', [*step, released, *on, *sizes['unet']], 60),
        Part('U-Net, bfloat16', [*step, released, *on, *sizes['unet'], '--amp', 'bfloat16'], 60),
        Part('1,000 prompts', [*words, '--prompts', '1000', '--ways', 'mmseg', *sizes['prompts']], 90),
        Part('layers, compiled', [*layers, '--compile'], 120),
    ]


def run(part: Part, device: str, seconds: float) -> dict[str, Any]:
    """Run a part for at most some seconds; return its state, its time and its output."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    environment = os.environ | dict(PYTHONPATH=path, HYPERBOLIC_SEG_TEST_DEVICE=device, PYTHONWARNINGS='ignore')
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *part.arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that its own processes are stopped with it
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        state = 'ok' if process.returncode == 0 else f'failed, exit code {process.returncode}'
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, state = process.communicate()[0], f'stopped after {seconds:.0f} seconds'
    return dict(state=state, seconds=round(time.monotonic() - start, 1), output=output)


def machine(device: str) -> dict[str, str]:
    """Return what the figures depend on.

    Raises:
        SystemExit: There is no GPU, and the device is to be one.
    """
    import torch

    if device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('no GPU is visible to PyTorch: run this on a machine with one, or rehearse with --device cpu')
    card = torch.cuda.get_device_name() if device == 'cuda' else f'no GPU, {torch.get_num_threads()} CPU threads'
    return dict(card=card, torch=torch.__version__, cuda=str(torch.version.cuda), device=device)


def last_line(output: str) -> str:
    """Return the last line with a figure or an error, for a cell of the table."""
    lines = [line for line in output.strip().splitlines() if line.strip() and not line.startswith('|')]
    return lines[-1].strip().replace('|', '/')[-300:] if lines else ''


def report(found: dict[str, Any]) -> str:
    """Return the results in Markdown: a table of the parts, and the tables that parts printed."""
    about = found['machine']
    lines = [
        f'On {about["card"]}, torch {about["torch"]}, CUDA {about["cuda"]}.',
        '',
        '| part | state | seconds | result |',
        '|---|---|---|---|',
    ]
    for name, part in found['parts'].items():
        lines.append(f'| {name} | {part["state"]} | {part["seconds"]} | {last_line(part["output"])} |')
    for name, part in found['parts'].items():
        if rows := [line for line in part['output'].splitlines() if line.startswith('|')]:
            lines += ['', f'{name}:', '', *rows]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run all parts; return the exit code: 1 if one failed, was stopped or skipped."""
    args = parse_args(argv)
    require(NEEDED | {'pytest': 'pytest', 'hypothesis': 'hypothesis', 'transformers': 'transformers'})
    end = time.monotonic() + 60 * args.minutes
    about = machine(args.device)
    found: dict[str, Any] = dict(machine=about, parts={})
    if args.out.exists():
        found = json.loads(args.out.read_text(encoding='utf-8'))
        if found['machine'] != about:
            raise SystemExit(f'{args.out} has results of another machine, {found["machine"]}: name another file')
    for part in parts(args.device):
        if found['parts'].get(part.name, {}).get('state') == 'ok' or (args.only and args.only not in part.name):
            continue
        left = end - time.monotonic()
        if left < LEAST:
            found['parts'][part.name] = dict(state='skipped, no time left', seconds=0, output='')
        else:
            limit = min(left, part.seconds * (1 if args.device == 'cuda' else SLOWER))
            found['parts'][part.name] = run(part, args.device, limit)
        print(f'{part.name}: {found["parts"][part.name]["state"]}', file=sys.stderr, flush=True)
        args.out.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    print(report(found))
    return int(any(part['state'] != 'ok' for part in found['parts'].values()))


if __name__ == '__main__':
    sys.exit(main())
