"""Time series as CSV, and what describes the table by the recommendation CSV on the Web of the W3C."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hyperbolic_seg.files import printable, table_cell
from hyperbolic_seg.sky.camera.coverage import Cover
from hyperbolic_seg.sky.camera.series import utc_of
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
}
_PARTS = {
    'fraction': {'datatype': 'number', 'dc:description': 'share of the visible sky, 0 to 1'},
    'low': {'datatype': 'number', 'dc:description': 'lower end of the interval of the share'},
    'high': {'datatype': 'number', 'dc:description': 'upper end of the interval of the share'},
    'oktas': {'datatype': 'integer', 'dc:description': 'eighths of the sky'},
}


def header_of(classes: list[str]) -> list[str]:
    """Return the names of the columns for classes of the sky."""
    covers = [f'{name} {part}' for name in ('all cloud', *classes) for part in Cover._fields]
    return [*_LEADING, *map(cell, covers)]


def row_of(record: dict[str, Any], classes: list[str]) -> list[float | int | str]:
    """Return the cells of a record, empty where it has no value."""
    sun = record['sun'] or {}
    covers = [record['cloud'], *(record['cover'].get(name) for name in classes)]
    return [
        utc_of(record).isoformat().replace('+00:00', 'Z'),
        cell(record['image'], lead='./'),
        *(_number(sun.get(key)) for key in ('elevation', 'azimuth')),
        sun.get('phase', ''),
        record.get('quality') or '',
        cell('; '.join(record.get('quality_reasons') or ())),
        *(_number((cover or {}).get(part)) for cover in covers for part in Cover._fields),
    ]


def write_table(series: 'Series', file: Path) -> None:
    """Write a row per image in UTF-8, with times in UTC.

    Raises:
        OSError: The file cannot be written.
    """
    with file.open('w', newline='', encoding='utf-8') as stream:
        table = csv.writer(stream)
        table.writerow(header_of(series.classes))
        table.writerows(row_of(record, series.classes) for record in series.records)


def describe(series: 'Series', name: str) -> dict[str, Any]:
    """Return the description of a table: its columns, and the settings behind it as ``notes``.

    Args:
        series: The series.
        name: Name of the file of the table, which is in the same folder.
    """
    described = [*_LEADING.values(), *(_PARTS[part] for _ in ('all cloud', *series.classes) for part in Cover._fields)]
    columns = [dict(titles=title, **about) for title, about in zip(header_of(series.classes), described, strict=True)]
    return {
        '@context': ['http://www.w3.org/ns/csvw', {'@language': 'en'}],
        'url': quote(name, errors='surrogateescape'),
        'dc:title': 'Cloud cover from images of a ground-based camera',
        'dc:creator': f'hyperbolic_seg {__version__}',
        'notes': [series.about()],
        'tableSchema': dict(columns=columns),
    }


def cell(text: object, *, lead: str = "'") -> str:
    """Return a text for a cell, see :func:`~hyperbolic_seg.files.table_cell`; bytes that are no UTF-8 are escaped."""
    return printable(table_cell(text, lead=lead))


def _number(value: float | None) -> float | int | str:
    return '' if value is None else value if isinstance(value, int) else round(value, 4)
