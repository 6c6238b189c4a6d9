"""The process that decodes uploads: it receives bytes alone, has little memory and time, and may be killed."""

import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, create_form_parser

from hyperbolic_seg.images import decode_image

REQUEST = struct.Struct('>QQQQ')
"""Lengths of content type and body in bytes, limit of the pixels, longer side of the result; type and body follow."""
REPLY = struct.Struct('>?QQQ')
"""Success, height, width, length in bytes; the pixels follow, or the reason of the failure."""


def main(seconds: int, memory: int) -> None:
    """Answer requests on standard input until it ends.

    Args:
        seconds: Processor time for one image.
        memory: Bytes beyond those at the start of the process.
    """
    cv2.setNumThreads(1)
    _limit_memory(memory)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(REQUEST.size):
        _limit_time(seconds)
        _answer(target, source, *REQUEST.unpack(header))


def _answer(target: BinaryIO, source: BinaryIO, type_length: int, length: int, max_pixels: int, side: int) -> None:
    content_type, body = source.read(type_length), source.read(length)
    try:
        content = _file_in_form(content_type, body)
        image = _reduce(decode_image(content, 'the upload', max_pixels=max_pixels), side)
    except ValueError as error:
        reason = str(error).encode(errors='replace')
        target.write(REPLY.pack(False, 0, 0, len(reason)) + reason)
    else:
        target.write(REPLY.pack(True, *image.shape[:2], image.nbytes) + image.tobytes())
    target.flush()


def _file_in_form(content_type: bytes, body: bytes) -> bytes:
    """Return the content of the one file in a form.

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
    return files[0].file_object.read()


def _reduce(image: np.ndarray, side: int) -> np.ndarray:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


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
