"""A labelled video of what was predicted: each picture beside its classes, with their shares."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.datasets.loading import read_image
from hyperbolic_seg.files import open_regular, printable
from hyperbolic_seg.visualization.panels import RGB, blend, legend, legend_width, panel, panel_width

SUFFIXES = ('.mp4', '.mkv', '.mov')


def write_video(
    records: Iterable[dict[str, Any]],
    palette: Sequence[Sequence[int]],
    file: str | Path,
    *,
    frames_per_second: float = 10,
    height: int = 480,
) -> int:
    """Write a labelled video, H.264.

    Args:
        records: Of the pictures, as :func:`~hyperbolic_seg.app.batch.predict_files` yields them, with their files
            still in place. They come by time if all have one, else as they are; those that were refused are left out.
        palette: Colours of the classes.
        file: With a suffix of :data:`SUFFIXES`; it is there as a whole or not at all.
        frames_per_second: A picture each.
        height: Of the pictures in the video, in pixels.

    Returns:
        The number of frames.

    Raises:
        ImportError: PyAV is missing.
        ValueError: There is nothing to show, the suffix is another, or a label file is gone.
    """
    check_video(file)
    shown = _in_order([record for record in records if 'error' not in record])
    if not shown:
        raise ValueError(f'{file}: expected at least one picture that was predicted')
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f'.{secrets.token_hex(12)}{file.suffix}')  # nobody can have put a link there before
    try:
        _encode(part, _frames(shown, palette, height), Fraction(frames_per_second).limit_denominator(1000))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return len(shown)


def check_video(file: str | Path) -> None:
    """Refuse a file that :func:`write_video` could not write.

    Raises:
        ImportError: PyAV is missing.
        ValueError: The suffix is another.
    """
    if find_spec('av') is None:
        raise ImportError("videos need PyAV: pip install 'hyperbolic-seg[app]'")
    if Path(file).suffix not in SUFFIXES:
        raise ValueError(f'{file}: expected a suffix of {", ".join(SUFFIXES)}')


def _encode(file: Path, frames: Iterator[RGB], rate: Fraction) -> None:
    import av

    with av.open(str(file), 'w') as container:
        stream = container.add_stream('libx264', rate=rate)
        stream.pix_fmt = 'yuv420p'
        for number, picture in enumerate(frames):
            if not number:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())


def _in_order(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = [record.get('time') for record in records]
    if not all(times):
        return records
    return sorted(records, key=lambda record: datetime.fromisoformat(record['time']))


def _frames(records: list[dict[str, Any]], palette: Sequence[Sequence[int]], height: int) -> Iterator[RGB]:
    """Yield frames of one size, which is the first one's."""
    shape: tuple[int, int] | None = None
    for record in records:
        labels = _labels(record['files']['labels'], record['image'])
        picture = read_image(record['image'])[..., ::-1]
        shape = shape or labels.shape
        pictures = [_fitted(each, shape) for each in (picture, blend(picture, labels, palette))]
        yield _even(_frame(record, pictures, palette, height))


def _labels(file: str, image: str) -> NDArray:
    refusal = f'{file}, the labels of {image}, cannot be read'
    try:
        with open_regular(file) as opened:
            content = np.frombuffer(opened.read(), np.uint8)
        labels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    except (OSError, ValueError, cv2.error) as error:
        raise ValueError(f'{refusal}: {error}') from error
    if labels is None:
        raise ValueError(refusal)
    return labels


def _frame(record: dict[str, Any], pictures: list[RGB], palette: Sequence[Sequence[int]], height: int) -> RGB:
    shares = {name: found['fraction'] for name, found in record.get('cover', {}).items()} or record['fractions']
    color = dict(zip(record['fractions'], palette, strict=True))
    column = legend_width([f'{name} 100 %' for name in shares])
    names = [f'{name} {100 * share:.0f} %' for name, share in shares.items()]
    width = panel_width(pictures, height=height)
    below = legend(names, [color[name] for name in shares], max(width, column), column=column)
    titles = (record.get('time') or printable(Path(record['image']).name), _cloud(record))
    return panel(list(zip(titles, pictures, strict=True)), below=below, height=height)


def _cloud(record: dict[str, Any]) -> str:
    """Say the cover of cloud, if a camera is known."""
    cloud = record.get('cloud')
    return '' if cloud is None else f'cloud {100 * cloud["fraction"]:.0f} %, {cloud["oktas"]} oktas'


def _fitted(picture: RGB, shape: tuple[int, int]) -> RGB:
    """Return a picture at the size of another, with black where its sides differ."""
    scale = min(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    if scale == 1 and picture.shape[:2] == shape:
        return picture
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - size[1]) // 2, (shape[1] - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = scaled
    return canvas


def _even(picture: RGB) -> RGB:
    """Return a picture with even sides, as the colours of H.264 need them."""
    return np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), constant_values=255)
