"""The process that decodes uploads: it receives bytes alone, has little memory and time, and may be killed."""

import json
import struct
import sys
from contextlib import suppress
from enum import IntEnum
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, create_form_parser

from hyperbolic_seg.images import Levels, decode_any
from hyperbolic_seg.sky.camera import exif_in, fits_header_in

REQUEST = struct.Struct('>QQQ')
"""Lengths of content type and body in bytes, limit of the pixels; type and body follow."""
REPLY = struct.Struct('>BQQQ')
"""Outcome, height, width, length of a text in bytes; the text and the pixels follow.

The text is the reason of the failure, or else JSON of the file name and of what says when and where: the tags of EXIF
and those of its GPS data, or the keywords of a FITS header."""
READY = b'+'
"""What a process writes before its first reply, when it is ready for requests."""
_READERS = ('astropy.io.fits', 'rawpy')


class Outcome(IntEnum):
    """What came of a request."""

    REFUSED, DECODED, NOT_INSTALLED = range(3)


class _File(NamedTuple):
    name: bytes
    content: bytes


def main(
    seconds: int, memory: int, bit_depth: int | None = None, white_balance: tuple[float, float] = (1.0, 1.0)
) -> None:
    """Answer requests on standard input until it ends.

    Args:
        seconds: Processor time for one image.
        memory: Bytes beyond those at the start of the process.
        bit_depth, white_balance: See :class:`~hyperbolic_seg.images.Levels`.
    """
    cv2.setNumThreads(1)
    levels = Levels(bit_depth, (white_balance[0], white_balance[1]))
    for name in _READERS:  # what they take is no part of the memory of an image
        with suppress(ImportError):
            import_module(name)
    _limit_memory(memory)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    target.write(READY)
    target.flush()
    while header := source.read(REQUEST.size):
        _limit_time(seconds)
        _answer(target, source, *REQUEST.unpack(header), levels=levels)


def _answer(
    target: BinaryIO, source: BinaryIO, type_length: int, length: int, max_pixels: int, *, levels: Levels
) -> None:
    content_type, body = source.read(type_length), source.read(length)
    try:
        file = _file_in_form(content_type, body)
        image = decode_any(file.content, 'the upload', max_pixels=max_pixels, levels=levels)
    except (ValueError, ImportError) as error:
        outcome = Outcome.NOT_INSTALLED if isinstance(error, ImportError) else Outcome.REFUSED
        reason = str(error).encode(errors='replace')
        target.write(REPLY.pack(outcome, 0, 0, len(reason)) + reason)
    else:
        tags = (fits_header_in(file.content) or exif_in(file.content)).plain
        about = json.dumps([file.name.decode(errors='replace'), *tags]).encode()
        target.write(REPLY.pack(Outcome.DECODED, *image.shape[:2], len(about)) + about)
        target.write(image.data)
    target.flush()


def _file_in_form(content_type: bytes, body: bytes) -> _File:
    """Return the one file in a form.

    Raises:
        ValueError: The body is not a form, or does not have one file in the field ``file``.
    """
    expected = "expected one file, in the field 'file' of a multipart form"
    if not content_type.lower().startswith(b'multipart/form-data'):
        raise ValueError(f'file: {expected}')
    files: list[File] = []
    config = dict(MAX_MEMORY_FILE_SIZE=len(body) + 1, MAX_FIELDS=16)
    try:
        parser = create_form_parser({'Content-Type': content_type}, None, files.append, config)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, KeyError) as error:
        raise ValueError(f'file: {expected} ({error})') from error
    if len(files) != 1 or files[0].field_name != b'file':
        raise ValueError(f'file: {expected}, got {len(files)} files')
    files[0].file_object.seek(0)
    return _File(files[0].file_name or b'', files[0].file_object.read())


def _limit_memory(memory: int) -> None:
    """Limit the address space where the system can, so that a large image is an error and does not fill the machine."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path('/proc/self/statm').read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # the process writes no files
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: int) -> None:
    """Limit the processor time of one image, so that the process ends even if the server is gone."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(usage.ru_utime + usage.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
