"""Predictions for cameras as groups, made once and kept in a file, for benchmarks of calibration.

Kept of every picture: its camera, its group (a capture day, or a run of consecutive pictures where the set has no table
of days), the true cloud fraction by its mask, and at the size that the model sees the picture, the probability of cloud
without color likelihood, brightness and color, and the mask. The color likelihood is applied afterwards, so that its
options can be compared without another prediction.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'dataset_converters'))
from layout import capture_days

from hyperbolic_seg.models.refinement import apply_color_likelihood

if TYPE_CHECKING:
    from hyperbolic_seg.apis import HyperSegInferencer

CAMERAS = ('swimseg', 'swinseg', 'wsiseg')
RENDERED = 'rendered'
IGNORE = 255
BLOCK = 20  # consecutive pictures that count as a group where days are not known, as in development.py
FIRST_SEED = 20_000_000  # rendered scenes from here on, which no model was trained on


class Picture(NamedTuple):
    """A picture, and what a model says of it."""

    camera: str
    group: str
    stem: str
    truth: float
    """Cloud fraction by the mask, 0 to 1."""
    cloud: NDArray[np.float32]
    """Probability of cloud without color likelihood, (H, W)."""
    image: NDArray[np.uint8]
    """BGR, (H, W, 3)."""
    mask: NDArray[np.uint8]
    """0 clear sky, 1 cloud, 255 ignore, (H, W)."""

    def with_colors(self, **options: float) -> NDArray[np.float32]:
        """Return the probability of cloud, (H, W), with the color likelihood of these options."""
        chance = torch.from_numpy(self.cloud).clamp(1e-6, 1 - 1e-6)
        image = torch.from_numpy(self.image).permute(2, 0, 1)[None]
        found = apply_color_likelihood(torch.stack([1 - chance, chance]).log()[None], image, **options)
        return np.asarray(found[0, 1].exp().numpy())


def load_predictions(
    cache: Path, model: str, data: Path, *, sides: tuple[str, ...], per_group: int, rendered: int
) -> list[Picture]:
    """Return the pictures of a cache; those that are missing are predicted and added.

    Args:
        cache: Folder of the cache, a file for each picture.
        model: Name of a released model, or a .safetensors file.
        data: Folder that development.py wrote.
        sides: Splits whose pictures are taken: those that the model was not trained on.
        per_group: Most pictures of a group, spread evenly.
        rendered: Number of rendered scenes, each a group of its own.
    """
    wanted = [*real_pictures(data, sides, per_group), *((RENDERED, str(seed), str(seed)) for seed in range(rendered))]
    folder, inferencer = cache / Path(model).stem, None
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for camera, group, stem in wanted:
        file = folder / f'{camera}-{stem}.npz'
        if not file.is_file():
            inferencer = inferencer or _open(model)
            image, mask = _render(int(stem)) if camera == RENDERED else _read(data / camera, stem)
            np.savez_compressed(file, **_predict(inferencer, image, mask))
        with np.load(file) as kept:
            parts = {name: kept[name] for name in ('cloud', 'image', 'mask')}
            parts['cloud'] = parts['cloud'].astype(np.float32)
            found.append(Picture(camera, f'{camera} {group}', stem, float(kept['truth']), **parts))
    return found


def real_pictures(data: Path, sides: tuple[str, ...], per_group: int) -> Iterator[tuple[str, str, str]]:
    """Yield camera, group and stem of the pictures to take.

    Args:
        data: Folder that development.py wrote.
        sides: Splits whose pictures are taken.
        per_group: Most pictures of a group, spread evenly.
    """
    for camera in CAMERAS:
        stems = [stem for side in sides for stem in (data / camera / 'splits' / f'{side}.txt').read_text().split()]
        groups: dict[str, list[str]] = {}
        for stem, group in _groups(data / camera, sorted(stems)).items():
            groups.setdefault(group, []).append(stem)
        for group, members in groups.items():
            chosen = np.linspace(0, len(members) - 1, min(per_group, len(members))).round().astype(int)
            yield from ((camera, group, members[i]) for i in chosen)


def _groups(root: Path, stems: list[str]) -> dict[str, str]:
    """Return the group of every picture: its capture day by the table of the set, else its run of pictures."""
    beside = (root / 'images' / f'{stems[0]}.jpg').resolve().parents[1]
    for name in ('metadata.csv', 'metadata.txt'):
        if (beside / name).is_file():
            day_of = capture_days(beside / name)
            return {stem: day_of(stem) for stem in stems}
    numbers = {stem: re.findall(r'[0-9]+', stem)[-1] for stem in stems}
    return {stem: f'{stem.removesuffix(number)}{int(number) // BLOCK}' for stem, number in numbers.items()}


def _open(model: str) -> 'HyperSegInferencer':
    from hyperbolic_seg.apis import HyperSegInferencer  # seconds, which kept predictions do not need

    inferencer = HyperSegInferencer(model, device='cpu')
    inferencer.set_prompts(['clear sky', 'cloud'])
    inferencer.model.test_cfg.pop('color_likelihood', None)
    return inferencer


def _read(root: Path, stem: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    mask = cv2.imread(str(root / 'masks' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
    return cv2.imread(str(root / 'images' / f'{stem}.jpg')), mask


def _render(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render a scene and its mask of cloud."""
    from hyperbolic_seg.sky.renderer import render_sky
    from hyperbolic_seg.text import Taxonomy

    nodes, sky = Taxonomy.load('sky').nodes, render_sky(FIRST_SEED + number, 192)
    kinds = [{'clear sky', 'cloud'} & {node.name, *node.ancestors} for node in nodes]
    values = np.array([IGNORE if not kind else int('cloud' in kind) for kind in kinds], np.uint8)
    return np.ascontiguousarray(sky.image), values[sky.labels]


def _predict(
    inferencer: 'HyperSegInferencer', image: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> dict[str, NDArray | float]:
    """Predict a picture at the size that the model sees."""
    seen = np.ascontiguousarray(inferencer.prepare(image)['inputs'][0].permute(1, 2, 0).numpy())
    cloud = inferencer.predict_one(seen, with_probabilities=True)['probabilities'][1]
    counted = mask != IGNORE
    small = cv2.resize(mask, seen.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    truth = float((mask == 1).sum() / counted.sum())
    return dict(cloud=cloud.astype(np.float16), image=seen, mask=small, truth=truth)
