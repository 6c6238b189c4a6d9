"""Rain, dew, snow and dirt on the dome or the lens, out of focus in front of all else."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Light, mix, paint, scale
from hyperbolic_seg.sky.renderer.camera import View, direction
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import (
    Field,
    fractal_tile,
    generator,
    sample_tile,
    smooth_tile,
    smoothstep,
)
from hyperbolic_seg.sky.renderer.scene import Drops, SkyScene

_HIDDEN = np.float32(0.5)
"""Least share of the light that a drop takes away in a pixel labeled as one."""
_ONE = np.float32(1)


def wet(seed: int, scene: SkyScene, light: Light, view: View, *, radiance: Field, labels: NDArray[np.uint8]) -> None:
    """Draw drops, snow or dirt over the light (3, H, W) and the labels (H, W), in place."""
    drops = scene.drops
    if drops is None:
        return
    rng = generator(seed, 27)
    if drops.kind == 'snow':
        _snow(rng, drops, light, view, radiance=radiance, labels=labels)
        return
    behind = _halved(_halved(radiance)) if drops.kind != 'dirt' else radiance
    for _ in range(drops.count):
        dice = rng.random(8)
        window, right, down = _window(dice, drops, view)
        far2 = right * right + down * down
        cover = np.clip((_ONE - far2) * np.float32(drops.sharpness), np.float32(0), _ONE)
        cover *= np.float32(drops.strength * (0.7 + 0.3 * dice[5]))
        if drops.kind == 'dirt':
            color = np.array(scale(light.shadow[1], 0.1 + 0.5 * float(dice[6])), np.float32)[:, None, None]
        else:
            color = _refracted(dice, drops, behind, view, window=window, right=right, down=down)
        part = radiance[:, window[0], window[1]]
        part += (color - part) * cover
        labels[window][cover >= _HIDDEN] = SkyLabel.DROP


def _window(dice: NDArray[np.float64], drops: Drops, view: View) -> tuple[tuple[slice, slice], Field, Field]:
    """Return the rows and columns of a drop, and the position to the right and down in radii of the drop."""
    height, width = view.row.shape
    half = max(height, width) / 2
    radius = drops.size * (0.5 + dice[2] * dice[2])
    squeeze = 0.8 + 0.4 * dice[3]  # drops run down and are no circles
    row, column = dice[0] * height, dice[1] * width
    tall, wide = radius * half * squeeze + 1, radius * half / squeeze + 1
    rows = slice(max(0, int(row - tall)), min(height, int(row + tall) + 1))
    columns = slice(max(0, int(column - wide)), min(width, int(column + wide) + 1))
    window = rows, columns
    down = (view.row[window] - np.float32((row - height / 2) / half)) * np.float32(1 / (radius * squeeze))
    right = (view.column[window] - np.float32((column - width / 2) / half)) * np.float32(squeeze / radius)
    skew = np.float32(0.4 * (dice[4] - 0.5))
    return window, right + down * skew, down


def _refracted(
    dice: NDArray[np.float64],
    drops: Drops,
    behind: Field,
    view: View,
    *,
    window: tuple[slice, slice],
    right: Field,
    down: Field,
) -> Field:
    """Return the picture in a drop: wide, upside down, with a dark rim and a bright spot, (3, h, w)."""
    _, height, width = behind.shape
    reach = 0.35 + 0.5 * dice[6]
    far2 = np.minimum(right * right + down * down, _ONE)
    bulge = (np.float32(0.5) + np.float32(0.5) * far2) * np.float32(reach)
    wide = 2 / max(view.row.shape)  # of a pixel
    middle = [float((axis[window][0, 0] + axis[window][-1, -1]) / 2) for axis in (view.row, view.column)]
    scaled = np.float32(0.25 / wide)
    rows = (np.float32(middle[0]) - down * bulge + np.float32(view.row.shape[0] * wide / 2)) * scaled
    columns = (np.float32(middle[1]) - right * bulge + np.float32(view.row.shape[1] * wide / 2)) * scaled
    picture = behind[:, np.clip(rows, 0, height - 1).astype(np.int32), np.clip(columns, 0, width - 1).astype(np.int32)]
    # The upper part of a drop shows the dark ground, the rim bends light away from the camera.
    upper = np.minimum(np.float32(0.8) + np.float32(0.55) * down, np.float32(1.15))
    rim = (_ONE - np.float32(0.35 + 0.5 * dice[7]) * far2 * far2) * upper
    spot = (right + np.float32(0.35)) * (right + np.float32(0.35)) + (down + np.float32(0.4)) * (down + np.float32(0.4))
    shine = _ONE + np.float32(0.8 * dice[5]) / (_ONE + spot * np.float32(25))
    image: Field = picture * (rim * shine)
    return image


def _halved(light: Field) -> Field:
    """Return the light at half the resolution, (3, H // 2, W // 2); a sum of four terms is the same on all machines."""
    even = light[:, : light.shape[1] // 2 * 2, : light.shape[2] // 2 * 2]
    rows = even[:, ::2] + even[:, 1::2]
    half: Field = (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
    return half


def _snow(
    rng: np.random.Generator, drops: Drops, light: Light, view: View, *, radiance: Field, labels: NDArray[np.uint8]
) -> None:
    """Cover one side of the dome by ragged, grainy snow with hard edges, which the sky lights from behind."""
    places = [(float(rng.random()), float(rng.random())) for _ in range(3)]
    lean = direction(360 * rng.random(), 0)
    patches = sample_tile(smooth_tile(), view.column, view.row, period=16 * drops.size, offset=places[0])
    grain = sample_tile(fractal_tile(), view.column, view.row, period=1.7, offset=places[1])
    grain += sample_tile(fractal_tile(), view.row, view.column, period=0.6, offset=places[2])
    aside = view.column * np.float32(lean[0]) + view.row * np.float32(lean[1])
    thick = (patches + aside) * np.float32(0.5) + grain * np.float32(0.12)
    cover = smoothstep((thick + np.float32(drops.strength - 0.85)) * np.float32(6 * drops.sharpness))
    white = mix(light.zenith, light.horizon, 0.5)
    brightness = sum(white) / 3
    color = mix(white, (brightness, brightness, brightness), 0.7)
    snow = paint(scale(color, 0.5 + 0.6 * rng.random()), np.float32(0.8) + np.float32(0.15) * grain * grain)
    radiance += (snow - radiance) * cover
    labels[(cover >= _HIDDEN) & view.inside] = SkyLabel.DROP
