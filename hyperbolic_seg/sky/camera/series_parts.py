"""Columns and variables of the moon and of regions in a time series."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyperbolic_seg.sky.camera.coverage import Cover
from hyperbolic_seg.sky.camera.moon import Moon

Record = dict[str, Any]

_MOON_UNITS = dict(elevation='degree', azimuth='degree', illumination='1')
_MOON_NAMES = dict(
    elevation='elevation of the moon above the horizon',
    azimuth='azimuth of the moon, clockwise from north',
    illumination='illuminated fraction of the disk of the moon',
)
_COVER_NAMES = dict(
    fraction='share of the visible sky, all cloud, by region',
    low='lower end of the interval, all cloud, by region',
    high='upper end of the interval, all cloud, by region',
    oktas='eighths of the sky, all cloud, by region',
)


def regions_of(records: Sequence[Record]) -> list[str]:
    """Return the names of all regions of records, in their order; older records have none."""
    return list(dict.fromkeys(name for record in records for name in record.get('regions') or ()))


def titles(regions: Sequence[str]) -> list[str]:
    """Return the titles of the columns of the moon and of regions."""
    covers = [f'all cloud in {name} {part}' for name in regions for part in Cover._fields]
    return [*(f'moon {part}' for part in Moon._fields), *covers]


def numbers(record: Record, regions: Sequence[str]) -> list[float | None]:
    """Return the numbers of a record below :func:`titles`, ``None`` where it has none."""
    moon = record.get('moon') or {}
    covers = [found.get(part) for found in _covers(record, regions) for part in Cover._fields]
    return [*(moon.get(part) for part in Moon._fields), *covers]


def moon_coordinates(records: Sequence[Record]) -> dict[str, Any]:
    """Return the coordinates of the moon for a dataset, along ``time``; the conventions have no standard names."""
    found: dict[str, Any] = {}
    moons = [record.get('moon') or {} for record in records]
    for part in Moon._fields:
        values = np.array([moon.get(part, np.nan) for moon in moons], np.float32)
        found[f'moon_{part}'] = ('time', values, dict(units=_MOON_UNITS[part], long_name=_MOON_NAMES[part]))
    return found


def region_variables(records: Sequence[Record], regions: Sequence[str]) -> dict[str, Any]:
    """Return the variables of regions for a dataset, along ``region_number`` and ``time``; none without regions."""
    found: dict[str, Any] = {}
    covers = [_covers(record, regions) for record in records]
    for part in Cover._fields if regions else ():
        values = np.array([[each.get(part, np.nan) for each in row] for row in covers], np.float32)
        name = 'region_cloud' if part == 'fraction' else f'region_cloud_{part}'
        about = dict(
            standard_name='cloud_area_fraction',
            long_name=_COVER_NAMES[part],
            units='0.125' if part == 'oktas' else '1',
            coverage_content_type='modelResult',
            ancillary_variables='quality',
        )
        found[name] = ('region_number', 'time'), values.T, about
    return found


def _covers(record: Record, regions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the cover of every region, empty where a record has none."""
    own = record.get('regions') or {}
    return [own.get(name) or {} for name in regions]
