"""Time series as CSV, and what describes the table by the recommendation CSV on the Web of the W3C."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from hyperbolic_seg.files import printable, table_cell
from hyperbolic_seg.sky.camera.coverage import Cover
from hyperbolic_seg.sky.camera.series import utc_of
from hyperbolic_seg.sky.camera.series_parts import numbers, titles
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.series import Series

_LEADING = {
    'time': {'datatype': 'dateTime', 'dc:description': 'time of the image, UTC'},
    'image': {'datatype': 'string', 'dc:description': 'file of the image'},
    'sun elevation': {'datatype': 'number', 'dc:description': 'degrees above the horizon, with refraction'},
    'sun azimuth': {'datatype': 'number', 'dc:description': 'degrees clockwise from north'},
    'phase': {'datatype': 'string', 'dc:description': 'day, dusk or night'},
    'quality': {'datatype': 'string', 'dc:description': 'ok, doubtful or refused'},
    'quality_reasons': {'datatype': 'string', 'dc:description': 'why an image is not ok', 'separator': '; '},
    'interval': {'datatype': 'string', 'dc:description': 'interval of all cloud: model, calibrated or outside'},
    'interval_outside': {
        'datatype': 'string',
        'dc:description': 'why the guarantee of a calibrated interval does not hold',
        'separator': '; ',
    },
}
_MOON = {
    'elevation': {'datatype': 'number', 'dc:description': 'degrees above the horizon, with refraction'},
    'azimuth': {'datatype': 'number', 'dc:description': 'degrees clockwise from north'},
    'illumination': {'datatype': 'number', 'dc:description': 'illuminated fraction of the disk, 0 to 1'},
}
_PARTS = {
    'fraction': {'datatype': 'number', 'dc:description': 'share of the visible sky, 0 to 1'},
    'low': {'datatype': 'number', 'dc:description': 'lower end of the interval of the share'},
    'high': {'datatype': 'number', 'dc:description': 'upper end of the interval of the share'},
    'oktas': {'datatype': 'integer', 'dc:description': 'eighths of the sky'},
}


class Columns(NamedTuple):
    """Columns of a table beyond those that every table has."""

    classes: list[str]
    """Classes of the sky."""
    regions: list[str]
    """Parts of the sky."""

    def hold(self, record: dict[str, Any]) -> bool:
        """Return whether there is a column for each value of a record."""
        return set(record['cover']) <= set(self.classes) and set(record.get('regions') or ()) <= set(self.regions)

    def header(self) -> list[str]:
        """Return the titles of all columns."""
        covers = [f'{name} {part}' for name in ('all cloud', *self.classes) for part in Cover._fields]
        return [*_LEADING, *map(cell, [*covers, *titles(self.regions)])]

    def row(self, record: dict[str, Any]) -> list[float | int | str]:
        """Return the cells of a record, empty where it has no value."""
        sun, interval = record['sun'] or {}, record.get('interval') or {}
        covers = [record['cloud'], *(record['cover'].get(name) for name in self.classes)]
        return [
            utc_of(record).isoformat().replace('+00:00', 'Z'),
            cell(record['image'], lead='./'),
            *(_number(sun.get(key)) for key in ('elevation', 'azimuth')),
            sun.get('phase', ''),
            record.get('quality') or '',
            cell('; '.join(record.get('quality_reasons') or ())),
            interval.get('kind', ''),
            cell('; '.join(interval.get('outside', ()))),
            *(_number((cover or {}).get(part)) for cover in covers for part in Cover._fields),
            *map(_number, numbers(record, self.regions)),
        ]

    def describe(self) -> list[dict[str, str]]:
        """Return the descriptions of all columns by CSV on the Web."""
        parts = list(_PARTS.values())
        about = [*_LEADING.values(), *parts * (1 + len(self.classes)), *_MOON.values(), *parts * len(self.regions)]
        return [dict(titles=title, **each) for title, each in zip(self.header(), about, strict=True)]


def write_table(series: 'Series', file: Path) -> None:
    """Write a row per image in UTF-8, with times in UTC.

    Raises:
        OSError: The file cannot be written.
    """
    with file.open('w', newline='', encoding='utf-8') as stream:
        table = csv.writer(stream)
        table.writerow(series.columns.header())
        table.writerows(map(series.columns.row, series.records))


def describe(series: 'Series', name: str) -> dict[str, Any]:
    """Return the description of a table: its columns, and the settings behind it as ``notes``.

    Args:
        series: The series.
        name: Name of the file of the table, which is in the same folder.
    """
    return {
        '@context': ['http://www.w3.org/ns/csvw', {'@language': 'en'}],
        'url': quote(name, errors='surrogateescape'),
        'dc:title': 'Cloud cover from images of a ground-based camera',
        'dc:creator': f'hyperbolic_seg {__version__}',
        'notes': [series.about()],
        'tableSchema': dict(columns=series.columns.describe()),
    }


def cell(text: object, *, lead: str = "'") -> str:
    """Return a text for a cell, see :func:`~hyperbolic_seg.files.table_cell`; bytes that are no UTF-8 are escaped."""
    return printable(table_cell(text, lead=lead))


def _number(value: float | None) -> float | int | str:
    return '' if value is None else value if isinstance(value, int) else round(value, 4)
