"""The process that decodes uploads: it receives bytes alone, has little memory and time, and may be killed."""

import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from hyperbolic_seg.images import decode_image

REQUEST = struct.Struct('>QQQ')
"""Length of the content in bytes, limit of the pixels, longer side of the result; the content follows."""
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


def _answer(target: BinaryIO, source: BinaryIO, length: int, max_pixels: int, side: int) -> None:
    try:
        image = _reduce(decode_image(source.read(length), 'the upload', max_pixels=max_pixels), side)
    except ValueError as error:
        reason = str(error).encode(errors='replace')
        target.write(REPLY.pack(False, 0, 0, len(reason)) + reason)
    else:
        target.write(REPLY.pack(True, *image.shape[:2], image.nbytes) + image.tobytes())
    target.flush()


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
