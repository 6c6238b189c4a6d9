"""Teach a trained model the attributes of its taxonomy, such as how thick a cloud is, and change nothing else of it.

    python tools/fit_attributes.py CONFIG CHECKPOINT data/sky data/sky_street --out with_attributes.pth

The folders are those that tools/make_sky.py writes, with images/, attributes/ and splits/train.txt. The linear layer of
the attributes is fitted to the features of their pixels, which stay as they are, and so do the classes of the model.
All values of an attribute weigh the same in sum, however rare they are. A model that is trained from the start learns
attributes beside its classes instead, by attribute_loss of its config.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.models import AttributeLoss

BATCH, PIXELS = 16, 600  # images, and pixels of each
STEPS, SAMPLES, RATE = 1500, 8192, 3e-3


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config whose head has attribute_loss')
    parser.add_argument('checkpoint', help='checkpoint or .safetensors file of the model')
    parser.add_argument('data', type=Path, nargs='+', help='folders of rendered skies')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    parser.add_argument('--images', type=int, default=1500, help='most images of a folder (default 1500)')
    return parser.parse_args()


def pairs(folder: Path, most: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield images (H, W, 3) of the training split, and the possible values of their pixels, (H, W)."""
    for stem in (folder / 'splits' / 'train.txt').read_text(encoding='utf-8').split()[:most]:
        values = cv2.imread(str(folder / 'attributes' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint8 or values.ndim != 2:
            raise ValueError(
                f'{folder / "attributes" / stem}.png is no file of attributes: run tools/make_sky.py again'
            )
        yield read_image(str(folder / 'images' / f'{stem}.png')), values


def load(model: torch.nn.Module, checkpoint: str) -> None:
    """Load weights, in which those of the attributes may be missing.

    Raises:
        ValueError: Others are missing, or are those of another model.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    found = model.load_state_dict(loaded.get('state_dict', loaded), strict=False)
    lacking = [key for key in found.missing_keys if '.attribute_scores.' not in key]
    if lacking or found.unexpected_keys:
        raise ValueError(
            f'{checkpoint} is no checkpoint of this config: it lacks {lacking[:3]} and has {found.unexpected_keys[:3]}'
        )


def collect(
    model: HyperSegInferencer, folders: list[Path], most: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return features of pixels with attributes, (P, C), and their possible values, (P,)."""
    head, features, values = model.model.decode_head, [], []
    samples = [pair for folder in folders for pair in pairs(folder, most)]
    for image, told in tqdm(samples, unit='image', disable=None):
        batch = model.prepare(image)
        data = model.model.data_preprocessor(batch, False)
        with torch.no_grad():
            found = head._embedded(model.model.features_of(data['inputs']))[0]
        size = batch['inputs'][0].shape[-2:]
        step = data['inputs'].shape[-1] / found.shape[-1]
        height, width = (round(side / step) for side in size)
        labels = cv2.resize(told, (width, height), interpolation=cv2.INTER_NEAREST).ravel()
        places = np.flatnonzero(labels)
        places = random.choice(places, min(len(places), PIXELS), replace=False)
        features.append(found[:, :height, :width].reshape(len(found), -1)[:, torch.from_numpy(places)].t())
        values.append(torch.from_numpy(labels[places].astype(np.int64)))
    return torch.cat(features).float(), torch.cat(values)


def fit(features: Tensor, values: Tensor, loss: AttributeLoss) -> tuple[Tensor, Tensor]:
    """Return weight (V, C) and bias (V,) of the linear layer that fits features (P, C) to possible values (P,)."""
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-3)
    layer = torch.nn.Linear(features.shape[1], sum(loss.sizes))
    steps = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(steps, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(features), (SAMPLES,))
        scores = layer((features[chosen] - mean) / spread)
        found = loss(scores.t()[None, :, None], values[chosen][None, None])
        steps.zero_grad()
        found.backward()
        steps.step()
        schedule.step()
    with torch.no_grad():
        weight = layer.weight / spread
        return weight, layer.bias - weight @ mean


def main() -> int:
    """Fit the layer and write the checkpoint; return the exit code."""
    args = parse_args()
    torch.manual_seed(0)
    model = HyperSegInferencer(Config.fromfile(args.config), device='cpu')
    load(model.model, args.checkpoint)
    scores = getattr(model.model.decode_head, 'attribute_scores', None)
    if scores is None:
        print(f'error: the head of {args.config} tells no attributes: set attribute_loss', file=sys.stderr)
        return 2
    features, values = collect(model, args.data, args.images, np.random.default_rng(0))
    bits = values[:, None].bitwise_and(2 ** torch.arange(len(scores.values))) > 0
    rarity = {value: float(1 / share) for value, share in zip(scores.values, bits.float().mean(0), strict=True)}
    weight, bias = fit(features, values, AttributeLoss(scores.attributes, value_weight=rarity))
    with torch.no_grad():
        scores.scores.weight.copy_(weight[..., None, None])
        scores.scores.bias.copy_(bias)
        scores.told.fill_(True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.model.state_dict(), meta={}), args.out)
    print(f'{args.out}: {len(values)} pixels of {args.images} images at most of each of {len(args.data)} folders')
    return 0


if __name__ == '__main__':
    sys.exit(main())
