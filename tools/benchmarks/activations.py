"""Compute the memory of what the forward pass of a training step keeps for the backward pass, by what is recomputed.

python tools/benchmarks/activations.py configs/hyperclip/hyperclip_vitb16_384.py --batch-size 1

Model and images are on the meta device: nothing is downloaded, and nothing runs. Tensors in float32 are counted from
the images to the logits, each piece of memory once, without the parameters. What the loss keeps comes on top, and what
a part that is recomputed needs meanwhile.
"""

import argparse
import sys

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.engine import parse_cfg_options

SETTINGS = {
    'nothing': (False, False),
    'towers': (True, False),
    'aggregation': (False, True),
    'towers and aggregation': (True, True),
}
"""Parts whose activations are recomputed in the backward pass: ``with_cp`` of the towers and of the aggregation."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='of a model with towers and an aggregation: HyperCLIP, CAT-Seg, SED')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='settings that override the config')
    return parser.parse_args()


def kept(cfg: Config, batch: int) -> int:
    """Return the bytes that a forward pass keeps for the backward pass.

    Args:
        cfg: The config.
        batch: Number of images.
    """
    size = cfg.model.data_preprocessor.size
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        model = MODELS.build(cfg.model).train()
    images = torch.empty(batch, 3, *size, device='meta')
    own = {tensor.untyped_storage()._cdata for tensor in (images, *model.parameters(), *model.buffers())}
    found = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage  # held, so that no other one gets its number
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.decode_head.forward_with_radius(model.extract_feat(images))
    return sum(storage.nbytes() for storage in found.values())


def main() -> int:
    """Print the table; return the exit code."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    head = cfg.model.decode_head
    if 'aggregation' not in head:
        raise SystemExit(f'{args.config}: expected a head with an aggregation, this one is a {head.type}')
    height, width = cfg.model.data_preprocessor.size
    print(f'{args.config}, {args.batch_size} images of {height} x {width}, images to logits')
    print('| recomputed | kept, GiB |')
    print('|---|---|')
    for name, (towers, aggregation) in SETTINGS.items():
        cfg.model.backbone.with_cp = head.text_encoder.with_cp = towers
        head.aggregation.with_cp = aggregation
        print(f'| {name} | {kept(cfg, args.batch_size) / 2**30:.2f} |', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
