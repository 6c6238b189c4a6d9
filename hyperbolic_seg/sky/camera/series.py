"""Time series of observations: ordered by time, and written as CSV, as NetCDF and as a plot."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import whole_file, write_whole
from hyperbolic_seg.sky.camera.series_parts import regions_of
from hyperbolic_seg.sky.camera.sun import Place

if TYPE_CHECKING:
    import xarray

    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
    from hyperbolic_seg.sky.camera.table import Columns

GAP = 3
"""Steps between two images, relative to the median step, above which there is a gap."""

_SAME_PLACE = 0.01
"""Degrees of latitude, about a kilometer, that the fixes of one receiver of GPS do not differ by."""


class Step(NamedTuple):
    """Time from one image to the next."""

    median: float
    """Seconds; 0 for a series of one image."""
    gaps: NDArray[np.bool_]
    """True where a gap follows an image, (records - 1,)."""


class Series:
    """Observations ordered by time.

    Each file is written as a whole: an error leaves the file that was there.

    Args:
        records: Records of :func:`~hyperbolic_seg.sky.camera.as_record` with the key ``image``. Records
            without a ``time`` are left out, and counted in ``left_out``. Of records of one image at one time, as of
            an image that was written again, the last one counts.
        camera: The camera, whose place and settings the files name.

    Raises:
        ValueError: No record has a time.
    """

    def __init__(self, records: Iterable[dict[str, Any]], *, camera: 'SkyCamera | None' = None) -> None:
        given = list(records)
        timed = [record for record in given if record.get('time')]
        if not timed:
            raise ValueError('no image has a time: set time_format in the camera file, or keep the EXIF data')
        self.left_out = len(given) - len(timed)
        self.camera = camera
        last = {(utc_of(record), record['image']): record for record in timed}
        self.records = sorted(last.values(), key=utc_of)
        self.classes = list(dict.fromkeys(name for record in self.records for name in record['cover']))
        self.regions = regions_of(self.records)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Times in UTC, (records,)."""
        return np.array([utc_of(record).replace(tzinfo=None) for record in self.records], 'datetime64[us]')

    @property
    def step(self) -> Step:
        """The usual time between two images, and where more is a gap."""
        steps = np.diff(self.times) / np.timedelta64(1, 's')
        median = float(np.median(steps)) if len(steps) else 0.0
        return Step(median, steps > GAP * median)

    @cached_property
    def place(self) -> Place | None:
        """The place: that of the camera file, or the median of those of the images; ``None`` if unknown.

        Raises:
            ValueError: The images are from several places.
        """
        camera = self.camera
        if camera is not None and camera.latitude is not None and camera.longitude is not None:
            return Place(camera.latitude, camera.longitude, camera.altitude)
        found = [Place(**record['place']) for record in self.records if record.get('place')]
        if not found:
            return None
        middle = Place(*np.median(np.array(found, np.float64), axis=0).tolist())
        for place in found:
            if max(abs(place.latitude - middle.latitude), abs(place.longitude - middle.longitude)) > _SAME_PLACE:
                raise ValueError(
                    f'the images are from several places, such as {place} and {middle}: a time series is of one; give '
                    'latitude and longitude in the camera file, or make a series for each place'
                )
        return middle

    @property
    def columns(self) -> 'Columns':
        """Columns of the table."""
        from hyperbolic_seg.sky.camera.table import Columns

        return Columns(self.classes, self.regions)

    def covers(self, record: dict[str, Any]) -> list[dict[str, Any] | None]:
        """Return the cover of a record by all cloud and by every class; ``None`` where a record has none."""
        return [record['cloud'], *(record['cover'].get(name) for name in self.classes)]

    def values(self, part: str) -> NDArray[np.float64]:
        """Return one part of cover, (records, 1 + classes), NaN where a record has none.

        Args:
            part: ``'fraction'``, ``'low'``, ``'high'`` or ``'oktas'``.
        """
        rows = [[np.nan if cover is None else cover[part] for cover in self.covers(record)] for record in self.records]
        return np.array(rows, np.float64)

    def about(self) -> dict[str, Any]:
        """Return what else the files say: ``station``, ``camera``, the ``models`` and the ``prompts``."""
        from hyperbolic_seg.sky.camera.about import settings_of

        models = dict.fromkeys(json.dumps(record['model']) for record in self.records if record.get('model'))
        prompts = dict.fromkeys(name for record in self.records for name in record.get('fractions', ()))
        return dict(
            station=None if self.camera is None else self.camera.station,
            camera=None if self.camera is None else settings_of(self.camera),
            models=[json.loads(model) for model in models],
            prompts=list(prompts),
        )

    def dataset(self) -> 'xarray.Dataset':
        """Return the series as a dataset of the CF conventions 1.11 and of ACDD 1.3.

        Raises:
            ImportError: xarray is not installed.
            ValueError: Two images have the same time, or the images are from several places.
        """
        from hyperbolic_seg.sky.camera.netcdf import as_dataset

        return as_dataset(self)

    def write(self, file: str | Path) -> None:
        """Write a file of the kind that its suffix names: ``.csv``, ``.nc`` or ``.png``.

        Raises:
            ImportError: A library is not installed.
            OSError: The file cannot be written.
            ValueError: There is no such kind, or see :meth:`dataset`.
        """
        kinds: dict[str, Callable[[str | Path], None]] = {
            '.csv': self.write_csv,
            '.nc': self.write_netcdf,
            '.png': self.plot,
        }
        if (suffix := Path(file).suffix) not in kinds:
            raise ValueError(f'{file}: expected a suffix of {", ".join(kinds)}')
        kinds[suffix](file)

    def write_csv(self, file: str | Path) -> None:
        """Write a row per image, and beside it ``FILE-metadata.json``, as CSV on the Web describes a table.

        Raises:
            OSError: A file cannot be written.
        """
        from hyperbolic_seg.sky.camera.table import describe, write_table

        file = Path(file)
        with whole_file(file) as part:
            write_table(self, part)
        content = json.dumps(describe(self, file.name), indent=1)
        write_whole(file.with_name(f'{file.name}-metadata.json'), content.encode() + b'\n')

    def write_netcdf(self, file: str | Path) -> None:
        """Write :meth:`dataset` as NetCDF 4.

        Raises:
            ImportError: xarray or netCDF4 is not installed.
            OSError: The file cannot be written.
            ValueError: See :meth:`dataset`.
        """
        from hyperbolic_seg.sky.camera.netcdf import ENCODING

        found = self.dataset()
        with whole_file(file) as part:
            found.to_netcdf(part, engine='netcdf4', encoding=ENCODING)

    def plot(self, file: str | Path) -> None:
        """Plot the shares of all clouds, with their interval, and of every class over time, as PNG.

        Raises:
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        from hyperbolic_seg.sky.camera.plots import plot_series

        figure = plot_series(self)
        with whole_file(file) as part:
            figure.savefig(part, dpi=130)


def utc_of(record: dict[str, Any]) -> datetime:
    """Return the time of a record in UTC."""
    return datetime.fromisoformat(record['time']).astimezone(timezone.utc)
