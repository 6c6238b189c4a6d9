"""Decoding of uploads in separate processes, which are killed when they take too long."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.app.web.decode_worker import READY, REPLY, REQUEST, Outcome
from hyperbolic_seg.images import Levels
from hyperbolic_seg.sky.camera import Exif, FitsHeader

_START = (
    'import json, sys; sys.path[:] = json.loads(sys.argv[1]); '
    'from hyperbolic_seg.app.web.decode_worker import main; main(*json.loads(sys.argv[2]))'
)
_LONGEST = 2**16  # bytes of name and tags
_STARTING = 60.0  # seconds for a process to load its libraries


class Upload(NamedTuple):
    """An upload, decoded."""

    image: NDArray[np.uint8]
    """BGR image, (H, W, 3)."""
    name: str
    """Name of the file, as the client gave it."""
    exif: Exif | FitsHeader
    """Tags of EXIF, or keywords of a FITS header, that say when and where."""


class Decoder:
    """Decodes images in a few processes; safe to call from many threads.

    Args:
        workers: Number of processes.
        seconds: Time for one image; a process that takes longer is killed.
        memory: Memory for one image, in bytes, where the system can bound it.
        levels: What is known of the levels of the camera.
    """

    def __init__(
        self, *, workers: int = 2, seconds: int = 10, memory: int = 2**29, levels: Levels | None = None
    ) -> None:
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers = [_Worker(seconds, memory, levels or Levels()) for _ in range(workers)]
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
            ImportError: The package that reads it is missing.
        """
        worker = self._idle.get()
        try:
            return worker.decode(content_type, body, max_pixels)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, restarted after it was killed."""

    def __init__(self, seconds: int, memory: int, levels: Levels) -> None:
        self.seconds, self.memory, self.levels = seconds, memory, levels
        self._process: subprocess.Popen[bytes] | None = None
        self._is_up = False

    def start(self) -> 'subprocess.Popen[bytes]':
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._is_up = False
            arguments = [json.dumps(sys.path), json.dumps([self.seconds, self.memory, *self.levels])]
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
        try:
            if not self._is_up:  # its start is no time of the image
                with _killed_after(_STARTING, process):
                    _read_exactly(_output_of(process), len(READY))
                self._is_up = True
        except (OSError, EOFError) as error:
            self.stop()
            raise RuntimeError('no process starts that decodes uploads: the log of the server says why') from error
        late = threading.Event()
        try:
            with _killed_after(self.seconds, process, late):
                return _exchange(process, content_type.encode('latin-1'), body, max_pixels)
        except (OSError, EOFError) as error:
            self.stop()
            reason = f'time: it has {self.seconds} s' if late.is_set() else 'memory, or it is damaged'
            raise ValueError(f'the upload takes too much to decode ({reason}): save the image anew') from error


@contextmanager
def _killed_after(
    seconds: float, process: 'subprocess.Popen[bytes]', late: threading.Event | None = None
) -> Iterator[None]:
    """Kill a process at the end of a time, and set an event, unless the context ends before."""

    def kill() -> None:
        if late is not None:
            late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _output_of(process: 'subprocess.Popen[bytes]') -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _exchange(process: 'subprocess.Popen[bytes]', content_type: bytes, body: bytes, max_pixels: int) -> Upload:
    """Send an upload to a process and read its reply.

    Raises:
        OSError, EOFError: The process has ended.
        ValueError: The upload is not a readable image.
        ImportError: The package that reads it is missing.
    """
    assert process.stdin is not None
    process.stdin.write(REQUEST.pack(len(content_type), len(body), max_pixels) + content_type + body)
    process.stdin.flush()
    output = _output_of(process)
    outcome, height, width, length = REPLY.unpack(_read_exactly(output, REPLY.size))
    if length > _LONGEST or height * width > max_pixels:
        raise EOFError
    text = _read_exactly(output, length)
    if outcome == Outcome.REFUSED:
        raise ValueError(text.decode())
    if outcome == Outcome.NOT_INSTALLED:
        raise ImportError(text.decode())
    name, *tags = json.loads(text)
    exif = Exif(*map(_by_number, tags)) if len(tags) == 2 else FitsHeader(*tags)
    pixels = np.frombuffer(_read_exactly(output, height * width * 3), np.uint8)
    return Upload(pixels.reshape(height, width, 3), name, exif)


def _by_number(tags: dict[str, Any]) -> dict[int, Any]:
    return {int(tag): value for tag, value in tags.items()}


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
