"""Files of a calibration: the camera file, the mask, and figures to check both by eye."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import yaml

from hyperbolic_seg.files import own_path, write_whole
from hyperbolic_seg.sky.camera.calibration.procedure import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = ('camera.yaml', 'mask.png', 'camera.png')
"""Files that are written."""

_GIVEN = ('latitude', 'longitude', 'altitude', 'time_format', 'time_fallback', 'timezone')
_RED, _GREEN, _BLUE = '#e41a1c', '#4daf4a', '#377eb8'


def camera_file(calibration: Calibration) -> str:
    """Return the text of a camera file, with the figures of merit as comments."""
    camera, settings = calibration.camera, calibration.settings
    given = {name: getattr(camera, name) for name in _GIVEN if getattr(camera, name) not in (None, 0.0)}
    if 0.0 in (camera.latitude, camera.longitude):
        given |= dict(latitude=camera.latitude, longitude=camera.longitude)
    if calibration.mask is not None:
        settings['mask'] = FILES[1]
    lines = [f'# {len(calibration.pictures.files)} pictures']
    for part in calibration.parts:
        lines.append(f'# {part.name}{"" if part.settings else " left out"}: {" ".join(part.merit.split())}')
    if (leeway := calibration.leeway) is not None:
        lines.append(f'# times: {leeway.words}')
    lines += [f'# {" ".join(words.split())}' for words in calibration.warnings]
    return (
        '\n'.join(lines)
        + '\n'
        + (yaml.safe_dump({**settings, **given}, sort_keys=False, default_flow_style=None) if settings or given else '')
    )


def write_calibration(calibration: Calibration, folder: str | Path) -> list[Path]:
    """Write the camera file, the mask if there is one, and the figures.

    Args:
        calibration: The calibration.
        folder: Where to; it is made. Files there are replaced.

    Returns:
        The files.

    Raises:
        OSError: A file cannot be written.
        ImportError: Matplotlib is not installed.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    content: dict[str, bytes] = {}
    if calibration.mask is not None:
        content[FILES[1]] = cv2.imencode('.png', calibration.mask.astype(np.uint8) * 255)[1].tobytes()
    content[FILES[2]] = _png(draw(calibration))
    content[FILES[0]] = camera_file(calibration).encode('utf-8')  # the last, because it names the mask
    paths = [own_path(folder, name) for name in content]
    for path, part in zip(paths, content.values(), strict=True):
        write_whole(path, part)
    return paths


def _png(figure: 'Figure') -> bytes:
    import io

    stream = io.BytesIO()
    figure.savefig(stream, format='png', dpi=100)
    return stream.getvalue()


