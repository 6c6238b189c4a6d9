"""The process that decodes uploads: it receives bytes alone, has little memory and time, and may be killed."""

import json
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, create_form_parser

from hyperbolic_seg.images import decode_image
from hyperbolic_seg.sky.camera import exif_in

REQUEST = struct.Struct('>QQQ')
"""Lengths of content type and body in bytes, limit of the pixels; type and body follow."""
REPLY = struct.Struct('>?QQQ')
"""Success, height, width, length of a text in bytes; the text and the pixels follow.

The text is JSON of the file name and the tags of EXIF that say when and where, or else the reason of the failure."""


class _File(NamedTuple):
    name: bytes
    content: bytes


def main(seconds: int, memory: int, bit_depth: int) -> None:
    """Answer requests on standard input until it ends.

    Args:
        seconds: Processor time for one image.
        memory: Bytes beyond those at the start of the process.
        bit_depth: Bits of the levels in files of 16 bits; 0 if unknown.
    """
    cv2.setNumThreads(1)
    _limit_memory(memory)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(REQUEST.size):
        _limit_time(seconds)
        _answer(target, source, *REQUEST.unpack(header), bit_depth=bit_depth or None)


def _answer(
    target: BinaryIO, source: BinaryIO, type_length: int, length: int, max_pixels: int, *, bit_depth: int | None
) -> None:
    content_type, body = source.read(type_length), source.read(length)
    try:
        file = _file_in_form(content_type, body)
        image = decode_image(file.content, 'the upload', max_pixels=max_pixels, bit_depth=bit_depth)
    except ValueError as error:
        reason = str(error).encode(errors='replace')
        target.write(REPLY.pack(False, 0, 0, len(reason)) + reason)
    else:
        about = json.dumps([file.name.decode(errors='replace'), *exif_in(file.content).plain]).encode()
        target.write(REPLY.pack(True, *image.shape[:2], len(about)) + about)
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
