"""Keograms: the sky along the meridian, one column for every image of a day."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.sky.camera.mask import read_mask
from hyperbolic_seg.sky.camera.plots import DAY, new_figure, spans_of
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Runs = list[tuple[str | None, int]]
"""Names of classes from south to north, each with its number of degrees; ``None`` where the sky is hidden."""

_COLUMN = np.timedelta64(30, 's')
_COLUMNS = int(DAY / _COLUMN)
_HIDDEN, _UNKNOWN = (205, 205, 205), (120, 120, 120)


def check_keogram(camera: SkyCamera) -> None:
    """Check that the meridian of a camera is known.

    Raises:
        ValueError: The camera file has neither a dome nor a calibration.
    """
    if camera.center is None and camera.calibration is None:
        raise ValueError('a keogram needs center and radius of the dome, or a calibration, in the camera file')


def meridian(labels: NDArray[Any], camera: SkyCamera) -> NDArray[np.intp]:
    """Return the labels along the meridian from south through the zenith to north, one for every degree.

    Args:
        labels: Indices of the classes, (H, W).
        camera: The camera, with a dome or a calibration.

    Returns:
        The labels, (2 Z + 1,) for a zenith limit of Z whole degrees; -1 where the lens, the image or the mask of the
        camera ends.

    Raises:
        ValueError: The camera file has neither, or the image has another shape than those that it is for.
    """
    check_keogram(camera)
    height, width = labels.shape
    lens = camera.lens(np.broadcast_to(np.uint8(0), (height, width, 3)))
    widest = int(camera.zenith_limit)
    angles = np.arange(-widest, widest + 1, dtype=np.float64)
    x, y = lens.pixels(np.abs(angles), np.where(angles < 0, 180.0, 0.0))
    columns, rows = (np.nan_to_num(np.rint(each), nan=-1).astype(np.intp) for each in (x, y))
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    if camera.mask is not None:
        seen = read_mask(camera.mask)
        inside[inside] = seen[rows[inside] * seen.shape[0] // height, columns[inside] * seen.shape[1] // width]
    found = np.full(len(angles), -1, np.intp)
    found[inside] = labels[rows[inside], columns[inside]]
    return found


def runs_of(column: NDArray[np.intp], classes: Sequence[str]) -> Runs:
    """Return a column of :func:`meridian` as runs of the names of its classes."""
    names = (None if label < 0 else classes[label] for label in column.tolist())
    return [(name, len(list(same))) for name, same in groupby(names)]


def draw_keogram(columns: Mapping[datetime, Runs], day: str, palette: Mapping[str, Sequence[int]]) -> 'Figure':
    """Draw the columns of a day in UTC at their times; the time between is empty.

    Args:
        columns: Runs by time, with time zones.
        day: Date such as ``'2026-11-27'``.
        palette: RGB colors by class; others are dark gray.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: There is no column.
    """
    import matplotlib.dates
    from matplotlib.patches import Patch

    if not columns:
        raise ValueError('a keogram needs at least one image')
    colors: dict[str | None, Any] = {name: tuple(color) for name, color in palette.items()} | {None: _HIDDEN}
    figure = new_figure(11, 4)
    axes = figure.add_subplot()
    names = {name for runs in columns.values() for name, _ in runs}
    widest = max(sum(count for _, count in runs) for runs in columns.values()) // 2
    ends = matplotlib.dates.date2num([np.datetime64(day), np.datetime64(day) + DAY])
    axes.imshow(
        _paint(columns, day, colors, 2 * widest + 1),
        origin='lower',
        aspect='auto',
        interpolation='nearest',
        extent=(*ends, -widest - 0.5, widest + 0.5),
    )
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set(xlabel=f'{day}, UTC', ylabel='zenith angle, degrees')
    half = widest // 2
    axes.set_yticks(
        (-widest, -half, 0, half, widest), (f'{widest} S', f'{half} S', 'zenith', f'{half} N', f'{widest} N')
    )
    order = [name for name in palette if name in names] + sorted(n for n in names if n is not None and n not in palette)
    shown = [(printable(name), colors.get(name, _UNKNOWN)) for name in order]
    shown += [('hidden', _HIDDEN)] if None in names else []
    axes.patch.set(hatch='////', facecolor='white', edgecolor='0.8')  # other than white, as a class may be
    patches = [Patch(color=f'#{red:02x}{green:02x}{blue:02x}', label=name) for name, (red, green, blue) in shown]
    patches.append(Patch(hatch='////', facecolor='white', edgecolor='0.8', label='no labels'))
    axes.legend(handles=patches, loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _paint(
    columns: Mapping[datetime, Runs], day: str, colors: Mapping[str | None, Any], height: int
) -> NDArray[np.uint8]:
    """Return the image of a day, (degrees, columns, 4), RGBA, from south up to north, transparent where no image is."""
    canvas = np.zeros((height, _COLUMNS, 4), np.uint8)
    ordered = sorted(columns)
    times = np.array([time.astimezone(timezone.utc).replace(tzinfo=None) for time in ordered], 'datetime64[us]')
    places = (spans_of(times) - np.datetime64(day)) / _COLUMN
    for time, (begin, end) in zip(ordered, places, strict=True):
        first = min(max(round(begin), 0), _COLUMNS - 1)
        painted = np.concatenate([np.tile(colors.get(name, _UNKNOWN), (count, 1)) for name, count in columns[time]])
        off = (height - len(painted)) // 2  # columns of a camera file with another zenith limit are centered
        column = canvas[off : off + len(painted), first : max(round(end), first + 1)]
        column[..., :3], column[..., 3] = painted[:, None], 255
    return canvas