def draw(calibration: Calibration) -> 'Figure':
    """Draw the dome, the mask and the suns, the errors by time, and the lens.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'hyperbolic-seg[app]'") from error
    figure = Figure(figsize=(14, 8), layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
    _draw_picture(figure.add_subplot(grid[:, 0]), calibration)
    _draw_errors(figure.add_subplot(grid[0, 1]), calibration)
    _draw_lens(figure.add_subplot(grid[1, 1]), calibration)
    left_out = [part.name for part in calibration.parts if not part.settings]
    figure.suptitle('all parts determined' if not left_out else f'left out: {", ".join(left_out)}', fontsize=11)
    return figure


def _draw_picture(axes: 'Axes', calibration: Calibration) -> None:
    """Draw the median picture with the dome, the mask, north and east, and the sun as seen and as computed."""
    pictures = calibration.pictures
    width, height = pictures.size
    middle = np.median(pictures.stack, 0).astype(np.uint8)[..., ::-1]
    axes.imshow(middle, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation='bilinear')
    if calibration.mask is not None:
        shade = np.zeros((height, width, 4), np.float32)
        shade[~calibration.mask] = (0.9, 0.1, 0.1, 0.45)
        axes.imshow(shade, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    if (dome := calibration.dome) is not None:
        turn = np.linspace(0, 2 * np.pi, 361)
        x, y = dome.center
        axes.plot(x + dome.radius * np.cos(turn), y + dome.radius * np.sin(turn), color=_GREEN, lw=1, label='dome')
    _draw_suns(axes, calibration)
    _draw_compass(axes, calibration)
    axes.set(
        xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), title='median picture; red: hidden', xlabel='x', ylabel='y'
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc='lower left', fontsize=8)


def _draw_suns(axes: 'Axes', calibration: Calibration) -> None:
    found, sightings, bodies = calibration.orientation, calibration.sightings, calibration.bodies
    if sightings is None or bodies is None:
        return
    axes.plot(*sightings.points.T, '.', color='0.7', ms=3, label='bright and round')
    if found is None:
        return
    chosen = found.fit.chosen
    elevation, azimuth = bodies.directions[sightings.pictures[chosen]].T
    x, y = found.fit.lens.pixels(90 - elevation, azimuth)
    axes.plot(*sightings.points[chosen].T, 'o', mfc='none', mec='yellow', ms=8, label='sun, moon or star, as seen')
    axes.plot(x, y, '+', color=_BLUE, ms=8, label='sun, moon or star, as computed')


def _draw_compass(axes: 'Axes', calibration: Calibration) -> None:
    found = calibration.orientation
    if found is None or 'north' not in calibration.settings:
        return
    reach = min(60.0, 0.8 * found.fit.lens.limit)
    x, y = found.fit.lens.pixels(np.array([0.0, reach, reach]), np.array([0.0, 0.0, 90.0]))
    for name, at in (('N', 1), ('E', 2)):
        arrow = dict(arrowstyle='-', color='white', lw=1)
        axes.annotate(name, xy=(x[0], y[0]), xytext=(x[at], y[at]), color='white', weight='bold', arrowprops=arrow)
    axes.plot(x[0], y[0], 'x', color='white', label='zenith')


def _draw_errors(axes: 'Axes', calibration: Calibration) -> None:
    """Draw the errors of the suns by their azimuth."""
    found, sightings, bodies = calibration.orientation, calibration.sightings, calibration.bodies
    if found is None or sightings is None or bodies is None:
        axes.text(0.5, 0.5, 'no sun, moon or star fits', ha='center', transform=axes.transAxes)
        axes.set_axis_off()
        return
    owners = sightings.pictures[found.fit.chosen]
    moons, stars = bodies.moons[owners], bodies.stars[owners]
    kinds = ('sun', ~(moons | stars), 'orange'), ('moon', moons, _BLUE), ('star', stars, '0.4')
    for name, which, color in kinds:
        if which.any():
            axes.plot(bodies.directions[owners, 1][which], found.fit.errors[which], 'o', color=color, ms=4, label=name)
    axes.set(
        xlabel='azimuth, degrees',
        ylabel='error, degrees',
        title=f'{agreement_words(calibration)}, error {found.fit.rms:.2f} degrees',
    )
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def agreement_words(calibration: Calibration) -> str:
    """Return how many pictures and stars agree with the fit."""
    agree = calibration.agreement
    return f'{agree.pictures} of {agree.of} pictures' + (f' and {agree.stars} stars' if agree.stars else '')


def _draw_lens(axes: 'Axes', calibration: Calibration) -> None:
    """Draw the distance of the suns from the center by their angle from the axis, and the projections that fit."""
    found, sightings, bodies = calibration.orientation, calibration.sightings, calibration.bodies
    if found is None or sightings is None or bodies is None:
        axes.set_axis_off()
        return
    from hyperbolic_seg.sky.camera.calibration.orientation import axis_angles

    chosen = found.fit.chosen
    seen = axis_angles(found.fit, bodies.directions[sightings.pictures[chosen]])
    off = np.hypot(*(sightings.points[chosen] - found.fit.values[:2]).T)
    axes.plot(seen, off, 'o', color='orange', ms=4)
    for one, style in [(found.fit, '-'), *((rival, '--') for rival in found.rivals)]:
        angles = np.linspace(0, min(95.0, one.lens.limit), 100)
        axes.plot(angles, one.values[2] * one.lens.projection.radius(np.radians(angles)), style, label=one.projection)
    axes.set(xlabel='angle from the axis, degrees', ylabel='distance from the center, pixels', title='lens')
    axes.legend(fontsize=8)


def as_record(calibration: Calibration) -> dict[str, Any]:
    """Return a calibration as a record for JSON: settings, parts with their merit, warnings, and refused files."""
    found, leeway = calibration.orientation, calibration.leeway
    fit = None
    if found is not None:
        fit = dict(
            pictures=calibration.agreement.of,
            agree=calibration.agreement.pictures,
            stars=calibration.agreement.stars,
            error=round(found.fit.rms, 4),
            arc=round(found.arc, 2),
            uncertainty={name: round(value, 4) for name, value in found.uncertainty._asdict().items()},
        )
    return dict(
        pictures=len(calibration.pictures.files),
        settings=calibration.settings,
        parts=[
            dict(name=part.name, determined=bool(part.settings), certain=part.certain, merit=part.merit)
            for part in calibration.parts
        ],
        fit=fit,
        leeway=None if leeway is None else {name: round(value, 1) for name, value in leeway._asdict().items()},
        warnings=calibration.warnings,
        refused=calibration.pictures.refused,
    )
