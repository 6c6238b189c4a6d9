"""A labeled video of predictions: each image beside its classes, with their shares."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable, whole_file
from hyperbolic_seg.visualization import RGB, blend, legend, legend_width, panel, panel_width

SUFFIXES = ('.mp4', '.mkv', '.mov')


class _Frame(NamedTuple):
    time: str | None
    """ISO 8601, ``None`` without a camera."""
    file: Path


class VideoWriter:
    """Makes a frame of each prediction, and from all of them an H.264 video.

    Frames wait as PNG in a temporary folder beside the video, because their order by time is known only at the end.
    So a day of images takes disk space, not memory, and no image is read a second time.

    Args:
        file: The video, with the suffix ``.mp4``, ``.mkv`` or ``.mov``.
        frames_per_second: Frames, one for each image, per second.
        height: Height of the images in the video, in pixels.

    Raises:
        ImportError: PyAV is missing.
        ValueError: The suffix is not supported.
    """

    def __init__(self, file: str | Path, *, frames_per_second: float = 10, height: int = 480) -> None:
        check_video(file)
        self.file = Path(file)
        self.height = height
        self._rate = Fraction(frames_per_second).limit_denominator(1000)
        self._folder: TemporaryDirectory[str] | None = None
        self._frames: list[_Frame] = []
        self._shape: tuple[int, int] | None = None
        self._error: Exception | None = None

    def add(self, image: NDArray[np.uint8], prediction: dict[str, Any], record: dict[str, Any]) -> None:
        """Add a frame; :meth:`write` raises any error, so that a full disk stops the video and not the predictions.

        Args:
            image: BGR image, (H, W, 3).
            prediction: See :class:`~hyperbolic_seg.apis.HyperSegInferencer`.
            record: See :func:`~hyperbolic_seg.app.batch.predict_files`.
        """
        if self._error is not None:
            return
        try:
            self._frames.append(self._make_frame(image, prediction, record))
        except (OSError, ValueError, cv2.error) as error:
            self._error = error

    def _make_frame(self, image: NDArray[np.uint8], prediction: dict[str, Any], record: dict[str, Any]) -> _Frame:
        if self._folder is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._folder = TemporaryDirectory(prefix='.', dir=self.file.parent)
        frame = draw_frame(image[..., ::-1], prediction, record, shape=self._shape, height=self.height)
        self._shape = self._shape or image.shape[:2]
        # The fastest compression: each file is read once, and then removed.
        done, content = cv2.imencode('.png', frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not done:
            raise ValueError(f'{self.file}: a frame could not be encoded')
        path = Path(self._folder.name) / f'{len(self._frames):08d}.png'
        path.write_bytes(content.tobytes())
        return _Frame(record.get('time'), path)

    def write(self) -> int:
        """Write the video; return its number of frames.

        Frames are ordered by time if all images have one, else they keep the order of the predictions.

        Raises:
            OSError: The video or a frame cannot be written.
            ValueError: There is no frame.
        """
        if self._error is not None:
            raise self._error
        if not self._frames:
            raise ValueError(f'{self.file}: expected at least one image that was predicted')
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.file) as part:
            _encode(part, (_read_frame(frame.file) for frame in _in_order(self._frames)), self._rate)
        return len(self._frames)

    def close(self) -> None:
        """Remove the temporary files."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def check_video(file: str | Path) -> None:
    """Check that a video of this name can be written.

    Raises:
        ImportError: PyAV is missing.
        ValueError: The suffix is not supported.
    """
    if find_spec('av') is None:
        raise ImportError("videos need PyAV: pip install 'hyperbolic-seg[app]'")
    if Path(file).suffix not in SUFFIXES:
        raise ValueError(f'{file}: expected a suffix of {", ".join(SUFFIXES)}')


def draw_frame(
    image: RGB, prediction: dict[str, Any], record: dict[str, Any], *, shape: tuple[int, int] | None, height: int
) -> RGB:
    """Draw an image beside its overlay, with titles and a legend of the shares.

    Args:
        image: RGB image, (H, W, 3).
        prediction: See :class:`~hyperbolic_seg.apis.HyperSegInferencer`.
        record: See :func:`~hyperbolic_seg.app.batch.predict_files`.
        shape: Size (H, W) that the image is fitted into; ``None`` keeps its own.
        height: Height of the two images in pixels.

    Returns:
        An image with even sides, because H.264 stores colors at half the resolution.
    """
    palette = prediction['palette']
    images = [_fit(each, shape or image.shape[:2]) for each in (image, blend(image, prediction['labels'], palette))]
    shares = {name: cover['fraction'] for name, cover in record.get('cover', {}).items()} or record['fractions']
    color = dict(zip(record['fractions'], palette, strict=True))
    column = legend_width([f'{name} 100 %' for name in shares])
    names = [f'{name} {100 * share:.0f} %' for name, share in shares.items()]
    width = panel_width(images, height=height)
    below = legend(names, [color[name] for name in shares], max(width, column), column=column)
    titles = (record.get('time') or printable(Path(record['image']).name), _cloud_cover(record))
    return _pad_to_even(panel(list(zip(titles, images, strict=True)), below=below, height=height))


def _encode(file: Path, frames: Iterator[RGB], rate: Fraction) -> None:
    import av

    with av.open(str(file), 'w') as container:
        stream = container.add_stream('libx264', rate=rate)
        stream.pix_fmt = 'yuv420p'
        for number, frame in enumerate(frames):
            if not number:
                stream.height, stream.width = frame.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())


def _in_order(frames: Sequence[_Frame]) -> list[_Frame]:
    times = [datetime.fromisoformat(frame.time) for frame in frames if frame.time]
    if len(times) < len(frames):
        return list(frames)
    return [frames[number] for number in sorted(range(len(frames)), key=times.__getitem__)]


def _read_frame(file: Path) -> RGB:
    frame = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError(f'{file}, a frame of the video, cannot be read')
    return np.ascontiguousarray(frame[..., ::-1], np.uint8)


def _cloud_cover(record: dict[str, Any]) -> str:
    """Return the cloud cover in words; empty without a camera."""
    cloud = record.get('cloud')
    return '' if cloud is None else f'cloud {100 * cloud["fraction"]:.0f} %, {cloud["oktas"]} oktas'


def _fit(image: RGB, shape: tuple[int, int]) -> RGB:
    """Scale an image into a size, with black margins where the aspect ratio differs."""
    scale = min(shape[0] / image.shape[0], shape[1] / image.shape[1])
    if scale == 1 and image.shape[:2] == shape:
        return image
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - size[1]) // 2, (shape[1] - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = scaled
    return canvas


def _pad_to_even(image: RGB) -> RGB:
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), constant_values=255)
