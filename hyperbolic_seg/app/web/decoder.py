"""Decoding of uploads in separate processes, which are killed when they take too long."""

import json
import os
import queue
import subprocess
import sys
import threading
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.app.web.decode_worker import REPLY, REQUEST
from hyperbolic_seg.sky.camera import Exif

_START = (
    'import json, sys; sys.path[:] = json.loads(sys.argv[1]); '
    'from hyperbolic_seg.app.web.decode_worker import main; main(*map(int, sys.argv[2:]))'
)
_LONGEST = 2**16  # bytes of name and tags


class Upload(NamedTuple):
    """An upload, decoded."""

    image: NDArray[np.uint8]
    """BGR image, (H, W, 3)."""
    name: str
    """Name of the file, as the client gave it."""
    exif: Exif
    """Tags of EXIF that say when and where."""


class Decoder:
    """Decodes images in a few processes; safe to call from many threads.

    Args:
        workers: Number of processes.
        seconds: Time for one image; a process that takes longer is killed.
        memory: Memory for one image, in bytes, where the system can bound it.
        bit_depth: Bits of the levels in files of 16 bits, if they are known.
    """

    def __init__(
        self, *, workers: int = 2, seconds: int = 10, memory: int = 2**29, bit_depth: int | None = None
    ) -> None:
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers = [_Worker(seconds, memory, bit_depth or 0) for _ in range(workers)]
        for worker in self._workers:
            self._idle.put(worker)

    def start(self) -> None:
        """Start the processes now instead of with the first images."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.stop()

    def __call__(self, content_type: str, body: bytes, *, max_pixels: int) -> Upload:
        """Decode the image in an uploaded form; wait for a free process.

        Args:
            content_type: Header of the request, ``multipart/form-data`` with its boundary.
            body: Body of the request.
            max_pixels: Limit of the pixels of the image.

        Raises:
            ValueError: The upload is not a readable image, or decoding it takes too much time or memory.
        """
        worker = self._idle.get()
        try:
            return worker.decode(content_type, body, max_pixels)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, restarted after it was killed."""

    def __init__(self, seconds: int, memory: int, bit_depth: int) -> None:
        self.seconds, self.memory, self.bit_depth = seconds, memory, bit_depth
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> 'subprocess.Popen[bytes]':
        if self._process is None or self._process.poll() is not None:
            self.stop()
            arguments = [json.dumps(sys.path), *map(str, (self.seconds, self.memory, self.bit_depth))]
            self._process = subprocess.Popen(
                [sys.executable, '-c', _START, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'},
                start_new_session=True,  # Ctrl-C goes to the server, which ends this process
            )
        return self._process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def decode(self, content_type: str, body: bytes, max_pixels: int) -> Upload:
        process = self.start()
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self.seconds, kill)
        timer.start()
        try:
            return _exchange(process, content_type.encode('latin-1'), body, max_pixels)
        except (OSError, EOFError) as error:
            self.stop()
            reason = f'time: it has {self.seconds} s' if late.is_set() else 'memory, or it is damaged'
            raise ValueError(f'the upload takes too much to decode ({reason}): save the image anew') from error
        finally:
            timer.cancel()


def _exchange(process: 'subprocess.Popen[bytes]', content_type: bytes, body: bytes, max_pixels: int) -> Upload:
    """Send an upload to a process and read its reply.

    Raises:
        OSError, EOFError: The process has ended.
        ValueError: The upload is not a readable image.
    """
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(REQUEST.pack(len(content_type), len(body), max_pixels) + content_type + body)
    process.stdin.flush()
    decoded, height, width, length = REPLY.unpack(_read_exactly(process.stdout, REPLY.size))
    if length > _LONGEST or height * width > max_pixels:
        raise EOFError
    text = _read_exactly(process.stdout, length)
    if not decoded:
        raise ValueError(text.decode())
    name, *tags = json.loads(text)
    exif = Exif(*({int(tag): value for tag, value in found.items()} for found in tags))
    pixels = np.frombuffer(_read_exactly(process.stdout, height * width * 3), np.uint8)
    return Upload(pixels.reshape(height, width, 3), name, exif)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
