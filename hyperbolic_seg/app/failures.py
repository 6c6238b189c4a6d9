"""Records of images that were not predicted, which have no fractions, and why they were not."""

import logging
from datetime import datetime
from typing import Any

from hyperbolic_seg.app.outputs.base import fault
from hyperbolic_seg.files import printable, reason_of
from hyperbolic_seg.sky.camera import Quality, SkyCamera, as_record

LOGGER = logging.getLogger(__name__)
"""Logger of the tracebacks of images that failed, at the level ``DEBUG``."""


def refuse(path: str, error: Exception) -> dict[str, Any]:
    """Return the record of an image that cannot be read, or is not one of this camera."""
    return dict(image=path, error=reason_of(error))


def failure(
    path: str, error: Exception, *, camera: SkyCamera | None = None, after: datetime | None = None
) -> dict[str, Any]:
    """Return the record of an image whose prediction failed; its traceback goes to :data:`LOGGER`.

    With a camera it has the time, and the quality ``refused`` for the reason ``failed``, so that time series have it.

    Args:
        path: The image file.
        error: What was raised.
        camera: The camera that took it.
        after: Time of the picture before it.
    """
    LOGGER.debug('%s failed', printable(path), exc_info=error)
    record = dict(image=path, error=cause(error))
    if camera is None:
        return record
    try:
        view = camera.unseen(path, after=after)
    except Exception as another:  # it may be the time or the place itself that fails
        LOGGER.debug('%s has no time either', printable(path), exc_info=another)
        return record
    return as_record(None, view, Quality.of('failed')) | record


def cause(error: Exception) -> str:
    """Return the message of an error for people, with its kind and place if it is not of a kind that says enough."""
    return reason_of(error) if isinstance(error, (OSError, ValueError)) else fault(error)


def refusal(record: dict[str, Any]) -> str | None:
    """Return why the image of a record was refused, for people; ``None`` if it was predicted."""
    if (error := record.get('error')) is not None:
        return str(error)
    if record.get('quality') == 'refused':
        return f'no picture of the sky: {Quality.of(*record["quality_reasons"]).text}'
    return None
