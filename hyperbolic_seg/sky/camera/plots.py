"""Plots of time series: of any length, and of a day in UTC."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.sky.camera.sun import Place, suns_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hyperbolic_seg.sky.camera.series import Series

DAY = np.timedelta64(1, 'D')

_PHASE_COLORS = dict(day='#fff7dc', dusk='#d5dcec', night='#aab3c9')
_QUALITY_COLORS = dict(ok='#2a9d5c', doubtful='#f2a33a', refused='#c8323c')
_LONGEST_STEP = np.timedelta64(1, 'h')  # an image stands for no more than this


def plot_series(series: 'Series') -> 'Figure':
    """Plot the shares of all clouds, with their interval, and of every class over time.

    Lines break at gaps and at images of quality refused. Doubtful images are marked.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(9, 4.5)
    axes = figure.add_subplot()
    times, shares = _broken(series, series.values('fraction'))
    for number, name in enumerate(series.classes, 1):
        axes.plot(times, shares[:, number], linewidth=1, marker='.', markersize=2, label=printable(name))
    _draw_cloud(axes, series)
    axes.set(ylim=(-0.02, 1.02), xlabel='UTC', ylabel='share of the visible sky')
    _format_times(axes)
    if axes.get_legend_handles_labels()[0]:  # none where all images are refused
        axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def plot_day(series: 'Series', day: str) -> 'Figure':
    """Plot the cloud cover of a day in UTC, with interval and oktas, above a bar of the quality of the images.

    The background shows day, dusk and night where the place is known.

    Args:
        series: Observations of that day.
        day: Date such as ``'2026-11-27'``.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(11, 4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(12, 1))
    if (place := series.place) is not None:
        _draw_phases(upper, day, place)
    _draw_cloud(upper, series)
    upper.plot(series.times, series.values('oktas')[:, 0] / 8, '+', color='#1f5fa8', markersize=4, label='oktas')
    upper.set(ylim=(-0.02, 1.02), ylabel='share of the visible sky')
    upper.secondary_yaxis('right', functions=(lambda share: share * 8, lambda oktas: oktas / 8)).set_ylabel('oktas')
    upper.legend(loc='upper left', bbox_to_anchor=(1.05, 1), frameon=False)
    _draw_quality(lower, series)
    lower.set(yticks=(), xlabel=f'{day}, UTC')
    lower.set_ylabel('quality', rotation='horizontal', ha='right', va='center')
    lower.set_xlim(np.datetime64(day), np.datetime64(day) + DAY)
    _format_times(lower)
    return figure


def new_figure(width: float, height: float) -> 'Figure':
    """Return an empty figure that belongs to no window.

    Args:
        width: Width in inches.
        height: Height in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'hyperbolic-seg[app]'") from error
    return matplotlib.figure.Figure(figsize=(width, height), layout='constrained')


def spans_of(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return begin and end of the time that every image stands for, (T, 2): half a usual step to both sides.

    Args:
        times: Times in increasing order, (T,).
    """
    steps = np.diff(times)
    usual = np.median(steps.astype('timedelta64[us]').astype(np.int64)) if len(steps) else 60e6
    half = min(np.timedelta64(int(usual), 'us'), _LONGEST_STEP) / 2
    return np.stack([times - half, times + half], axis=1)


def _broken(series: 'Series', values: NDArray[np.float64]) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Return times and values with a row of NaN in each gap, where a line breaks."""
    after = np.flatnonzero(series.step.gaps) + 1
    return np.insert(series.times, after, series.times[after]), np.insert(values, after, np.nan, axis=0)


def _draw_cloud(axes: 'Axes', series: 'Series') -> None:
    """Draw the share of all clouds with its interval, and mark the doubtful images."""
    shares, low, high = (series.values(part)[:, :1] for part in ('fraction', 'low', 'high'))
    if np.isnan(shares).all():
        return
    times, ends = _broken(series, np.concatenate([low, high, shares], axis=1))
    axes.fill_between(times, ends[:, 0], ends[:, 1], color='0.5', alpha=0.4, linewidth=0, label='all cloud, interval')
    axes.plot(times, ends[:, 2], color='black', marker='.', markersize=2, label='all cloud')
    doubtful = np.array([record.get('quality') == 'doubtful' for record in series.records])
    if doubtful.any():
        circles: dict[str, Any] = dict(marker='o', s=24, facecolors='none', edgecolors=_QUALITY_COLORS['doubtful'])
        axes.scatter(series.times[doubtful], shares[doubtful, 0], zorder=3, label='doubtful', **circles)


def _draw_phases(axes: 'Axes', day: str, place: Place) -> None:
    """Draw day, dusk and night of a day in UTC as a background."""
    import matplotlib.dates

    begin = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    times = [begin + timedelta(minutes=minutes) for minutes in range(24 * 60)]
    phases = [sun.phase for sun in suns_at(times, place)]
    edges = [0, *(i for i in range(1, len(phases)) if phases[i] != phases[i - 1]), len(phases)]
    named: set[str] = set()
    for first, last in pairwise(edges):
        phase = phases[first]
        since, until = (matplotlib.dates.date2num(begin + timedelta(minutes=i)) for i in (first, last))
        label = None if phase in named else phase
        named.add(phase)
        axes.axvspan(since, until, color=_PHASE_COLORS[phase], linewidth=0, label=label)


def _draw_quality(axes: 'Axes', series: 'Series') -> None:
    """Draw a bar with the quality of every image at its time."""
    import matplotlib.dates
    from matplotlib.patches import Patch

    spans = matplotlib.dates.date2num(spans_of(series.times))
    qualities = [record.get('quality') for record in series.records]
    for quality, color in (*_QUALITY_COLORS.items(), (None, '0.6')):
        chosen = [(begin, end - begin) for (begin, end), own in zip(spans, qualities, strict=True) if own == quality]
        axes.broken_barh(chosen, (0, 1), color=color, linewidth=0)
    axes.set_ylim(0, 1)
    present = [name for name in _QUALITY_COLORS if name in qualities]
    handles = [Patch(color=_QUALITY_COLORS[name], label=name) for name in present]
    axes.legend(handles=handles, loc='lower left', bbox_to_anchor=(1.05, -0.5), frameon=False)


def _format_times(axes: 'Axes') -> None:
    import matplotlib.dates

    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
