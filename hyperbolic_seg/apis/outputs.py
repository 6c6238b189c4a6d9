"""Files of predictions: label maps, overlays with a legend, and a table of class fractions."""

import csv
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import open_own, own_path, table_cell, write_whole
from hyperbolic_seg.images import labels_at, reduced_image
from hyperbolic_seg.visualization import blend, legend, legend_width

__all__ = ['PredictionWriter', 'record_of', 'write_files']

_BAND = 2**20  # pixels that are counted at a time; numpy.bincount makes eight bytes of each


class PredictionWriter:
    """Writes ``labels/NAME.png``, ``overlays/NAME.png`` and a row of ``summary.csv`` per image.

    For predictions with nodes it also writes ``nodes/NAME.png``, ids of the deepest sure nodes, with their fractions in
    the table. Control characters in the names of the table are escaped. A name that a spreadsheet would take for a
    formula gets a leading ``./``, as in ``./=name``.

    Args:
        out_dir: The folder, created if it is missing. A ``summary.csv`` in it is replaced.
        classes: The prompts, in the order of the labels.
        node_names: Names of the nodes, in the order of their ids.

    Raises:
        OSError: The table cannot be written, for example because it is a link.
    """

    def __init__(self, out_dir: str | Path, classes: Sequence[str], *, node_names: Sequence[str] = ()) -> None:
        self.out_dir = Path(out_dir)
        self.classes, self.node_names = list(classes), list(node_names)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        number = open_own(own_path(self.out_dir, 'summary.csv'))
        # Old cameras write names that are not UTF-8; they are kept byte by byte.
        self._file = os.fdopen(number, 'w', newline='', encoding='utf-8', errors='surrogateescape')
        fractions = [f'fraction {name}' for name in self.classes]
        sure = [f'sure of {name}' for name in self.node_names]
        columns = ['image', 'width', 'height', *fractions, *sure, 'mean confidence', 'error']
        self._table = csv.DictWriter(self._file, columns, restval='')
        self._table.writerow({column: table_cell(column) for column in columns})

    def write(self, name: str, image: NDArray[np.uint8], prediction: dict[str, Any], *, source: str) -> dict[str, Any]:
        """Write the files of one image, see :func:`write_files`, and its row; return its record."""
        record = write_files(self.out_dir, name, image, prediction, source=source)
        self.add(record)
        return record

    def add(self, record: dict[str, Any]) -> None:
        """Write the row of a record; a record may have only ``image`` and ``error``."""
        row: dict[str, Any] = {key: record[key] for key in ('width', 'height') if key in record}
        row['image'] = table_cell(record['image'], lead='./')
        row['error'] = table_cell(record.get('error', ''))
        row |= {f'fraction {name}': f'{share:.4f}' for name, share in record.get('fractions', {}).items()}
        row |= {f'sure of {name}': f'{share:.4f}' for name, share in record.get('sure', {}).items()}
        if 'mean_confidence' in record:
            row['mean confidence'] = f'{record["mean_confidence"]:.4f}'
        self._table.writerow(row)
        self._file.flush()

    def close(self) -> None:
        """Close the table."""
        self._file.close()

    def __enter__(self) -> 'PredictionWriter':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def write_files(
    out_dir: str | Path,
    name: str,
    image: NDArray[np.uint8],
    prediction: dict[str, Any],
    *,
    source: str,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``labels/NAME.png`` and ``overlays/NAME.png``, and ``nodes/NAME.png`` for predictions with nodes.

    Each file is written whole or not at all, and none through a link. Labels have the size of the image; the overlay
    of an image of more than :data:`~hyperbolic_seg.images.LARGE_PIXELS` is reduced to as many.

    Args:
        out_dir: The folder, created if it is missing. It may be a link itself.
        name: Name of the files without suffix; slashes make folders.
        image: The image, (H, W, 3), BGR, or a reduced one.
        prediction: A prediction of :class:`HyperSegInferencer`.
        source: Name of the image in the record.
        notes: Lines of text below the legend of the overlay.

    Returns:
        A record that JSON can hold: ``image``, ``width``, ``height``, ``fractions`` by class, ``sure`` by node,
        ``mean_confidence`` and ``files``.

    Raises:
        OSError: A file cannot be written, or a link below the folder is in its way.
        ValueError: The name leads out of the folder, or is too long for a file.
    """
    record = record_of(prediction, source=source)
    overlay = _overlay(image, prediction, np.array([*record['fractions'].values()]), notes)
    images = dict(labels=prediction['labels'], overlays=overlay)
    if 'nodes' in prediction:
        images['nodes'] = prediction['nodes']
    try:
        files = {folder: own_path(out_dir, folder, f'{name}.png') for folder in images}
        for folder, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, _png(images[folder], path))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise ValueError(f'{name}.png is too long for the name of a file in {out_dir}: shorten it') from error
    record['files'] = {folder: str(path) for folder, path in files.items()}
    return record


def record_of(prediction: dict[str, Any], *, source: str, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a prediction as a record that JSON can hold, which is that of :func:`write_files` without ``files``.

    Args:
        prediction: A prediction of :class:`HyperSegInferencer`.
        source: Name of the image in the record.
        size: Height and width of the image; by default those of the labels.
    """
    labels, classes = prediction['labels'], prediction['classes']
    fractions, (height, width) = _shares(labels, len(classes)), labels.shape if size is None else size
    record: dict[str, Any] = dict(image=source, width=width, height=height)
    record['fractions'] = dict(zip(classes, fractions.tolist(), strict=True))
    if 'nodes' in prediction:
        shares = _shares(prediction['nodes'], len(prediction['node_names']))
        record['sure'] = dict(zip(prediction['node_names'], shares.tolist(), strict=True))
    record['mean_confidence'] = float(prediction['confidence'].mean())
    return record


def _overlay(
    image: NDArray[np.uint8], prediction: dict[str, Any], fractions: NDArray[Any], notes: Sequence[str]
) -> NDArray[np.uint8]:
    """Return the image blended with its labels, above a legend and notes; BGR."""
    labels, palette = prediction['labels'], prediction['palette']
    image = reduced_image(image)
    labels, (height, width) = labels_at(labels, image.shape[:2]), image.shape[:2]
    names = [f'{n} {100 * f:.1f} %' for n, f in zip(prediction['classes'], fractions, strict=True)]
    below = legend(names, palette, max(width, legend_width([*names, *notes])), notes=notes, column=legend_width(names))
    canvas = np.full((height + below.shape[0], below.shape[1], 3), 255, np.uint8)
    canvas[:height, :width] = blend(image, labels, [color[::-1] for color in palette])
    canvas[height:] = below[..., ::-1]
    return canvas


def _shares(labels: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return the share of every label from 0 up to a count, (count,)."""
    bands = np.array_split(labels, max(labels.size // _BAND, 1))
    total = np.sum([np.bincount(band.ravel(), minlength=count) for band in bands], axis=0)
    return np.asarray(total / labels.size)


def _png(image: NDArray[Any], path: Path) -> bytes:
    done, content = cv2.imencode('.png', image)
    if not done:
        raise OSError(f'{path} could not be encoded as PNG')
    return content.tobytes()
