"""Time series of observations: CSV, NetCDF by the CF conventions, and a plot."""

import csv
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import table_cell
from hyperbolic_seg.sky.camera import series_parts
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    import xarray

PHASES = ('day', 'dusk', 'night')
PARTS = ('fraction', 'low', 'high', 'oktas')


class Series:
    """Observations ordered by time.

    Args:
        records: Records of :func:`~hyperbolic_seg.sky.camera.as_record` with the key ``image``. Records
            without a ``time`` are left out.

    Raises:
        ValueError: No record has a time.
    """

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        timed = [record for record in records if record.get('time')]
        if not timed:
            raise ValueError('no image has a time: set time_format in the camera file, or keep the EXIF data')
        self.records = sorted(timed, key=lambda record: datetime.fromisoformat(record['time']))
        self.regions = series_parts.regions_of(self.records)
        self.classes = list(dict.fromkeys(name for record in self.records for name in record['cover']))

    def write_csv(self, file: str | Path) -> None:
        """Write a row per image, with times in UTC and names as :func:`~hyperbolic_seg.files.table_cell` keeps them."""
        names = ['all cloud', *self.classes]
        covers = [table_cell(f'{name} {part}') for name in names for part in PARTS]
        with Path(file).open('w', newline='', encoding='utf-8', errors='surrogateescape') as stream:
            table = csv.writer(stream)
            more = map(table_cell, series_parts.titles(self.regions))
            table.writerow(['time', 'image', 'sun elevation', 'sun azimuth', 'phase', *covers, *more])
            for record in self.records:
                sun = record['sun'] or {}
                direction = [_rounded(sun.get(key)) for key in ('elevation', 'azimuth')]
                numbers = [_rounded((cover or {}).get(part)) for cover in self._covers(record) for part in PARTS]
                time, image = _utc(record).isoformat().replace('+00:00', 'Z'), table_cell(record['image'], lead='./')
                others = map(_rounded, series_parts.numbers(record, self.regions))
                table.writerow([time, image, *direction, sun.get('phase', ''), *numbers, *others])

    def dataset(self) -> 'xarray.Dataset':
        """Return the series as a dataset of the CF conventions 1.11.

        Raises:
            ImportError: xarray is not installed.
        """
        import xarray as xr

        times = self._times()
        found: dict[str, Any] = {}
        for part in PARTS:
            found |= _variables(part, self._values(part))
        suns = [record['sun'] or {} for record in self.records]
        for key, standard in (('elevation', 'solar_elevation_angle'), ('azimuth', 'solar_azimuth_angle')):
            values = np.array([sun.get(key, np.nan) for sun in suns], np.float32)
            found[f'solar_{key}'] = ('time', values, dict(standard_name=standard, units='degree'))
        phase = np.array([PHASES.index(sun['phase']) if sun else -1 for sun in suns], np.int8)
        meaning = dict(flag_values=np.arange(3, dtype=np.int8), flag_meanings=' '.join(PHASES), long_name='time of day')
        found['phase'] = ('time', phase, meaning | dict(_FillValue=np.int8(-1)))
        found |= series_parts.variables(self.records, self.regions)
        coordinates = dict(
            time=('time', times, dict(standard_name='time', long_name='time of the image')),
            cloud_class=('cloud_class', self.classes, dict(long_name='prompt')),
            image=('time', [record['image'] for record in self.records], dict(long_name='file of the image')),
        )
        about = dict(
            Conventions='CF-1.11',
            title='Cloud cover from images of a ground-based camera',
            source=f'hyperbolic_seg {__version__}',
            history=f'{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ} written',
        )
        return xr.Dataset(found, coordinates, about)

    def write_netcdf(self, file: str | Path) -> None:
        """Write :meth:`dataset` as NetCDF 4."""
        # The conventions forbid missing values in a coordinate.
        seconds = dict(units='seconds since 1970-01-01', dtype='float64', calendar='standard', _FillValue=None)
        encoding = dict(time=seconds)
        self.dataset().to_netcdf(file, engine='netcdf4', encoding=encoding)

    def plot(self, file: str | Path) -> None:
        """Plot the shares of all clouds, with their interval, and of every class over time."""
        import matplotlib.dates
        import matplotlib.figure

        times, (fraction, low, high) = self._times(), map(self._values, ('fraction', 'low', 'high'))
        figure = matplotlib.figure.Figure(figsize=(9, 4.5), layout='constrained')
        axes = figure.add_subplot()
        for number, name in enumerate(self.classes, 1):
            axes.plot(times, fraction[:, number], linewidth=1, label=name)
        if not np.isnan(fraction[:, 0]).all():
            axes.fill_between(times, low[:, 0], high[:, 0], color='0.8', label='all cloud, interval')
            axes.plot(times, fraction[:, 0], color='black', label='all cloud')
        axes.set(ylim=(-0.02, 1.02), xlabel='UTC', ylabel='share of the visible sky')
        axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
        axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
        figure.savefig(file, dpi=130)

    def _times(self) -> NDArray[np.datetime64]:
        return np.array([_utc(record).replace(tzinfo=None) for record in self.records], 'datetime64[ns]')

    def _covers(self, record: dict[str, Any]) -> list[dict[str, Any] | None]:
        """Return the cover of a record by all cloud and by every class; ``None`` where a record has none."""
        return [record['cloud'], *(record['cover'].get(name) for name in self.classes)]

    def _values(self, part: str) -> NDArray[np.float64]:
        """Return one part of cover, (records, 1 + classes), NaN where a record has none."""
        rows = [[np.nan if cover is None else cover[part] for cover in self._covers(record)] for record in self.records]
        return np.array(rows, np.float64)


def _utc(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record['time']).astimezone(timezone.utc)


def _rounded(value: float | None) -> float | int | str:
    return '' if value is None else value if isinstance(value, int) else round(value, 4)


def _variables(part: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the variables of one part of cover, by all cloud and by class."""
    about: dict[str, Any] = dict(units='1')
    if part == 'fraction':
        standard, name = dict(standard_name='cloud_area_fraction', ancillary_variables='cloud_low cloud_high'), 'cloud'
        long = 'share of the visible sky'
    else:
        standard, name = {}, f'cloud_{part}'
        long = dict(low='lower end of the interval', high='upper end of the interval', oktas='eighths of the sky')[part]
    suffix = '' if part == 'fraction' else f'_{part}'
    return {
        name: ('time', values[:, 0].astype(np.float32), about | standard | dict(long_name=f'{long}, all cloud')),
        f'cover{suffix}': (
            ('time', 'cloud_class'),
            values[:, 1:].astype(np.float32),
            about | dict(long_name=f'{long}, by class'),
        ),
    }
