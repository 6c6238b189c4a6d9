"""Measure how well a model tells thin from thick and dark from white clouds on skies that it was not trained on.

    python tools/benchmarks/thickness.py hyperclip-unet-cloud
    python tools/benchmarks/thickness.py CONFIG CHECKPOINT --images 400 --size 192

The skies are rendered from seeds that no config of this project trains on. For each list of prompts: the IoU of every
prompt over all pixels of the sky, with a 95 % bootstrap interval over images. Pixels between the limits of two values,
and what is neither clear sky nor cloud, are left out, for the prediction too.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.evaluation import bootstrap, mean_iou
from hyperbolic_seg.sky.renderer import CLOUDS, Appearance, RenderedSky, SkyLabel, render_sky, sample_scene

FIRST_SEED = 40_000_000
VALUES: dict[str, tuple[Appearance, ...]] = {
    'thin cloud': (Appearance.THIN,),
    'thick cloud': (Appearance.THICK, Appearance.OPAQUE),
    'white cloud': (Appearance.WHITE,),
    'dark cloud': (Appearance.DARK,),
}
LISTS = (('clear sky', 'thin cloud', 'thick cloud'), ('clear sky', 'white cloud', 'dark cloud'))
BATCH, IGNORED = 16, 255


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', help='config file, .safetensors file, or name of a released model')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the config')
    parser.add_argument('--images', type=int, default=300, help='number of images (default 300)')
    parser.add_argument('--size', type=int, default=192, help='side of the images in pixels (default 192)')
    parser.add_argument('--plain', action='store_true', help='without foreground, drops, flare and overlays')
    return parser.parse_args()


def truth(sky: RenderedSky, prompts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the position of the prompt that is right at every pixel, (H, W), or 255."""
    right = np.full(sky.labels.shape, IGNORED, np.uint8)
    right[sky.labels == SkyLabel.CLEAR_SKY] = prompts.index('clear sky')
    some = {place: sum(int(value) for value in VALUES[prompts[place]]) for place in (1, 2)}
    cloud = np.isin(sky.labels, CLOUDS)
    for place, bits in some.items():
        other = some[3 - place]
        right[cloud & ((sky.attributes & bits) > 0) & ((sky.attributes & other) == 0)] = place
    return right


def counts(predicted: NDArray[np.integer], right: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """Return the pixels of every right class (rows) that were given to every prompt (columns)."""
    told = right != IGNORED
    pairs = right[told].astype(np.int64) * classes + predicted[told]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def main() -> None:
    """Predict all skies and print the table."""
    args = parse_args()
    model = HyperSegInferencer(args.model, args.checkpoint and str(Path(args.checkpoint)), device='cpu')
    seeds = range(FIRST_SEED, FIRST_SEED + args.images)
    squares: dict[tuple[str, ...], list[NDArray[np.float64]]] = {prompts: [] for prompts in LISTS}
    for first in range(0, args.images, BATCH):
        scenes = {seed: sample_scene(seed) for seed in seeds[first : first + BATCH]}
        skies = [render_sky(s, args.size, scene=c.plain() if args.plain else c) for s, c in scenes.items()]
        for prompts in LISTS:
            found = model([sky.image for sky in skies], prompts=list(prompts))['predictions']
            for sky, prediction in zip(skies, found, strict=True):
                squares[prompts].append(counts(prediction['labels'], truth(sky, prompts), len(prompts)))
    print('| prompt | IoU | 95 % interval |\n|---|---|---|')
    for prompts, some in squares.items():
        table = np.stack(some)
        for place, prompt in enumerate(prompts):
            iou = partial(mean_iou, classes=np.arange(len(prompts)) == place)
            low, high = bootstrap(table, iou)
            print(f'| {prompt}, of {", ".join(prompts)} | {iou(table.sum(0)):.3f} | {low:.3f} to {high:.3f} |')


if __name__ == '__main__':
    main()
