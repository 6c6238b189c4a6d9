"""What predictions leave on disk: label maps, overlays with a legend and a table of cloud fractions."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.visualization import blend, legend, legend_width


class PredictionWriter:
    """Writes ``labels/NAME.png``, ``overlays/NAME.png`` and a row of ``summary.csv`` per image.

    Of predictions with nodes also ``nodes/NAME.png``, ids of the deepest sure nodes, with their shares in the table.

    Args:
        out_dir: The folder; made if need be. An older ``summary.csv`` in it is replaced.
        classes: The prompts, in the order of the labels.
        node_names: Names of the nodes, in the order of their ids.
    """

    def __init__(self, out_dir: str | Path, classes: Sequence[str], *, node_names: Sequence[str] = ()) -> None:
        self.out_dir = Path(out_dir)
        self.classes, self.node_names = list(classes), list(node_names)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        # A name that is not UTF-8, as old cameras write it, is kept byte by byte.
        self._file = (self.out_dir / 'summary.csv').open('w', newline='', encoding='utf-8', errors='surrogateescape')
        fractions = [f'fraction {name}' for name in self.classes]
        sure = [f'sure of {name}' for name in self.node_names]
        columns = ['image', 'width', 'height', *fractions, *sure, 'mean confidence', 'mean radius', 'error']
        self._table = csv.DictWriter(self._file, columns, restval='')
        self._table.writeheader()

    def write(self, name: str, image: NDArray[np.uint8], prediction: dict[str, Any], *, source: str) -> dict[str, Any]:
        """Write the outputs of one image, see :func:`write_files`, and its row; return its record."""
        record = write_files(self.out_dir, name, image, prediction, source=source)
        self.add(record)
        return record

    def add(self, record: dict[str, Any]) -> None:
        """Write the row of a record, also of one that has only ``image`` and ``error``."""
        row: dict[str, Any] = {key: record[key] for key in ('image', 'width', 'height', 'error') if key in record}
        row |= {f'fraction {name}': f'{share:.4f}' for name, share in record.get('fractions', {}).items()}
        row |= {f'sure of {name}': f'{share:.4f}' for name, share in record.get('sure', {}).items()}
        means = {key: record.get(f'mean_{key}') for key in ('confidence', 'radius')}
        row |= {f'mean {key}': f'{value:.4f}' for key, value in means.items() if value is not None}
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
    out_dir: str | Path, name: str, image: NDArray[np.uint8], prediction: dict[str, Any], *, source: str
) -> dict[str, Any]:
    """Write ``labels/NAME.png`` and ``overlays/NAME.png``, of predictions with nodes also ``nodes/NAME.png``.

    Each file is there as a whole or not at all.

    Args:
        out_dir: The folder; made if need be.
        name: Of the files, without suffix; with slashes for folders in those.
        image: The image, (H, W, 3), BGR.
        prediction: What :class:`HyperSegInferencer` returns for it.
        source: What stands for the image.

    Returns:
        What is said of the image, as a record that JSON can hold; see :func:`~hyperbolic_seg.apis.batch.predict_files`.
    """
    labels, radius, classes = prediction['labels'], prediction['radius'], prediction['classes']
    fractions = np.bincount(labels.ravel(), minlength=len(classes)) / labels.size
    pictures = dict(labels=labels, overlays=_overlay(image, prediction, fractions)[..., ::-1])
    record: dict[str, Any] = dict(image=source, width=labels.shape[1], height=labels.shape[0])
    record['fractions'] = dict(zip(classes, fractions.tolist(), strict=True))
    if 'nodes' in prediction:
        pictures['nodes'] = nodes = prediction['nodes']
        shares = np.bincount(nodes.ravel(), minlength=len(prediction['node_names'])) / nodes.size
        record['sure'] = dict(zip(prediction['node_names'], shares.tolist(), strict=True))
    record['mean_confidence'] = float(prediction['confidence'].mean())
    record['mean_radius'] = None if radius is None else float(radius.mean())
    files = {folder: Path(out_dir) / folder / f'{name}.png' for folder in pictures}
    for folder, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _imwrite(path, pictures[folder])
    record['files'] = {folder: str(path) for folder, path in files.items()}
    return record


def _overlay(image: NDArray[np.uint8], prediction: dict[str, Any], fractions: NDArray) -> NDArray[np.uint8]:
    picture = blend(image[..., ::-1], prediction['labels'], prediction['palette'])
    names = [f'{n} {100 * f:.1f} %' for n, f in zip(prediction['classes'], fractions, strict=True)]
    width = max(picture.shape[1], legend_width(names))
    below = legend(names, prediction['palette'], width)
    room = ((0, 0), (0, width - picture.shape[1]), (0, 0))
    return np.concatenate([np.pad(picture, room, constant_values=255), below])


def _imwrite(path: Path, image: NDArray) -> None:
    """Write a PNG; readers see the whole file or none, also after a power cut."""
    done, content = cv2.imencode('.png', image)
    if not done:
        raise OSError(f'{path} could not be encoded as PNG')
    part = path.with_name(path.name + '.part')
    with part.open('wb') as file:
        file.write(content.tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
