"""What the operator of a camera says about it and its data, for files that others read."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

ATTRIBUTES = (
    'title',
    'summary',
    'keywords',
    'comment',
    'institution',
    'project',
    'program',
    'license',
    'references',
    'acknowledgement',
    'naming_authority',
    'processing_level',
    'product_version',
    'platform',
    'instrument',
    'metadata_link',
    *(f'creator_{part}' for part in ('name', 'email', 'url', 'type', 'institution')),
    *(f'publisher_{part}' for part in ('name', 'email', 'url', 'type', 'institution')),
    *(f'contributor_{part}' for part in ('name', 'role')),
)
"""Names of global attributes that an operator may give: those of CF and ACDD 1.3 that no program can know."""

_LONGEST = 10_000


def check_about(station: str | None, attributes: Mapping[str, str]) -> None:
    """Check a name of a station, and attributes.

    Args:
        station: Name of the station; ``None`` if it has none.
        attributes: Texts by their names.

    Raises:
        ValueError: A name is not one of :data:`~hyperbolic_seg.sky.camera.ATTRIBUTES`, or a text is empty, too long or
            has control characters.
    """
    if unknown := sorted(attributes.keys() - set(ATTRIBUTES)):
        raise ValueError(f'no such attributes: {", ".join(unknown)[:200]}. There are {", ".join(ATTRIBUTES)}')
    texts = attributes if station is None else {'station': station, **attributes}
    for name, text in texts.items():
        if not 0 < len(text.strip()) <= _LONGEST or not text.isprintable():
            raise ValueError(f'{name}: {text[:50]!r}: expected a line of text, up to {_LONGEST} printable characters')


def settings_of(camera: 'SkyCamera') -> dict[str, Any]:
    """Return the settings of a camera for JSON, with the names of its files but not their folders."""
    settings = asdict(camera)
    for name in ('calibration', 'mask', 'cover_calibration', 'adaptation'):
        if settings[name] is not None:
            settings[name] = Path(settings[name]).name
    return {name: value for name, value in settings.items() if name != 'attributes'}
