"""Random overlays: texts as programs of cameras write them, compass letters, a logo, bars and a frame."""

from dataclasses import replace

import numpy as np

from hyperbolic_seg.sky.renderer.camera import stable
from hyperbolic_seg.sky.renderer.light_path import throw
from hyperbolic_seg.sky.renderer.noise import generator
from hyperbolic_seg.sky.renderer.scene import Overlay, Text

_SHARE = 0.15
"""Share of the images with an overlay."""

_WHITE, _YELLOW, _GREEN, _RED, _BLACK = (245, 245, 245), (60, 230, 250), (60, 220, 60), (50, 50, 230), (0, 0, 0)
_COLORS = (_WHITE, _WHITE, _YELLOW, _GREEN, _RED, _BLACK)
_GROUNDS = ((_BLACK, _WHITE), ((90, 90, 90), _WHITE), (_WHITE, _BLACK))
"""Colors behind texts, with those of the texts."""
_FONTS = (0, 0, 1, 2, 3)
_NAMES = ('ALLSKY', 'SKYCAM 2', 'Roof North', 'cam01', 'Observatory', 'AllSky South', 'Station 14', 'CloudCam')
_DATES = ('{0}-{1:02d}-{2:02d} {3}', '{2:02d}.{1:02d}.{0} {3}', '{1:02d}/{2:02d}/{0} {3}', '{0}{1:02d}{2:02d} {3} UTC')


def sample_overlay(seed: int, kind: str, time: str) -> Overlay:
    """Draw an overlay, mostly in the corners, of a camera of a kind at a time of the day."""
    rng = generator(seed, 0, 27)
    present, compass, elevation, logo, bars, frame = throw(rng, 6)
    if present >= _SHARE:
        return Overlay()
    corners = sorted(range(4), key=lambda _: rng.random())
    texts = _texts(rng, corners, time)
    free = corners[3]
    return Overlay(
        texts=texts,
        compass=5 + 20 * elevation if kind == 'fisheye' and compass < 0.35 else None,
        logo=(free % 2, free // 2) if logo < 0.25 or not texts else None,
        bars=(0.04 + 0.06 * frame, (0.04 + 0.06 * compass) * (frame < 0.5)) if bars < 0.15 else (0.0, 0.0),
        frame=0.006 + 0.02 * elevation if frame < 0.08 else 0.0,
    )


def _texts(rng: np.random.Generator, corners: list[int], time: str) -> tuple[Text, ...]:
    """Draw lines in up to three corners, and now and then a name inside the image."""
    style = _style(rng)
    lines = sorted(_lines(rng, time), key=lambda _: rng.random())
    number, inside, which, column, row = throw(rng, 5)
    texts: list[Text] = []
    for corner in corners[: int(3.4 * number + 0.4)]:
        count = 1 + int(2 * rng.random())
        beside = [text for text in texts if (text.row > 0.5) == bool(corner & 2)]
        texts += _in_corner(style, corner, [line for line in lines[:count] if _fits(line, style, beside)])
        lines = lines[count:]
    if inside < 0.12:
        name = _NAMES[int(len(_NAMES) * which)]
        texts.append(replace(style, text=name, column=0.2 + 0.2 * column, row=0.2 + 0.6 * row))
    return tuple(texts)


def _style(rng: np.random.Generator) -> Text:
    """Draw size, color and font of the texts of an image."""
    size, color, ground, font = throw(rng, 4)
    letters = _COLORS[int(len(_COLORS) * color)]
    style = Text('', 0.0, 0.0, stable(0.022 + 0.028 * size * size), letters, None, _FONTS[int(len(_FONTS) * font)])
    if ground < 0.75:
        return style
    behind, letters = _GROUNDS[int(12 * (ground - 0.75))]
    return replace(style, color=letters, ground=behind)


def _fits(line: str, style: Text, beside: list[Text]) -> bool:
    """Return whether a line and those beside it fit into a square image; letters are about as wide as high."""
    return (len(line) + max((len(text.text) for text in beside), default=0)) * style.height < 0.95


def _in_corner(style: Text, corner: int, lines: list[str]) -> list[Text]:
    """Place lines into a corner: bit 0 of it is right, bit 1 is the foot."""
    pitch = 1.8 * style.height
    top = 0.98 - pitch * (len(lines) - 1) if corner & 2 else 0.02 + pitch
    left = 0.98 if corner & 1 else 0.02  # the drawing moves what would leave the image
    return [replace(style, text=line, column=left, row=top + pitch * i) for i, line in enumerate(lines)]


def _lines(rng: np.random.Generator, time: str) -> list[str]:
    """Draw a date and other lines that programs write."""
    year, month, day, hour, minute, second, gain, warm, name, style = throw(rng, 10)
    first, hours = {'day': (8, 9), 'dusk': (17, 4), 'night': (22, 6)}[time]
    date = (2012 + int(15 * year), 1 + int(12 * month), 1 + int(28 * day))
    clock = f'{(first + int(hours * hour)) % 24:02d}:{int(60 * minute):02d}:{int(60 * second):02d}'
    exposure = f'Exp {1000 / (1 + int(4000 * gain)):.2f} ms' if time == 'day' else f'Exp {1 + int(59 * gain)} s'
    return [
        _DATES[int(4 * style)].format(*date, clock),
        clock,
        _NAMES[int(len(_NAMES) * name)],
        exposure,
        f'Gain {int(400 * gain)}',
        f'T {45 * warm - 15:.1f} C',
    ]
