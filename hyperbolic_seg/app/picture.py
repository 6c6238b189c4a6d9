"""The work on one picture, from its file to its record, in three steps."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import Inferencer, record_of, write_files
from hyperbolic_seg.app.failures import failure, refuse
from hyperbolic_seg.app.steps import about, examine_image, notes_of, observe_image, predict_checked
from hyperbolic_seg.files import PICTURE_SUFFIXES, open_regular
from hyperbolic_seg.images import LARGE_PIXELS, Levels, labels_at, pixels_of, read_file, reduced_image
from hyperbolic_seg.sky.camera import Quality, Repeats, SkyCamera, View

OnPrediction = Callable[[NDArray[np.uint8], dict[str, Any], dict[str, Any]], None]
"""Function of a BGR image (H, W, 3), its prediction and its record.

An image of more than :data:`~hyperbolic_seg.images.LARGE_PIXELS` comes reduced to as many, with labels of its size.
Confidence and radius are reduced to fewer, see :meth:`~hyperbolic_seg.apis.HyperSegInferencer.predict_one`.
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that all pictures of a run share; see :func:`~hyperbolic_seg.app.batch.predict_file`."""

    inferencer: Inferencer
    out_dir: str | Path
    repeats: Repeats
    threshold: float | None = None
    camera: SkyCamera | None = None
    maps: bool = True
    on_prediction: OnPrediction | None = None


class _Opened(NamedTuple):
    image: NDArray[np.uint8]
    """BGR; a large one is reduced."""
    size: tuple[int, int]
    """Height and width in the file."""
    source: NDArray[np.uint8] | str | None
    """What the model takes; ``None`` once there is a batch."""
    batch: Any = None
    view: View | None = None
    quality: Quality | None = None

    @property
    def is_refused(self) -> bool:
        return self.quality is not None and self.quality.name == 'refused'


class _Predicted(NamedTuple):
    opened: _Opened
    prediction: dict[str, Any]
    said: dict[str, Any]


class _Done(NamedTuple):
    record: dict[str, Any]
    shown: tuple[NDArray[np.uint8], dict[str, Any]] | None = None


class PictureJob:
    """The work on one picture: a :class:`~hyperbolic_seg.app.overlap.Job`.

    A step that fails keeps its error for :meth:`finish`, and the steps after it do nothing. Only :meth:`predict` uses
    the model and the pictures before this one.

    Args:
        path: The image file.
        name: Name of the outputs, see :func:`~hyperbolic_seg.apis.write_files`.
        settings: What is the same for all.
    """

    def __init__(self, path: str, name: str, settings: Settings) -> None:
        self.path, self._name, self._settings = path, name, settings
        self._state: _Opened | _Predicted | _Done | Exception | None = None
        self._after: datetime | None = None
        self._file: BinaryIO | None = None

    def measure(self) -> int | None:
        """Open the file and return its pixels; ``None`` if its header does not tell them, as that of a FITS image."""
        if not self.path.lower().endswith(PICTURE_SUFFIXES):
            return None
        try:
            self._file = open_regular(self.path)
        except (OSError, ValueError):  # reading says why
            return None
        return pixels_of(self._file)

    def close(self) -> None:
        """Close the file, if it was not read."""
        if self._file is not None:
            self._file.close()

    def read(self) -> None:
        """Decode the picture once, and do all that needs no picture before it."""
        try:
            self._state = self._open()
        except Exception as error:
            self._state = error

    def predict(self) -> None:
        """Predict and observe; a picture that is refused gets its record."""
        try:
            if isinstance(self._state, _Opened):
                self._state = self._predicted(self._state)
        except Exception as error:
            self._state = error
        self._after = self._settings.repeats.time

    def write(self) -> None:
        """Write the files, and make the record."""
        try:
            if isinstance(self._state, _Predicted):
                self._state = self._written(self._state)
        except Exception as error:
            self._state = error

    def finish(self) -> dict[str, Any]:
        """Return the record, after ``on_prediction`` was called; of an image that failed one with its ``error``.

        Raises:
            OSError: The image cannot be read, or its outputs cannot be written.
            MemoryError: There is not enough memory.
            RuntimeError: The model fails.
        """
        state = self._state
        if isinstance(state, _Done):
            self._state = _Done(state.record)
            if state.shown is not None and self._settings.on_prediction is not None:
                image, prediction = state.shown
                labels = labels_at(prediction['labels'], image.shape[:2])
                self._settings.on_prediction(image, prediction | dict(labels=labels), state.record)
            return state.record
        if isinstance(state, ValueError):
            return refuse(self.path, state)
        if isinstance(state, (OSError, RuntimeError, MemoryError)):
            raise state
        if isinstance(state, Exception):  # one picture that the program fails for must not end the watch over the sky
            return self.failed(state)
        raise RuntimeError('a job has an end after its steps: call read, predict and write')

    def failed(self, error: Exception) -> dict[str, Any]:
        """Return the record of the picture after an error, see :func:`~hyperbolic_seg.app.failures.failure`."""
        return failure(self.path, error, camera=self._settings.camera, after=self._after)

    def _open(self) -> _Opened:
        opened = self._decoded()
        return self._examined(opened) if self._settings.camera is None else opened

    def _decoded(self) -> _Opened:
        inferencer, camera = self._settings.inferencer, self._settings.camera
        levels = Levels() if camera is None else camera.levels
        file, self._file = self._file, None
        image = read_picture(self.path, levels, file=file)
        height, width = image.shape[:2]
        source = image if inferencer.takes_arrays or _only_read_here(self.path, levels) else self.path
        if height * width <= LARGE_PIXELS:
            return _Opened(image, (height, width), source)
        batch = inferencer.prepare(source)  # a large one leaves the memory before anything else is made of it
        return _Opened(reduced_image(image), (height, width), None, batch)

    def _examined(self, opened: _Opened) -> _Opened:
        """Add the view and the quality, and prepare for the model what is not refused."""
        inferencer, camera, repeats = self._settings.inferencer, self._settings.camera, self._settings.repeats
        options: dict[str, Any] = dict(camera=camera, repeats=repeats, size=opened.size)
        view, quality = examine_image(inferencer, opened.image, self.path, **options)
        opened = opened._replace(view=view, quality=quality)
        if opened.is_refused or opened.source is None:
            return opened
        return opened._replace(source=None, batch=inferencer.prepare(opened.source))

    def _predicted(self, opened: _Opened) -> _Predicted | _Done:
        inferencer, settings = self._settings.inferencer, self._settings
        if settings.camera is not None:
            opened = self._examined(opened)
        view, quality, (height, width) = opened.view, opened.quality, opened.size
        if opened.is_refused:
            return _Done(dict(image=self.path, width=width, height=height) | about(None, view, quality))
        reduced_labels = not settings.maps and settings.on_prediction is None
        options: dict[str, Any] = dict(threshold=settings.threshold, reduced_labels=reduced_labels)
        prediction = predict_checked(inferencer, opened.batch, view, **options)
        said = observe_image(inferencer, prediction, opened.image, view, quality, camera=settings.camera)
        return _Predicted(opened._replace(batch=None), prediction, said)

    def _written(self, predicted: _Predicted) -> _Done:
        settings, (opened, prediction, said) = self._settings, predicted
        if settings.maps:
            options: dict[str, Any] = dict(source=self.path, notes=notes_of(said))
            record = write_files(settings.out_dir, self._name, opened.image, prediction, **options)
        else:
            record = record_of(prediction, source=self.path, size=opened.size)
        return _Done(record | said, None if settings.on_prediction is None else (opened.image, prediction))


def read_picture(path: str, levels: Levels, *, file: BinaryIO | None = None) -> NDArray[np.uint8]:
    """Read an image; a missing package is a fault of the system, as a lost disk is, and not of the image.

    Args:
        path: The image file.
        levels: See :func:`~hyperbolic_seg.images.read_file`.
        file: The same.

    Raises:
        OSError: It cannot be read, or the package that reads it is missing.
        ValueError: It is not a readable image.
    """
    try:
        return read_file(path, levels=levels, file=file)
    except ImportError as error:
        raise OSError(str(error)) from error


def _only_read_here(path: str, levels: Levels) -> bool:
    """Return whether MMCV's loader could not read a file, or not as its camera writes it."""
    return not path.lower().endswith(PICTURE_SUFFIXES) or levels.bit_depth is not None
