"""Time series as datasets of the CF conventions 1.11 and of ACDD 1.3, the Attribute Convention for Data Discovery."""

import json
from datetime import datetime, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.sky.camera.cover_calibration import INTERVALS
from hyperbolic_seg.sky.camera.coverage import Cover
from hyperbolic_seg.sky.camera.quality import QUALITIES
from hyperbolic_seg.sky.camera.series import utc_of
from hyperbolic_seg.sky.camera.series_parts import moon_coordinates, region_variables
from hyperbolic_seg.sky.camera.sun import Place
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    import xarray

    from hyperbolic_seg.sky.camera.series import Series

PHASES = ('day', 'dusk', 'night')

# The conventions forbid missing values in a coordinate.
ENCODING: dict[str, dict[str, Any]] = dict(
    time=dict(units='seconds since 1970-01-01T00:00:00Z', dtype='float64', calendar='standard', _FillValue=None),
)
"""How xarray writes the variables."""

_TITLE = 'Cloud cover from images of a ground-based camera'
_COMMENT = (
    'Shares are of the visible sky, weighted by solid angle. Images of quality refused have no shares. There is no '
    'value between images, and none was filled in. Elevations of the sun include refraction.'
)
_INTERVALS = (
    'model: by the model alone, without a guarantee. calibrated: holds the true cover of a picture of a new day with '
    'at least the confidence of the calibration, if days are exchangeable. outside: that guarantee does not hold here'
)
_LONG = dict(
    fraction='share of the visible sky',
    low='lower end of the interval of the share',
    high='upper end of the interval of the share',
    oktas='eighths of the sky',
)


def as_dataset(series: 'Series') -> 'xarray.Dataset':
    """Return a series as a dataset, see :meth:`~hyperbolic_seg.sky.camera.Series.dataset`.

    Raises:
        ImportError: xarray is not installed.
        ValueError: Two images have the same time, or the images are from several places.
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise ImportError("NetCDF needs xarray and netCDF4: pip install 'hyperbolic-seg[app]'") from error
    _check_times(series)
    found: dict[str, Any] = {}
    for part in Cover._fields:
        found |= _cover_variables(part, series.values(part))
    found |= region_variables(series.records, series.regions)
    return xr.Dataset(found | _sun_variables(series) | _quality_variables(series), _coordinates(series), _about(series))


def _check_times(series: 'Series') -> None:
    for one, other in pairwise(series.records):
        if utc_of(one) == utc_of(other):
            raise ValueError(
                f'{one["image"]} and {other["image"]} have the same time, {one["time"]}: the times of NetCDF increase. '
                'Are there seconds in the names that time_format leaves out? The table (.csv) takes both'
            )


def _cover_variables(part: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the variables of one part of cover, by all cloud and by class.

    Args:
        part: A field of :class:`~hyperbolic_seg.sky.camera.Cover`.
        values: (T, 1 + classes), all cloud first.
    """
    suffix = '' if part == 'fraction' else f'_{part}'
    # The unit of an okta is an eighth, so that 8 oktas are the share 1.
    about: dict[str, Any] = dict(units='0.125' if part == 'oktas' else '1', coverage_content_type='modelResult')
    others = 'quality' if suffix else 'quality cloud_low cloud_high'
    of_interval = ' cloud_interval' if part != 'oktas' else ''
    return {
        f'cloud{suffix}': (
            'time',
            values[:, 0].astype(np.float32),
            about
            | dict(
                standard_name='cloud_area_fraction',
                long_name=f'{_LONG[part]}, all cloud',
                ancillary_variables=others + of_interval,
            ),
        ),
        f'cover{suffix}': (
            ('class_number', 'time'),  # time last, as the conventions recommend
            values[:, 1:].T.astype(np.float32),
            about
            | dict(
                standard_name='area_fraction',
                long_name=f'{_LONG[part]}, by class',
                ancillary_variables=others.replace('cloud', 'cover'),
            ),
        ),
    }


def _sun_variables(series: 'Series') -> dict[str, Any]:
    suns = [record['sun'] or {} for record in series.records]
    long = dict(
        elevation='elevation of the center of the sun, with refraction',
        azimuth='azimuth of the sun, clockwise from north',
    )
    found: dict[str, Any] = {}
    for key, name in long.items():
        about = dict(
            standard_name=f'solar_{key}_angle',
            long_name=name,
            units='degree',
            coverage_content_type='auxiliaryInformation',
        )
        found[f'solar_{key}'] = 'time', np.array([sun.get(key, np.nan) for sun in suns], np.float32), about
    phases = [sun.get('phase') for sun in suns]
    return found | dict(phase=_flags(phases, PHASES, long_name='time of day by the elevation of the sun'))


def _quality_variables(series: 'Series') -> dict[str, Any]:
    reasons = ['; '.join(record.get('quality_reasons') or ()) for record in series.records]
    about = dict(long_name='why an image is not ok', coverage_content_type='qualityInformation')
    qualities = [record.get('quality') for record in series.records]
    intervals = [record.get('interval') or {} for record in series.records]
    outside = ['; '.join(interval.get('outside', ())) for interval in intervals]
    of_outside = dict(about, long_name='why the guarantee of a calibrated interval does not hold')
    kinds = [interval.get('kind') for interval in intervals]
    return dict(
        quality=_flags(qualities, QUALITIES, long_name='quality of the image', standard_name='quality_flag'),
        quality_reasons=('time', np.array([printable(text) for text in reasons], object), about),
        cloud_interval=_flags(kinds, INTERVALS, long_name='what the interval of all cloud is', comment=_INTERVALS),
        cloud_interval_outside=('time', np.array([printable(text) for text in outside], object), of_outside),
    )


