"""Compute what a process keeps of parameters, gradients and optimizer in each way of distributed training.

python tools/benchmarks/sharding.py configs/hyperclip/hyperclip_vitb16_384.py --processes 4

The numbers of parameters are those of the model of the config, which is made on the meta device: nothing is downloaded,
and nothing runs. The optimizer is AdamW. Activations and buffers of communication come on top.
"""

import argparse
import math
import sys
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import nn

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.engine import parse_cfg_options, tower_blocks

FLOAT32, BFLOAT16 = 4, 2  # bytes
MOMENTS = 2 * FLOAT32  # of AdamW, for each parameter that trains


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--processes', type=int, default=4)
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='settings that override the config')
    args = parser.parse_args()
    if args.processes < 2:
        parser.error(f'--processes {args.processes}: expected at least 2, one has nothing to share')
    return args


@dataclass(frozen=True)
class Unit:
    """Parameters that FSDP gathers together."""

    parameters: int
    trained: int


def units_of(model: nn.Module) -> list[Unit]:
    """Return the units of :class:`TowerFSDPStrategy`: all that is in no block, then the blocks of the towers."""
    blocks = list(tower_blocks(model))
    of_blocks = {id(parameter) for block in blocks for parameter in block.parameters()}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in of_blocks]
    return [_unit(rest), *(_unit(list(block.parameters())) for block in blocks)]


def _unit(parameters: list[nn.Parameter]) -> Unit:
    return Unit(sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))


def kept(units: list[Unit], processes: int) -> dict[str, tuple[int, int, int]]:
    """Return bytes of parameters, gradients and optimizer of a process, by the way of training.

    Args:
        units: As of :func:`units_of`.
        processes: Number of processes, among which each unit is divided evenly.
    """
    every, trained = sum(unit.parameters for unit in units), sum(unit.trained for unit in units)
    share = math.ceil(trained / processes)
    sharded = sum(math.ceil(unit.parameters / processes) for unit in units)
    # The gradient of a unit is one tensor, frozen parameters in it included.
    with_gradient = sum(math.ceil(unit.parameters / processes) for unit in units if unit.trained)
    masters = share * (FLOAT32 + MOMENTS)  # ZeRO keeps float32 copies beside parameters in bfloat16
    return {
        'DDP, float32': (every * FLOAT32, trained * FLOAT32, trained * MOMENTS),
        'FSDP, float32': (sharded * FLOAT32, with_gradient * FLOAT32, share * MOMENTS),
        'ZeRO-2, bfloat16': (every * BFLOAT16, share * BFLOAT16, masters),
        'ZeRO-3, bfloat16': (math.ceil(every / processes) * BFLOAT16, share * BFLOAT16, masters),
    }


def main() -> int:
    """Print the table; return the exit code."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        units = units_of(MODELS.build(cfg.model))
    every, trained = sum(unit.parameters for unit in units), sum(unit.trained for unit in units)
    print(f'{args.config}: {every:,} parameters, of which {trained:,} train, {args.processes} processes')
    whole, *blocks = (unit.parameters * FLOAT32 / 2**20 for unit in units)
    largest = max(blocks, default=0.0)
    print(f'FSDP gathers {len(blocks)} blocks of at most {largest:.1f} MiB, beside {whole:.1f} MiB of all else')
    print('| way | parameters, MiB | gradients, MiB | optimizer, MiB | together, MiB |')
    print('|---|---|---|---|---|')
    for way, parts in kept(units, args.processes).items():
        print(f'| {way} | {" | ".join(f"{part / 2**20:.1f}" for part in (*parts, sum(parts)))} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