def _flags(values: list[str | None], meanings: tuple[str, ...], **about: str) -> tuple[str, NDArray[np.int8], Any]:
    """Return a variable of flags, -1 where there is none."""
    numbers = np.array([-1 if value is None else meanings.index(value) for value in values], np.int8)
    flags = dict(flag_values=np.arange(len(meanings), dtype=np.int8), flag_meanings=' '.join(meanings))
    return 'time', numbers, about | flags | dict(_FillValue=np.int8(-1), coverage_content_type='qualityInformation')


def _coordinates(series: 'Series') -> dict[str, Any]:
    images = np.array([printable(record['image']) for record in series.records], object)
    classes = np.array([printable(name) for name in series.classes], object)
    about_time = dict(
        standard_name='time', long_name='time of the image', axis='T', units_metadata='leap_seconds: none'
    )
    found: dict[str, Any] = dict(
        time=('time', series.times, about_time),
        # A coordinate variable, named like its dimension, would have to be numeric.
        cloud_class=('class_number', classes, dict(long_name='prompt of the class')),
        image=('time', images, dict(long_name='file of the image')),
        **moon_coordinates(series.records),
    )
    if series.regions:
        regions = np.array([printable(name) for name in series.regions], object)
        found['region'] = 'region_number', regions, dict(long_name='part of the sky')
    place = series.place
    if place is None:
        return found
    station = _station(series, place)
    found['station'] = (), station, dict(standard_name='platform_name', long_name='station', cf_role='timeseries_id')
    for name, units, axis in (('latitude', 'degrees_north', 'Y'), ('longitude', 'degrees_east', 'X')):
        found[name] = (), getattr(place, name), dict(standard_name=name, long_name=name, units=units, axis=axis)
    if place.altitude:
        about = dict(standard_name='altitude', long_name='altitude above sea level', units='m', positive='up', axis='Z')
        found['altitude'] = (), place.altitude, about
    return found


def _station(series: 'Series', place: Place) -> str:
    """Return the name of the station; without one, what says where it is."""
    given = None if series.camera is None else series.camera.station
    return given or f'camera at {place.latitude:.4f} degrees north, {place.longitude:.4f} east'


def _about(series: 'Series') -> dict[str, Any]:
    """Return the global attributes; those of the operator replace the descriptive ones."""
    about = series.about()
    now = f'{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}'
    found: dict[str, Any] = dict(
        title=_TITLE,
        summary=f'{_TITLE}: by prompts, with intervals and oktas, day, dusk and night, and the quality of each image.',
        keywords='cloud cover, cloud area fraction, oktas, sky camera, all-sky imager',
        comment=_COMMENT,
        processing_level='retrieved from single images',
    )
    found |= {} if series.camera is None else series.camera.attributes
    found |= dict(
        Conventions='CF-1.11, ACDD-1.3',
        source=f'hyperbolic_seg {__version__}, segmentation of images',
        history=f'{now} written by hyperbolic_seg {__version__}',
        date_created=now,
        standard_name_vocabulary='CF Standard Name Table v93',
        prompts=printable(', '.join(about['prompts'])),
        models=json.dumps(about['models']),
    )
    if about['camera'] is not None:
        found['camera_settings'] = json.dumps(about['camera'])
    return found | _time_coverage(series) | _place_coverage(series)


def _time_coverage(series: 'Series') -> dict[str, Any]:
    start, end = (utc_of(series.records[index]) for index in (0, -1))
    found = dict(
        time_coverage_start=start.isoformat().replace('+00:00', 'Z'),
        time_coverage_end=end.isoformat().replace('+00:00', 'Z'),
        time_coverage_duration=_duration((end - start).total_seconds()),
    )
    return found | (dict(time_coverage_resolution=_duration(series.step.median)) if series.step.median else {})


def _duration(seconds: float) -> str:
    """Return a duration as ISO 8601 writes it, to the microsecond."""
    return f'PT{seconds:.6f}'.rstrip('0').rstrip('.') + 'S'


def _place_coverage(series: 'Series') -> dict[str, Any]:
    place = series.place
    if place is None:
        return {}
    found: dict[str, Any] = dict(
        featureType='timeSeries',
        cdm_data_type='Station',
        id=f'{"_".join(_station(series, place).split())}_cloud_cover_{utc_of(series.records[0]):%Y%m%dT%H%M%SZ}',
        geospatial_bounds=f'POINT ({place.latitude} {place.longitude})',
        geospatial_bounds_crs='EPSG:4326',
    )
    for short, units in (('lat', 'degrees_north'), ('lon', 'degrees_east')):
        value = place.latitude if short == 'lat' else place.longitude
        names = f'geospatial_{short}_'
        found |= {f'{names}min': value, f'{names}max': value, f'{names}units': units}
    if place.altitude:
        ends = dict(geospatial_vertical_min=place.altitude, geospatial_vertical_max=place.altitude)
        found |= ends | dict(geospatial_vertical_units='m', geospatial_vertical_positive='up')
        found['geospatial_bounds_vertical_crs'] = 'EPSG:5714'  # height above mean sea level
    return found
